//! Carries out the plan of a node.

use std::{future::Future, sync::Arc};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, Pod, PodCondition};
use skein_consensus::Revision;
use skein_objects::{Reason, StatusError};
use skein_storage::{Client, DeleteOptions, EventRecorder, EventType, Informer, Preconditions};

use super::plan::Plan;
use crate::{
    cluster::{Cluster, revision_of, see_own_writes},
    pod::Pod as SeenPod,
    writes::concurrently,
};

/// Writes what a plan says.
pub(super) struct Actor {
    nodes: Client<Node>,
    pods: Client<Pod>,
    seen_nodes: Informer<Node>,
    seen_pods: Informer<SeenPod>,
    events: EventRecorder,
}

impl Actor {
    pub(super) fn new(cluster: &Cluster) -> Self {
        Self {
            nodes: cluster.storage.typed(),
            pods: cluster.storage.typed(),
            seen_nodes: cluster.nodes.clone(),
            seen_pods: cluster.pods.clone(),
            events: cluster.recorder("node-controller"),
        }
    }

    /// Marks the node first, which fails without a majority; then marks its pods.
    pub(super) async fn act(
        &self,
        node: &Node,
        plan: Plan,
        now: Timestamp,
    ) -> Result<(), StatusError> {
        let mut current = node.clone();
        if let Some(conditions) = plan.conditions {
            current.status.get_or_insert_default().conditions = Some(conditions);
            current = self.nodes.update_status(&current).await?;
            let name = current.metadata.name.as_deref().unwrap_or_default();
            let message = format!("Node {name} status is now: NodeNotReady");
            self.events.event(&current, EventType::Warning, "NodeNotReady", message);
        }
        if let Some(taints) = plan.taints {
            let taints = Some(taints).filter(|taints| !taints.is_empty());
            current.spec.get_or_insert_default().taints = taints;
            current = self.nodes.update(&current).await?;
        }
        let evictions = plan.evict.iter().map(|pod| self.evict(pod)).collect();
        let evicted = all(evictions).await;
        let unready = plan.unready.iter().map(|pod| self.mark_unready(pod, now)).collect();
        let marked = all(unready).await;
        see_own_writes(&self.seen_nodes, revision_of(&current.metadata)).await;
        see_own_writes(&self.seen_pods, evicted?.max(marked?)).await;
        Ok(())
    }

    /// Removes the pods of a node that is not there: nobody will ever end them.
    pub(super) async fn forget_pods(
        &self,
        node: &str,
        pods: &[Arc<SeenPod>],
    ) -> Result<(), StatusError> {
        if pods.is_empty() || self.nodes.get("", node).await?.is_some() {
            return Ok(());
        }
        let deletions = pods.iter().map(|pod| self.delete(pod, Some(0))).collect();
        all(deletions).await?;
        tracing::info!(node, pods = pods.len(), "removed the pods of a node that is gone");
        Ok(())
    }

    /// Gives the node its pod range.
    pub(super) async fn assign_range(
        &self,
        node: &Node,
        range: Option<String>,
    ) -> Result<(), StatusError> {
        let Some(range) = range else {
            let message = "No pod range is left for this node";
            self.events.event(node, EventType::Warning, "CIDRNotAvailable", message);
            return Ok(());
        };
        let mut node = node.clone();
        let spec = node.spec.get_or_insert_default();
        spec.pod_cidrs = Some(vec![range.clone()]);
        spec.pod_cidr = Some(range);
        let node = self.nodes.update(&node).await?;
        see_own_writes(&self.seen_nodes, revision_of(&node.metadata)).await;
        Ok(())
    }

    async fn evict(&self, pod: &SeenPod) -> Result<Revision, StatusError> {
        let marked = self.delete(pod, None).await?;
        let message = format!("Marking for deletion Pod {}/{}", pod.namespace, pod.name);
        let about = pod.reference();
        self.events.event_about(about, EventType::Normal, "TaintManagerEviction", message);
        Ok(marked)
    }

    async fn delete(&self, pod: &SeenPod, grace: Option<u64>) -> Result<Revision, StatusError> {
        let options = DeleteOptions {
            grace_period_seconds: grace,
            preconditions: Preconditions { uid: Some(pod.uid.to_string()), resource_version: None },
            ..DeleteOptions::default()
        };
        match self.pods.delete(&pod.namespace, &pod.name, &options).await {
            Ok(skein_storage::Deleted::Marked(object)) => Ok(object.revision()),
            Ok(skein_storage::Deleted::Removed(_)) => Ok(Revision::default()),
            Err(error) if error.reason == Reason::NotFound => Ok(Revision::default()),
            Err(error) => Err(error),
        }
    }

    async fn mark_unready(&self, pod: &SeenPod, now: Timestamp) -> Result<Revision, StatusError> {
        let mark = |fresh: &mut Pod| {
            if pod.is(fresh) {
                set_unready(fresh, now);
            }
        };
        match self.pods.modify_status(&pod.namespace, &pod.name, mark).await {
            Ok(pod) => Ok(revision_of(&pod.metadata)),
            Err(error) if error.reason == Reason::NotFound => Ok(Revision::default()),
            Err(error) => Err(error),
        }
    }
}

fn set_unready(pod: &mut Pod, now: Timestamp) {
    let conditions = pod.status.get_or_insert_default().conditions.get_or_insert_default();
    let ready: Option<&mut PodCondition> =
        conditions.iter_mut().find(|condition| condition.type_ == "Ready");
    if let Some(ready) = ready.filter(|ready| ready.status == "True") {
        ready.status = "False".to_owned();
        ready.reason = Some("NodeLost".to_owned());
        ready.message = Some("The node of this pod stopped answering the cluster.".to_owned());
        ready.last_transition_time = Some(now.into());
    }
}

/// Awaits all writes, several at a time; the last revision written, or the last failure.
async fn all<F>(writes: Vec<F>) -> Result<Revision, StatusError>
where
    F: Future<Output = Result<Revision, StatusError>>,
{
    concurrently(writes)
        .await
        .into_iter()
        .try_fold(Revision::default(), |last, one| Ok(last.max(one?)))
}
