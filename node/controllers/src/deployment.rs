//! Deployments: rollouts over replica sets.

mod act;
pub(crate) mod bounds;
mod family;
mod plan;
mod revision;
mod sizes;
mod status;
mod template;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use async_trait::async_trait;
use k8s_openapi::api::apps::v1::ReplicaSet;
use skein_objects::StatusError;
use skein_storage::Change;

use crate::{
    cluster::{Cluster, key_of},
    owner::{controller_of, is_controlled_by},
    pod::Group,
    reconcile::{Next, ObjectKey, Reconciler, work},
};
use act::Actor;

/// The controller's name.
const NAME: &str = "deployment";

/// Starts the controller for this term.
pub(crate) fn start(cluster: &Cluster) {
    let queue = cluster.queue::<ObjectKey>(NAME);
    let all = {
        let (deployments, queue) = (cluster.deployments.clone(), queue.clone());
        move || deployments.list().iter().for_each(|object| queue.add(key_of(&object.metadata)))
    };
    cluster.follow(&cluster.deployments, {
        let (queue, all) = (queue.clone(), all.clone());
        move |changed| match changed {
            Change::Object { namespace, name, .. } => queue.add((namespace, name)),
            Change::Resync => all(),
        }
    });
    cluster.follow(&cluster.sets, {
        let (sets, deployments, queue) =
            (cluster.sets.clone(), cluster.deployments.clone(), queue.clone());
        move |changed| match changed {
            Change::Object { namespace, name, former } => {
                let set = sets.get(&namespace, &name);
                let owners = [&former, &set].into_iter().flatten().filter_map(|set| owner_of(set));
                owners.for_each(|owner| queue.add(owner));
                if set.is_some_and(|set| controller_of(&set.metadata).is_none()) {
                    let candidates = deployments.list_namespace(&namespace);
                    candidates.iter().for_each(|object| queue.add(key_of(&object.metadata)));
                }
            }
            Change::Resync => all(),
        }
    });
    let controller = Arc::new(Controller { actor: Actor::new(cluster), cluster: cluster.clone() });
    cluster.tasks.spawn(work(controller, queue, cluster.cancel.clone()));
}

/// The deployment that controls a set.
fn owner_of(set: &ReplicaSet) -> Option<ObjectKey> {
    let owner = controller_of(&set.metadata).filter(|owner| owner.kind == "Deployment")?;
    Some((key_of(&set.metadata).0, owner.name.as_str().into()))
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

    async fn reconcile(&self, (namespace, name): &ObjectKey) -> Result<Next, StatusError> {
        let Some(deployment) = self.cluster.deployments.get(namespace, name) else {
            return Ok(Next::Settled);
        };
        let sets = self.cluster.sets.list_namespace(namespace);
        let seen: Vec<&ReplicaSet> = sets.iter().map(|set| &**set).collect();
        let uid = deployment.metadata.uid.as_deref().unwrap_or_default();
        let own = sets.iter().filter(|set| is_controlled_by(&set.metadata, uid));
        let group = |set: &Arc<ReplicaSet>| {
            Group::Controlled(namespace.clone(), set.metadata.uid.as_deref().map(Arc::from))
        };
        let pods = self.cluster.pods.list_groups(&own.map(group).collect::<Vec<_>>());
        let observed = plan::Observed { deployment: &deployment, sets: &seen, pods: &pods };
        let plan = plan::plan(&observed, jiff::Timestamp::now());
        let recheck = plan.recheck;
        self.actor.act(&deployment, &sets, plan).await?;
        Ok(recheck.into())
    }
}
