//! The life of nodes: pod ranges, readiness, taints, and the pods of nodes that are gone.
//!
//! The membership's verdict is acted on at once: a dead node is marked, and its pods are marked
//! for deletion so that their owners replace them. Marking the node comes first, so a leader that
//! has lost the majority fails there and evicts nothing.

mod act;
mod cidr;
mod eviction;
mod plan;
mod taints;
#[cfg(test)]
mod tests;

use std::{collections::HashMap, sync::Arc};

use async_trait::async_trait;
use k8s_openapi::api::core::v1::Node;
use skein_objects::StatusError;
use skein_storage::Change;
use tokio::sync::watch;

use crate::{
    cluster::{Cluster, key_of},
    context::{ControllerConfig, LeaderContext, Liveness},
    limits::UNKNOWN_NODE_GRACE,
    pod::Group,
    reconcile::{Next, Reconciler, work},
};
use act::Actor;
use plan::{Observed, Verdict};

/// The controller's name.
const NAME: &str = "node";

/// Starts the controller for this term. Its keys are names of nodes, also of such that pods name
/// but that are not there.
pub(crate) fn start(cluster: &Cluster, context: &LeaderContext) {
    let queue = cluster.queue::<Arc<str>>(NAME);
    let nodes = cluster.nodes.clone();
    let all = {
        let (nodes, queue) = (nodes.clone(), queue.clone());
        move || nodes.list().iter().for_each(|node| queue.add(key_of(&node.metadata).1))
    };
    cluster.follow(&cluster.nodes, {
        let (queue, all) = (queue.clone(), all.clone());
        move |changed| match changed {
            Change::Object { name, .. } => queue.add(name),
            Change::Resync => all(),
        }
    });
    cluster.follow(&cluster.pods, {
        let (pods, queue) = (cluster.pods.clone(), queue.clone());
        let look = move |name: Arc<str>| {
            if nodes.get("", &name).is_none_or(|node| eviction::evicts(&node)) {
                queue.add(name);
            }
        };
        move |changed| match changed {
            Change::Object { namespace, name, .. } => {
                let pod = pods.get(&namespace, &name);
                pod.and_then(|pod| pod.node.clone()).into_iter().for_each(&look);
            }
            Change::Resync => pods.groups().into_iter().for_each(|group| match group {
                Group::Bound(name) => look(name),
                Group::Controlled(..) | Group::Waiting => {}
            }),
        }
    });
    let mut liveness = context.liveness.clone();
    cluster.spawn(async move {
        while liveness.changed().await.is_ok() {
            all();
        }
    });
    let controller = Controller {
        cluster: cluster.clone(),
        config: context.config.clone(),
        liveness: context.liveness.clone(),
        actor: Actor::new(cluster),
        allocation: tokio::sync::Mutex::new(()),
    };
    cluster.tasks.spawn(work(Arc::new(controller), queue, cluster.cancel.clone()));
}

struct Controller {
    cluster: Cluster,
    config: ControllerConfig,
    liveness: watch::Receiver<Liveness>,
    actor: Actor,
    /// Held while a pod range is chosen and written, so that no two nodes get the same.
    allocation: tokio::sync::Mutex<()>,
}

#[async_trait]
impl Reconciler for Controller {
    type Key = Arc<str>;

    fn name(&self) -> &'static str {
        NAME
    }

    async fn reconcile(&self, name: &Arc<str>) -> Result<Next, StatusError> {
        let pods = self.cluster.pods.list_groups(&[Group::Bound(name.clone())]);
        let Some(node) = self.cluster.nodes.get("", name) else {
            self.actor.forget_pods(name, &pods).await?;
            return Ok(Next::Settled);
        };
        if cidr::of_node(&node).is_none() {
            self.allocate(name).await?;
        }
        // Always the newest version: a range may just have been written.
        let node = self.cluster.nodes.get("", name).unwrap_or(node);
        let now = jiff::Timestamp::now();
        let plan = plan::plan(
            &Observed {
                node: &node,
                pods: &pods,
                verdict: self.verdict(&node),
                refuge: self.has_refuge(name),
                not_ready_grace: self.config.not_ready_grace,
            },
            now,
        );
        let recheck = plan.recheck;
        self.actor.act(&node, plan, now).await?;
        Ok(recheck.into())
    }
}

impl Controller {
    /// What the membership says. A node it has never heard of gets some time after this host began
    /// to listen or the node was registered, unless somebody has found it dead before.
    fn verdict(&self, node: &Node) -> Verdict {
        let name = node.metadata.name.as_deref().unwrap_or_default();
        let liveness = self.liveness.borrow().get(name).copied();
        match liveness {
            Some(liveness) if liveness.alive => Verdict::Alive { since: liveness.since },
            Some(_) => Verdict::Dead,
            None if plan::was_found_dead(node) => Verdict::Dead,
            None => {
                let created = node.metadata.creation_timestamp.as_ref();
                let age = created.map(|created| jiff::Timestamp::now().duration_since(created.0));
                let age = age.and_then(|age| age.try_into().ok()).unwrap_or_default();
                let waited = self.cluster.standby.began.elapsed().min(age);
                match UNKNOWN_NODE_GRACE.checked_sub(waited) {
                    Some(left) if !left.is_zero() => Verdict::Unknown { left },
                    _ => Verdict::Dead,
                }
            }
        }
    }

    /// Whether pods of this node could go anywhere: another node lives and is ready. When all
    /// others seem dead at once, the fault is likelier here.
    fn has_refuge(&self, name: &str) -> bool {
        let nodes = self.cluster.nodes.list();
        nodes
            .iter()
            .filter(|node| node.metadata.name.as_deref() != Some(name))
            .any(|node| matches!(self.verdict(node), Verdict::Alive { .. }) && plan::is_ready(node))
    }

    async fn allocate(&self, name: &str) -> Result<(), StatusError> {
        let _one_at_a_time = self.allocation.lock().await;
        let nodes = self.cluster.nodes.list();
        let taken: HashMap<_, _> = nodes
            .iter()
            .filter_map(|node| Some((cidr::of_node(node)?, node.metadata.name.clone()?)))
            .collect();
        let Some(node) = self.cluster.nodes.get("", name) else { return Ok(()) };
        if cidr::of_node(&node).is_some() {
            return Ok(());
        }
        self.actor.assign_range(&node, cidr::free(&self.config.pod_cidr, &taken)).await
    }
}
