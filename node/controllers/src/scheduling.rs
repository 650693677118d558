//! Gives every pending pod a node, or says why there is none.
//!
//! The decision is `skein_scheduler::schedule`; this module observes, converts and writes. It
//! decides about all pending pods at once whenever a pod or a node changed.

mod convert;
mod hold;
#[cfg(test)]
mod tests;
mod wait;

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, PodCondition};
use skein_objects::StatusError;
use skein_scheduler::{Decision, Snapshot, Strategy, schedule};
use skein_storage::{Client, EventRecorder, EventType};
use tokio::{sync::Notify, time::Instant};

use crate::{cluster::Cluster, limits::GATHER, pod, reconcile::is_race, writes::concurrently};
use convert::{bound_pod, node_view, pod_view};
use hold::Holds;

const SCHEDULER: &str = "default-scheduler";

/// Starts the scheduler for this term.
pub(crate) fn start(cluster: &Cluster, strategy: Strategy) {
    let changed = Arc::new(Notify::new());
    let wake = |changed: &Arc<Notify>| {
        let changed = changed.clone();
        move |_| changed.notify_one()
    };
    cluster.follow(&cluster.pods, wake(&changed));
    cluster.follow(&cluster.nodes, wake(&changed));
    let mut scheduler = Scheduler {
        pods: cluster.storage.typed(),
        cluster: cluster.clone(),
        events: cluster.recorder(SCHEDULER),
        strategy,
        assumed: HashMap::new(),
        holds: Holds::default(),
    };
    cluster.spawn(async move {
        loop {
            match scheduler.holds.next() {
                Some(due) => tokio::select! {
                    () = changed.notified() => {}
                    () = tokio::time::sleep_until(due) => {}
                },
                None => changed.notified().await,
            }
            tokio::time::sleep(GATHER).await;
            scheduler.pass().await;
        }
    });
}

struct Scheduler {
    cluster: Cluster,
    pods: Client<Pod>,
    events: EventRecorder,
    strategy: Strategy,
    /// Bindings that were written but that the informer does not show yet, by the pod's uid.
    assumed: HashMap<String, String>,
    /// Pods whose last decision could not be written.
    holds: Holds,
}

impl Scheduler {
    /// Decides about all pending pods and writes the decisions. A pod is held back for a while if
    /// its write failed for another reason than that the pod had changed.
    async fn pass(&mut self) {
        let (pending, snapshot) = self.observe();
        if pending.is_empty() {
            return;
        }
        let views: Vec<_> = pending.iter().map(|pod| pod_view(pod)).collect();
        let decisions = schedule(&snapshot, &views, self.strategy);
        let writes = pending.into_iter().zip(decisions).map(|(pod, decision)| {
            let this = &*self;
            let nodes = &snapshot.nodes;
            async move {
                let written = match decision {
                    Decision::Place(index) => {
                        let node = &nodes[index].name;
                        this.bind(&pod, node).await.map(|()| Some(node.clone()))
                    }
                    Decision::Refuse(why) => {
                        this.refuse(&pod, &why.to_string()).await.map(|()| None)
                    }
                };
                (pod, written)
            }
        });
        for (pod, written) in concurrently(writes).await {
            let uid = uid_of(&pod);
            match written {
                Ok(node) => {
                    self.holds.release(uid);
                    self.assumed.extend(node.map(|node| (uid.to_owned(), node)));
                }
                Err(error) if is_race(&error) => self.holds.release(uid),
                Err(error) => {
                    let (namespace, name) = names(&pod);
                    tracing::warn!(
                        namespace, name, %error, "a scheduling decision could not be written"
                    );
                    self.holds.fail(uid, Instant::now());
                }
            }
        }
    }

    /// The pods that wait and are not held back, oldest first, and everything a decision about
    /// them depends on.
    fn observe(&mut self) -> (Vec<Arc<Pod>>, Snapshot) {
        let (mut pending, mut snapshot, mut assumed) =
            (Vec::new(), Snapshot::default(), HashMap::new());
        let pods = self.cluster.pods.list();
        if !pods.iter().any(|pod| wait::waits_for_node(pod)) {
            self.assumed.clear();
            self.holds.keep(&HashSet::new());
            return (pending, snapshot);
        }
        for pod in pods {
            let uid = uid_of(&pod);
            if let Some(node) = pod::node_name(&pod) {
                if !pod::is_finished(&pod) {
                    snapshot.bound.push(bound_pod(&pod, node));
                }
            } else if let Some((uid, node)) = self.assumed.remove_entry(uid) {
                snapshot.bound.push(bound_pod(&pod, &node));
                assumed.insert(uid, node);
            } else if wait::waits_for_node(&pod) {
                pending.push(pod);
            }
        }
        self.assumed = assumed;
        self.holds.keep(&pending.iter().map(|pod| uid_of(pod)).collect());
        let now = Instant::now();
        pending.retain(|pod| !self.holds.holds(uid_of(pod), now));
        pending.sort_by_cached_key(|pod| wait::place_in_line(pod));
        let nodes = self.cluster.nodes.list();
        let nodes = nodes.iter().filter(|node| node.metadata.deletion_timestamp.is_none());
        snapshot.nodes = nodes.map(|node| node_view(node)).collect();
        (pending, snapshot)
    }

    async fn bind(&self, pod: &Pod, node: &str) -> Result<(), StatusError> {
        let (namespace, name) = names(pod);
        let uid = pod.metadata.uid.as_deref();
        self.cluster.storage.bind(namespace, name, node, uid).await?;
        let message = format!("Successfully assigned {namespace}/{name} to {node}");
        self.events.event(pod, EventType::Normal, "Scheduled", message);
        Ok(())
    }

    /// Says on the pod why it waits, unless it already says so.
    async fn refuse(&self, pod: &Pod, why: &str) -> Result<(), StatusError> {
        let said = pod::condition(pod, "PodScheduled").and_then(|said| said.message.as_deref());
        if said == Some(why) {
            return Ok(());
        }
        self.events.event(pod, EventType::Warning, "FailedScheduling", why);
        let (namespace, name) = names(pod);
        let now = Timestamp::now();
        let uid = pod.metadata.uid.clone();
        let write = self.pods.modify_status(namespace, name, |fresh| {
            if fresh.metadata.uid == uid && pod::node_name(fresh).is_none() {
                note_refusal(fresh, why, now);
            }
        });
        write.await.map(|_| ())
    }
}

fn note_refusal(pod: &mut Pod, why: &str, now: Timestamp) {
    let status = pod.status.get_or_insert_default();
    let conditions = status.conditions.get_or_insert_default();
    let position = conditions.iter().position(|condition| condition.type_ == "PodScheduled");
    let old = position.map(|position| conditions.remove(position));
    let since = old.filter(|old| old.status == "False").and_then(|old| old.last_transition_time);
    let condition = PodCondition {
        type_: "PodScheduled".to_owned(),
        status: "False".to_owned(),
        reason: Some("Unschedulable".to_owned()),
        message: Some(why.to_owned()),
        last_transition_time: since.or_else(|| Some(now.into())),
        ..PodCondition::default()
    };
    conditions.insert(position.unwrap_or(conditions.len()), condition);
}

fn uid_of(pod: &Pod) -> &str {
    pod.metadata.uid.as_deref().unwrap_or_default()
}

fn names(pod: &Pod) -> (&str, &str) {
    (
        pod.metadata.namespace.as_deref().unwrap_or_default(),
        pod.metadata.name.as_deref().unwrap_or_default(),
    )
}
