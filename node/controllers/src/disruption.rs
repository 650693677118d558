//! Disruption budgets: how many pods of a group may be evicted now.
//!
//! An eviction takes from the number that stands in the budget's status, in one conditional write,
//! and names the pod there; this controller keeps the number true. A number that is too old is
//! never larger than what is allowed by more than the pods that failed since.

mod plan;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use async_trait::async_trait;
use k8s_openapi::{
    api::policy::v1::PodDisruptionBudget, apimachinery::pkg::apis::meta::v1::LabelSelector,
    jiff::Timestamp,
};
use skein_objects::{StatusError, selector};
use skein_storage::{Change, Client};

use crate::{
    cluster::{Cluster, key_of},
    pod::Pod,
    queue::Queue,
    reconcile::{Next, ObjectKey, Reconciler, work},
};

/// Starts the controller for this term.
pub(crate) fn start(cluster: &Cluster) {
    let queue: Arc<Queue<ObjectKey>> = Arc::default();
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
    cluster.follow(&cluster.sets, {
        let (queue, budgets) = (queue.clone(), budgets.clone());
        move |changed| match changed {
            Change::Object { namespace, .. } => {
                let budgets = budgets.list_namespace(&namespace);
                budgets.iter().for_each(|budget| queue.add(key_of(&budget.metadata)));
            }
            Change::Resync => all(),
        }
    });
    let controller =
        Arc::new(Controller { budgets: cluster.storage.typed(), cluster: cluster.clone() });
    cluster.tasks.spawn(work(controller, queue, cluster.cancel.clone()));
}

/// Whether a budget is about a pod. Unlike a workload's, an empty selector is about all of the
/// namespace; none at all is about nothing.
fn protects(budget: &PodDisruptionBudget, pod: &Pod) -> bool {
    let spec = budget.spec.as_ref().and_then(|spec| spec.selector.as_ref());
    let read = |spec: &LabelSelector| selector::LabelSelector::from_spec(spec).ok();
    spec.and_then(read).is_some_and(|selector| selector.matches(&pod.shape.labels))
}

struct Controller {
    cluster: Cluster,
    budgets: Client<PodDisruptionBudget>,
}

#[async_trait]
impl Reconciler for Controller {
    type Key = ObjectKey;

    fn name(&self) -> &'static str {
        "disruption"
    }

    async fn reconcile(&self, (namespace, name): &ObjectKey) -> Result<Next, StatusError> {
        let Some(budget) = self.cluster.budgets.get(namespace, name) else {
            return Ok(Next::Settled);
        };
        let mut pods = self.cluster.pods.list_namespace(namespace);
        pods.retain(|pod| protects(&budget, pod));
        let sets = self.cluster.sets.list_namespace(namespace);
        let (status, recheck) = plan::status(&budget, &pods, &sets, Timestamp::now());
        if budget.status.as_ref() != Some(&status) {
            let mut changed = PodDisruptionBudget::clone(&budget);
            changed.status = Some(status);
            self.budgets.update_status(&changed).await?;
        }
        Ok(recheck.into())
    }
}
