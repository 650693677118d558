//! The decision: from a replica set and the pods of its namespace to what must change.

use std::{sync::Arc, time::Duration};

use k8s_openapi::{
    api::apps::v1::{ReplicaSet, ReplicaSetCondition, ReplicaSetStatus},
    jiff::Timestamp,
};

use super::rank::order_for_deletion;
use crate::{
    owner::{Claim, claim},
    pod::Pod,
    selector::Selector,
};

/// What the decision is made from.
pub(super) struct Observed<'a> {
    /// The replica set.
    pub(super) set: &'a ReplicaSet,
    /// Its pods and those of its namespace that nobody controls; those of others are ignored.
    pub(super) pods: &'a [Arc<Pod>],
}

/// What must change. Pods are named; the driver adds uid and version as preconditions.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Plan {
    /// Pods without controller that fit the selector.
    pub(super) adopt: Vec<String>,
    /// Own pods that no longer fit it.
    pub(super) release: Vec<String>,
    /// How many pods to make.
    pub(super) create: usize,
    /// Which pods to delete, most expendable first.
    pub(super) delete: Vec<String>,
    /// What the status should say once nothing above is left to do.
    pub(super) status: ReplicaSetStatus,
    /// When to look again although nothing happened: a ready pod becomes available then.
    pub(super) recheck: Option<Duration>,
}

/// Decides the pod changes that bring a replica set to its desired count.
///
/// Pure: the same observation always yields the same plan. Adoptable pods count as its own, so
/// that nothing is made beside them.
pub(super) fn plan(observed: &Observed<'_>, now: Timestamp) -> Plan {
    let set = observed.set;
    let mut plan = Plan::default();
    let mut mine: Vec<&Pod> = Vec::new();
    let selector = Selector::of(set.spec.as_ref().map(|spec| &spec.selector));
    for pod in observed.pods {
        let name = || pod.name.to_string();
        match claim(&set.metadata, &**pod, selector.picks(&pod.shape.labels)) {
            Claim::Owned => mine.push(pod),
            Claim::Adopt if pod.is_active() => {
                plan.adopt.push(name());
                mine.push(pod);
            }
            Claim::Release => plan.release.push(name()),
            Claim::Adopt | Claim::Foreign => {}
        }
    }
    let mut active: Vec<&Pod> = mine.iter().copied().filter(|pod| pod.is_active()).collect();
    if set.metadata.deletion_timestamp.is_none() {
        let desired = desired(set);
        plan.create = desired.saturating_sub(active.len());
        let excess = active.len().saturating_sub(desired);
        if excess > 0 {
            order_for_deletion(&mut active);
            plan.delete = active.iter().take(excess).map(|pod| pod.name.to_string()).collect();
        }
    }
    let terminating = mine.iter().filter(|pod| pod.is_terminating && !pod.is_finished()).count();
    (plan.status, plan.recheck) = status(set, &active, terminating, now);
    plan
}

/// How many pods the set wants.
pub(super) fn desired(set: &ReplicaSet) -> usize {
    let replicas = set.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
    usize::try_from(replicas).unwrap_or(0)
}

fn status(
    set: &ReplicaSet,
    active: &[&Pod],
    terminating: usize,
    now: Timestamp,
) -> (ReplicaSetStatus, Option<Duration>) {
    let spec = set.spec.as_ref();
    let min_ready_seconds = spec.and_then(|spec| spec.min_ready_seconds).unwrap_or(0);
    let template_labels = spec
        .and_then(|spec| spec.template.as_ref())
        .and_then(|template| template.metadata.as_ref())
        .and_then(|meta| meta.labels.as_ref());
    let labelled = |pod: &&&Pod| {
        let labels = &pod.shape.labels;
        template_labels.into_iter().flatten().all(|(key, value)| labels.get(key) == Some(value))
    };
    let waits: Vec<_> =
        active.iter().filter_map(|pod| pod.available_in(min_ready_seconds, now)).collect();
    let available = waits.iter().filter(|wait| wait.is_zero()).count();
    let recheck = waits.iter().filter(|wait| !wait.is_zero()).min();
    let status = ReplicaSetStatus {
        replicas: count(active.len()),
        fully_labeled_replicas: Some(count(active.iter().filter(labelled).count())),
        ready_replicas: Some(count(waits.len())),
        available_replicas: Some(count(available)),
        terminating_replicas: Some(count(terminating)),
        observed_generation: set.metadata.generation,
        conditions: set.status.as_ref().and_then(|status| status.conditions.clone()),
    };
    (status, recheck.and_then(|wait| Duration::try_from(*wait).ok()))
}

/// The status with the `ReplicaFailure` condition set or cleared after an attempt to make and
/// delete pods.
pub(super) fn with_failure(
    mut status: ReplicaSetStatus,
    failure: Option<(&str, String)>,
    now: Timestamp,
) -> ReplicaSetStatus {
    const REPLICA_FAILURE: &str = "ReplicaFailure";
    let mut conditions = status.conditions.take().unwrap_or_default();
    let known = conditions.iter().any(|condition| condition.type_ == REPLICA_FAILURE);
    match failure {
        Some((reason, message)) if !known => conditions.push(ReplicaSetCondition {
            type_: REPLICA_FAILURE.to_owned(),
            status: "True".to_owned(),
            reason: Some(reason.to_owned()),
            message: Some(message),
            last_transition_time: Some(now.into()),
        }),
        Some(_) => {}
        None => conditions.retain(|condition| condition.type_ != REPLICA_FAILURE),
    }
    status.conditions = (!conditions.is_empty()).then_some(conditions);
    status
}

fn count(number: usize) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}
