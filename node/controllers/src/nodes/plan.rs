//! The decision: from a node, the membership's verdict and its pods to what must change.

use std::{sync::Arc, time::Duration};

use k8s_openapi::{
    api::core::v1::{Node, NodeCondition, Taint},
    jiff::{SignedDuration, Timestamp},
};

use super::{
    eviction::{Eviction, eviction},
    taints::{self, NO_EXECUTE, NO_SCHEDULE, NOT_READY, UNREACHABLE, UNSCHEDULABLE},
};
use crate::pod::Pod;

/// What the membership says about a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It answers.
    Alive {
        /// Since when.
        since: Timestamp,
    },
    /// It does not, which was confirmed.
    Dead,
    /// Nothing was heard of it yet.
    Unknown {
        /// How long it may stay so.
        left: Duration,
    },
}

/// What the decision is made from.
pub(super) struct Observed<'a> {
    pub(super) node: &'a Node,
    /// The pods bound to it.
    pub(super) pods: &'a [Arc<Pod>],
    pub(super) verdict: Verdict,
    /// Whether another node could take its pods.
    pub(super) refuge: bool,
    /// How long a node that answers but is not ready keeps its pods.
    pub(super) not_ready_grace: Duration,
}

/// What must change, in this order.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Plan {
    /// Its conditions, if they change.
    pub(super) conditions: Option<Vec<NodeCondition>>,
    /// All its taints, if they change.
    pub(super) taints: Option<Vec<Taint>>,
    /// Pods to mark for deletion.
    pub(super) evict: Vec<Arc<Pod>>,
    /// Pods to mark not ready.
    pub(super) unready: Vec<Arc<Pod>>,
    /// When to look again although nothing happened.
    pub(super) recheck: Option<Duration>,
}

/// Decides what becomes of a node and its pods.
pub(super) fn plan(observed: &Observed<'_>, now: Timestamp) -> Plan {
    let node = observed.node;
    let mut plan = Plan::default();
    if let Verdict::Unknown { left } = observed.verdict {
        plan.recheck = Some(left);
    }
    if observed.verdict == Verdict::Dead && !was_found_dead(node) {
        plan.conditions = Some(with_unknown_ready(node, now));
    }
    let (wanted, recheck) = wanted_taints(observed, now);
    let taints = taints::with(node, &wanted, now);
    soonest(&mut plan.recheck, recheck);
    let present = node.spec.as_ref().and_then(|spec| spec.taints.clone()).unwrap_or_default();
    for pod in observed.pods.iter().filter(|pod| pod.is_active()) {
        match eviction(pod, &taints, now) {
            Eviction::Now if observed.refuge => plan.evict.push(pod.clone()),
            Eviction::After(left) => soonest(&mut plan.recheck, Some(left)),
            Eviction::Now | Eviction::Never => {}
        }
    }
    if observed.verdict == Verdict::Dead {
        let ready = observed.pods.iter().filter(|pod| pod.ready_since.is_some());
        plan.unready = ready.cloned().collect();
    }
    plan.taints = (taints != present).then_some(taints);
    plan
}

/// Whether the node says it can run pods.
pub(super) fn is_ready(node: &Node) -> bool {
    ready_status(node) == Some("True")
}

/// Whether a leader has found the node dead, and nobody has heard of it since.
pub(super) fn was_found_dead(node: &Node) -> bool {
    ready_status(node) == Some("Unknown")
}

type Wanted = Vec<(&'static str, &'static str)>;

fn wanted_taints(observed: &Observed<'_>, now: Timestamp) -> (Wanted, Option<Duration>) {
    let node = observed.node;
    let mut wanted = Vec::new();
    let mut recheck = None;
    match observed.verdict {
        Verdict::Dead => wanted.extend([(UNREACHABLE, NO_SCHEDULE), (UNREACHABLE, NO_EXECUTE)]),
        Verdict::Alive { .. } | Verdict::Unknown { .. } if is_ready(node) => {}
        Verdict::Alive { since } => {
            wanted.push((NOT_READY, NO_SCHEDULE));
            let transition = ready(node).and_then(|ready| ready.last_transition_time.as_ref());
            let unready_since = transition.map_or(now, |time| time.0).max(since);
            let grace = SignedDuration::try_from(observed.not_ready_grace);
            let left = grace.unwrap_or(SignedDuration::MAX) - now.duration_since(unready_since);
            match Duration::try_from(left) {
                Ok(left) if !left.is_zero() => recheck = Some(left),
                _ => wanted.push((NOT_READY, NO_EXECUTE)),
            }
        }
        Verdict::Unknown { .. } => wanted.push((NOT_READY, NO_SCHEDULE)),
    }
    if node.spec.as_ref().and_then(|spec| spec.unschedulable).unwrap_or(false) {
        wanted.push((UNSCHEDULABLE, NO_SCHEDULE));
    }
    (wanted, recheck)
}

fn with_unknown_ready(node: &Node, now: Timestamp) -> Vec<NodeCondition> {
    let conditions = node.status.as_ref().and_then(|status| status.conditions.clone());
    let mut conditions = conditions.unwrap_or_default();
    conditions.retain(|condition| condition.type_ != "Ready");
    conditions.push(NodeCondition {
        type_: "Ready".to_owned(),
        status: "Unknown".to_owned(),
        reason: Some("NodeStatusUnknown".to_owned()),
        message: Some("The node stopped answering the cluster.".to_owned()),
        last_heartbeat_time: ready(node).and_then(|ready| ready.last_heartbeat_time.clone()),
        last_transition_time: Some(now.into()),
    });
    conditions
}

fn ready(node: &Node) -> Option<&NodeCondition> {
    let conditions = node.status.as_ref()?.conditions.as_ref()?;
    conditions.iter().find(|condition| condition.type_ == "Ready")
}

fn ready_status(node: &Node) -> Option<&str> {
    ready(node).map(|ready| ready.status.as_str())
}

fn soonest(recheck: &mut Option<Duration>, other: Option<Duration>) {
    *recheck = (*recheck).into_iter().chain(other).min();
}
