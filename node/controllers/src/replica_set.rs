//! Replica sets: keeping a number of equal pods.

mod act;
mod doubt;
mod plan;
mod rank;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use async_trait::async_trait;
use k8s_openapi::api::apps::v1::ReplicaSet;
use skein_objects::StatusError;
use skein_storage::Change;

use crate::{
    cluster::{Cluster, key_of},
    pod::{Group, Pod},
    reconcile::{Next, ObjectKey, Reconciler, work},
    selector::Selector,
};
use act::Actor;

/// The controller's name.
const NAME: &str = "replicaset";

/// Starts the controller for this term.
pub(crate) fn start(cluster: &Cluster) {
    let queue = cluster.queue::<ObjectKey>(NAME);
    let sets = cluster.sets.clone();
    let all = {
        let (sets, queue) = (sets.clone(), queue.clone());
        move || sets.list().iter().for_each(|set| queue.add(key_of(&set.metadata)))
    };
    cluster.follow(&cluster.sets, {
        let (queue, all) = (queue.clone(), all.clone());
        move |changed| match changed {
            Change::Object { namespace, name, .. } => queue.add((namespace, name)),
            Change::Resync => all(),
        }
    });
    cluster.follow(&cluster.pods, {
        let (pods, queue) = (cluster.pods.clone(), queue.clone());
        move |changed| match changed {
            Change::Object { namespace, name, former } => {
                let pod = pods.get(&namespace, &name);
                let owners = [&former, &pod].into_iter().flatten().filter_map(|pod| owner_of(pod));
                owners.for_each(|owner| queue.add(owner));
                if let Some(orphan) = pod.filter(|pod| pod.controller().is_none()) {
                    let adopters = adopters(&sets.list_namespace(&namespace), &orphan);
                    adopters.into_iter().for_each(|adopter| queue.add(adopter));
                }
            }
            Change::Resync => all(),
        }
    });
    let controller = Arc::new(Controller { actor: Actor::new(cluster), cluster: cluster.clone() });
    cluster.tasks.spawn(work(controller, queue, cluster.cancel.clone()));
}

/// The set that controls a pod.
fn owner_of(pod: &Pod) -> Option<ObjectKey> {
    let owner = pod.shape.controller.as_ref().filter(|owner| owner.kind == "ReplicaSet")?;
    Some((pod.namespace.clone(), owner.name.clone()))
}

/// The sets that could adopt a pod.
fn adopters(sets: &[Arc<ReplicaSet>], pod: &Pod) -> Vec<ObjectKey> {
    let fits = |set: &&Arc<ReplicaSet>| {
        let selector = Selector::of(set.spec.as_ref().map(|spec| &spec.selector));
        selector.picks(&pod.shape.labels)
    };
    sets.iter().filter(fits).map(|set| key_of(&set.metadata)).collect()
}

struct Controller {
    cluster: Cluster,
    actor: Actor,
}

#[async_trait]
impl Reconciler for Controller {
    type Key = ObjectKey;

    fn name(&self) -> &'static str {
        NAME
    }

    async fn reconcile(&self, key: &ObjectKey) -> Result<Next, StatusError> {
        self.actor.settle_doubt(key).await?;
        let (namespace, name) = key;
        let Some(set) = self.cluster.sets.get(namespace, name) else { return Ok(Next::Settled) };
        let uid = set.metadata.uid.as_deref().unwrap_or_default();
        // Looked at together: a pod that moves from one to the other is neither missed nor counted
        // twice.
        let groups = [Some(uid.into()), None].map(|uid| Group::Controlled(namespace.clone(), uid));
        let pods = self.cluster.pods.list_groups(&groups);
        let now = jiff::Timestamp::now();
        let plan = plan::plan(&plan::Observed { set: &set, pods: &pods }, now);
        let recheck = plan.recheck;
        self.actor.act(&set, &pods, plan, now).await?;
        Ok(recheck.into())
    }
}
