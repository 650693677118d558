//! Replica sets: keeping a number of equal pods.

mod act;
mod doubt;
mod plan;
mod rank;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use async_trait::async_trait;
use k8s_openapi::api::{apps::v1::ReplicaSet, core::v1::Pod};
use skein_objects::StatusError;

use crate::{
    cluster::{Cluster, key_of},
    owned::Owned,
    owner::controller_of,
    queue::Queue,
    reconcile::{Next, ObjectKey, Reconciler, work},
    selector::Selector,
};
use act::Actor;

/// Starts the controller for this term.
pub(crate) fn start(cluster: &Cluster) {
    let queue: Arc<Queue<ObjectKey>> = Arc::default();
    let sets = cluster.sets.clone();
    let all = {
        let (sets, queue) = (sets.clone(), queue.clone());
        move || sets.list().iter().for_each(|set| queue.add(key_of(&set.metadata)))
    };
    cluster.follow(&cluster.sets, {
        let (queue, all) = (queue.clone(), all.clone());
        move |changed| match changed {
            Some(key) => queue.add(key),
            None => all(),
        }
    });
    cluster.follow(&cluster.pods, {
        let (pods, queue) = (cluster.pods.clone(), queue.clone());
        let mut owned = Owned::by("ReplicaSet");
        move |changed| match changed {
            Some(key) => {
                let pod = pods.get(&key.0, &key.1);
                let owners = owned.note(&key, pod.as_deref());
                let orphan = pod.filter(|pod| controller_of(&pod.metadata).is_none());
                let adopters = orphan.map(|pod| adopters(&sets.list_namespace(&key.0), &pod));
                owners.into_iter().chain(adopters.into_iter().flatten()).for_each(|k| queue.add(k));
            }
            None => {
                for pod in pods.list() {
                    owned.note(&key_of(&pod.metadata), Some(&*pod));
                }
                all();
            }
        }
    });
    let controller = Arc::new(Controller { actor: Actor::new(cluster), cluster: cluster.clone() });
    cluster.tasks.spawn(work(controller, queue, cluster.cancel.clone()));
}

/// The sets that could adopt a pod.
fn adopters(sets: &[Arc<ReplicaSet>], pod: &Pod) -> Vec<ObjectKey> {
    let fits = |set: &&Arc<ReplicaSet>| {
        let selector = Selector::of(set.spec.as_ref().map(|spec| &spec.selector));
        selector.picks(&pod.metadata.labels)
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
        "replicaset"
    }

    async fn reconcile(&self, key: &ObjectKey) -> Result<Next, StatusError> {
        self.actor.settle_doubt(key).await?;
        let (namespace, name) = key;
        let Some(set) = self.cluster.sets.get(namespace, name) else { return Ok(Next::Settled) };
        let pods = self.cluster.pods.list_namespace(namespace);
        let seen: Vec<&Pod> = pods.iter().map(|pod| &**pod).collect();
        let now = jiff::Timestamp::now();
        let plan = plan::plan(&plan::Observed { set: &set, pods: &seen }, now);
        let recheck = plan.recheck;
        self.actor.act(&set, &pods, plan, now).await?;
        Ok(recheck.into())
    }
}
