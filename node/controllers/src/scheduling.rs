//! Gives every pending pod a node, or says why there is none.
//!
//! The decision is `skein_scheduler::schedule`; this module observes, converts and writes. It
//! decides about all pending pods at once whenever a pod or a node changed.

mod account;
mod convert;
mod hold;
#[cfg(test)]
mod tests;

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{self, PodCondition};
use skein_objects::StatusError;
use skein_scheduler::{Decision, Snapshot, Strategy, schedule};
use skein_storage::{Client, EventRecorder, EventType};
use tokio::{sync::Notify, time::Instant};

use crate::{
    cluster::Cluster,
    limits::GATHER,
    pod::{Group, Pod},
    reconcile::is_race,
    uid::Uid,
    writes::concurrently,
};
use account::{Account, Ended};
use convert::{bound_pod, node_view};
use hold::Holds;

const SCHEDULER: &str = "default-scheduler";

/// Starts the scheduler for this term.
pub(crate) fn start(cluster: &Cluster, strategy: Strategy) {
    let changed = Arc::new(Notify::new());
    cluster.follow(&cluster.pods, {
        let changed = changed.clone();
        move |_| changed.notify_one()
    });
    cluster.follow(&cluster.nodes, {
        let changed = changed.clone();
        move |_| changed.notify_one()
    });
    let mut scheduler = Scheduler {
        pods: cluster.storage.typed(),
        cluster: cluster.clone(),
        events: cluster.recorder(SCHEDULER),
        strategy,
        assumed: HashMap::new(),
        holds: Holds::default(),
        account: Account::new(cluster.metrics.scheduler.clone(), SCHEDULER),
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

/// A pod, the node it was given if there is one, and when that was written.
type Written = (Arc<Pod>, Result<Option<Arc<str>>, StatusError>, Instant);

struct Scheduler {
    cluster: Cluster,
    pods: Client<v1::Pod>,
    events: EventRecorder,
    strategy: Strategy,
    /// Bindings that were written but that the informer does not show yet, by the pod's uid.
    assumed: HashMap<Uid, Arc<str>>,
    /// Pods whose last decision could not be written.
    holds: Holds,
    account: Account,
}

impl Scheduler {
    /// Decides about all pending pods and writes the decisions. A pod is held back for a while if
    /// its write failed for another reason than that the pod had changed.
    async fn pass(&mut self) {
        let began = Instant::now();
        let (pending, held) = self.pending(began);
        self.account.pending(pending.len(), 0, held);
        if pending.is_empty() {
            return;
        }
        let snapshot = self.observe();
        let views: Vec<_> = pending.iter().map(|pod| &pod.shape.placement).collect();
        let decisions = schedule(&snapshot, &views, self.strategy);
        let writes = pending.into_iter().zip(decisions).map(|(pod, decision)| {
            let this = &*self;
            let nodes = &snapshot.nodes;
            async move {
                let written = match decision {
                    Decision::Place(index) => {
                        let node = &nodes[index].name;
                        this.bind(&pod, node).await.map(|()| Some(Arc::from(node.as_str())))
                    }
                    Decision::Refuse(why) => {
                        this.refuse(&pod, &why.to_string()).await.map(|()| None)
                    }
                };
                (pod, written, Instant::now())
            }
        });
        let written = concurrently(writes).await;
        let unschedulable = self.note(&written, began);
        for (pod, written, _) in written {
            match written {
                Ok(node) => {
                    self.holds.release(&pod.uid);
                    self.assumed.extend(node.map(|node| (pod.uid.clone(), node)));
                }
                Err(error) if is_race(&error) => self.holds.release(&pod.uid),
                Err(error) => {
                    let Pod { namespace, name, .. } = &*pod;
                    tracing::warn!(
                        %namespace, %name, %error, "a scheduling decision could not be written"
                    );
                    self.holds.fail(&pod.uid, Instant::now());
                }
            }
        }
        self.account.pending(0, unschedulable, self.holds.len());
    }

    /// Counts how a pass that began then has ended for each pod; returns how many found no room.
    fn note(&mut self, written: &[Written], began: Instant) -> usize {
        let mut unschedulable = 0;
        for (pod, written, at) in written {
            let how = match written {
                Ok(Some(_)) => Ended::Scheduled,
                Ok(None) => Ended::Unschedulable,
                Err(_) => Ended::Error,
            };
            unschedulable += usize::from(how == Ended::Unschedulable);
            self.account.ended(&pod.uid, how, began, *at);
        }
        unschedulable
    }

    /// The pods that wait and are not held back, oldest first, and how many are.
    fn pending(&mut self, now: Instant) -> (Vec<Arc<Pod>>, usize) {
        let mut pending = self.cluster.pods.list_groups(&[Group::Waiting]);
        let waiting: HashSet<&Uid> = pending.iter().map(|pod| &pod.uid).collect();
        self.assumed.retain(|uid, _| waiting.contains(uid));
        pending.retain(|pod| !self.assumed.contains_key(&pod.uid));
        let undecided = pending.iter().map(|pod| &pod.uid).collect();
        self.holds.keep(&undecided);
        self.account.wait(&undecided, now);
        let all = pending.len();
        pending.retain(|pod| !self.holds.holds(&pod.uid, now));
        let held = all - pending.len();
        // Names decide between those of one second: they are in order already.
        pending.sort_by_key(|pod| pod.created);
        (pending, held)
    }

    /// Everything that a decision depends on beside the pods it is about.
    fn observe(&self) -> Snapshot {
        let pods = self.cluster.pods.list();
        let running = pods.iter().filter(|pod| !pod.is_finished());
        let bound = running.filter_map(|pod| {
            let node = pod.node.as_ref().or_else(|| self.assumed.get(&pod.uid))?;
            Some(bound_pod(pod, node.clone()))
        });
        let nodes = self.cluster.nodes.list();
        let nodes = nodes.iter().filter(|node| node.metadata.deletion_timestamp.is_none());
        Snapshot { nodes: nodes.map(|node| node_view(node)).collect(), bound: bound.collect() }
    }

    async fn bind(&self, pod: &Pod, node: &str) -> Result<(), StatusError> {
        let Pod { namespace, name, .. } = pod;
        let uid = pod.uid.to_string();
        self.cluster.storage.bind(namespace, name, node, Some(&uid)).await?;
        let message = format!("Successfully assigned {namespace}/{name} to {node}");
        self.events.event_about(pod.reference(), EventType::Normal, "Scheduled", message);
        Ok(())
    }

    /// Says on the pod why it waits, unless it already says so.
    async fn refuse(&self, pod: &Pod, why: &str) -> Result<(), StatusError> {
        if pod.refusal.as_deref() == Some(why) {
            return Ok(());
        }
        self.events.event_about(pod.reference(), EventType::Warning, "FailedScheduling", why);
        let now = Timestamp::now();
        let write = self.pods.modify_status(&pod.namespace, &pod.name, |fresh| {
            if pod.is(fresh) && !is_bound(fresh) {
                note_refusal(fresh, why, now);
            }
        });
        write.await.map(|_| ())
    }
}

fn is_bound(pod: &v1::Pod) -> bool {
    let node = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref());
    node.is_some_and(|node| !node.is_empty())
}

fn note_refusal(pod: &mut v1::Pod, why: &str, now: Timestamp) {
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
