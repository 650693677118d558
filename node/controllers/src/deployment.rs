//! Deployments: rollouts over replica sets.

mod act;
mod bounds;
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
use k8s_openapi::api::{apps::v1::ReplicaSet, core::v1::Pod};
use skein_objects::StatusError;

use crate::{
    cluster::{Cluster, key_of},
    owned::Owned,
    owner::controller_of,
    queue::Queue,
    reconcile::{Next, ObjectKey, Reconciler, work},
};
use act::Actor;

/// Starts the controller for this term.
pub(crate) fn start(cluster: &Cluster) {
    let queue: Arc<Queue<ObjectKey>> = Arc::default();
    let all = {
        let (deployments, queue) = (cluster.deployments.clone(), queue.clone());
        move || deployments.list().iter().for_each(|object| queue.add(key_of(&object.metadata)))
    };
    cluster.follow(&cluster.deployments, {
        let (queue, all) = (queue.clone(), all.clone());
        move |changed| match changed {
            Some(key) => queue.add(key),
            None => all(),
        }
    });
    cluster.follow(&cluster.sets, {
        let (sets, deployments, queue) =
            (cluster.sets.clone(), cluster.deployments.clone(), queue.clone());
        let mut owned = Owned::by("Deployment");
        move |changed| match changed {
            Some(key) => {
                let set = sets.get(&key.0, &key.1);
                owned.note(&key, set.as_deref()).into_iter().for_each(|owner| queue.add(owner));
                if set.is_some_and(|set| controller_of(&set.metadata).is_none()) {
                    let candidates = deployments.list_namespace(&key.0);
                    candidates.iter().for_each(|object| queue.add(key_of(&object.metadata)));
                }
            }
            None => {
                for set in sets.list() {
                    owned.note(&key_of(&set.metadata), Some(&*set));
                }
                all();
            }
        }
    });
    let controller = Arc::new(Controller { actor: Actor::new(cluster), cluster: cluster.clone() });
    cluster.tasks.spawn(work(controller, queue, cluster.cancel.clone()));
}

struct Controller {
    cluster: Cluster,
    actor: Actor,
}

#[async_trait]
impl Reconciler for Controller {
    type Key = ObjectKey;

    fn name(&self) -> &'static str {
        "deployment"
    }

    async fn reconcile(&self, (namespace, name): &ObjectKey) -> Result<Next, StatusError> {
        let Some(deployment) = self.cluster.deployments.get(namespace, name) else {
            return Ok(Next::Settled);
        };
        let sets = self.cluster.sets.list_namespace(namespace);
        let seen: Vec<&ReplicaSet> = sets.iter().map(|set| &**set).collect();
        let pods = self.cluster.pods.list_namespace(namespace);
        let pods: Vec<&Pod> = pods.iter().map(|pod| &**pod).collect();
        let observed = plan::Observed { deployment: &deployment, sets: &seen, pods: &pods };
        let plan = plan::plan(&observed, jiff::Timestamp::now());
        let recheck = plan.recheck;
        self.actor.act(&deployment, &sets, plan).await?;
        Ok(recheck.into())
    }
}
