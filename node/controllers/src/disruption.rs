//! Disruption budgets: how many pods of a group may be evicted now.
//!
//! An eviction takes from the number that stands in the budget's status, in one conditional write,
//! and names the pod there; this controller keeps the number true. A number that is too old
//! is larger than what is allowed by at most the pods that failed, left or are newly wanted since.

mod plan;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use async_trait::async_trait;
use k8s_openapi::{api::policy::v1::PodDisruptionBudget, jiff::Timestamp};
use skein_objects::{StatusError, selector};
use skein_storage::{Change, Client, Informer, View};

use crate::{
    cluster::{Cluster, key_of},
    pod::Pod,
    queue::Queue,
    reconcile::{Next, ObjectKey, Reconciler, work},
};

/// The controller's name.
const NAME: &str = "disruption";

/// Starts the controller for this term.
pub(crate) fn start(cluster: &Cluster) {
    let queue = cluster.queue::<ObjectKey>(NAME);
    let budgets = cluster.budgets.clone();
    let all = {
        let (budgets, queue) = (budgets.clone(), queue.clone());
        move || budgets.list().iter().for_each(|budget| queue.add(key_of(&budget.metadata)))
    };
    cluster.follow(&cluster.budgets, {
        let (queue, all) = (queue.clone(), all.clone());
        move |changed| match changed {
            Change::Object { namespace, name, .. } => queue.add((namespace, name)),
            Change::Resync => all(),
        }
    });
    cluster.follow(&cluster.pods, {
        let (pods, queue, budgets, all) =
            (cluster.pods.clone(), queue.clone(), budgets.clone(), all.clone());
        move |changed| match changed {
            Change::Object { namespace, name, former } => {
                let budgets = budgets.list_namespace(&namespace);
                if budgets.is_empty() {
                    return;
                }
                let pod = pods.get(&namespace, &name);
                for pod in [former, pod].into_iter().flatten() {
                    let theirs = budgets.iter().filter(|budget| protects(budget, &pod));
                    theirs.for_each(|budget| queue.add(key_of(&budget.metadata)));
                }
            }
            Change::Resync => all(),
        }
    });
    follow_owners(cluster, &cluster.sets, &queue);
    follow_owners(cluster, &cluster.deployments, &queue);
    let controller =
        Arc::new(Controller { budgets: cluster.storage.typed(), cluster: cluster.clone() });
    cluster.tasks.spawn(work(controller, queue, cluster.cancel.clone()));
}

/// Whatever wants another number of pods changes what budgets of its namespace allow.
fn follow_owners<V: View>(cluster: &Cluster, owners: &Informer<V>, queue: &Arc<Queue<ObjectKey>>) {
    let (queue, budgets) = (queue.clone(), cluster.budgets.clone());
    cluster.follow(owners, move |changed| {
        let budgets = match changed {
            Change::Object { namespace, .. } => budgets.list_namespace(&namespace),
            Change::Resync => budgets.list(),
        };
        budgets.iter().for_each(|budget| queue.add(key_of(&budget.metadata)));
    });
}

fn protects(budget: &PodDisruptionBudget, pod: &Pod) -> bool {
    selector::protects(budget, &pod.shape.labels)
}

struct Controller {
    cluster: Cluster,
    budgets: Client<PodDisruptionBudget>,
}

#[async_trait]
impl Reconciler for Controller {
    type Key = ObjectKey;

    fn name(&self) -> &'static str {
        NAME
    }

    async fn reconcile(&self, (namespace, name): &ObjectKey) -> Result<Next, StatusError> {
        let Some(budget) = self.cluster.budgets.get(namespace, name) else {
            return Ok(Next::Settled);
        };
        let mut pods = self.cluster.pods.list_namespace(namespace);
        pods.retain(|pod| protects(&budget, pod));
        let sets = self.cluster.sets.list_namespace(namespace);
        let deployments = self.cluster.deployments.list_namespace(namespace);
        let owners = plan::Owners { sets: &sets, deployments: &deployments };
        let (status, recheck) = plan::status(&budget, &pods, &owners, Timestamp::now());
        if budget.status.as_ref() != Some(&status) {
            let mut changed = PodDisruptionBudget::clone(&budget);
            changed.status = Some(status);
            self.budgets.update_status(&changed).await?;
        }
        Ok(recheck.into())
    }
}
