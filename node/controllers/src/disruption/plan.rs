//! The decision: from a budget and its pods to how many may go.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use k8s_openapi::{
    api::{
        apps::v1::{Deployment, ReplicaSet},
        policy::v1::{PodDisruptionBudget, PodDisruptionBudgetStatus},
    },
    apimachinery::pkg::{
        apis::meta::v1::{Condition, Time},
        util::intstr::IntOrString,
    },
    jiff::Timestamp,
};

use crate::{
    deployment::bounds::{Rounding, replicas, resolve, set_replicas},
    limits::EVICTION_PATIENCE,
    owner::controller_of,
    pod::Pod,
};

const CONDITION: &str = "DisruptionAllowed";

/// Who may want the pods of a budget: all of its namespace.
pub(super) struct Owners<'a> {
    pub(super) sets: &'a [Arc<ReplicaSet>],
    pub(super) deployments: &'a [Arc<Deployment>],
}

/// What the status should say, and when to look again although nothing happened. `pods` are those
/// that the budget is about.
pub(super) fn status(
    budget: &PodDisruptionBudget,
    pods: &[Arc<Pod>],
    owners: &Owners<'_>,
    now: Timestamp,
) -> (PodDisruptionBudgetStatus, Option<Duration>) {
    let before = budget.status.clone().unwrap_or_default();
    let (disrupted, recheck) = still_disrupted(&before, pods, now);
    let healthy = pods.iter().filter(|pod| is_healthy(pod));
    let healthy = count(healthy.filter(|pod| !disrupted.contains_key(&*pod.name)));
    let (expected, desired) = wanted(budget, pods, owners);
    let allowed = if expected > 0 { (healthy - desired).max(0) } else { 0 };
    let status = PodDisruptionBudgetStatus {
        conditions: Some(vec![condition(&before, budget.metadata.generation, allowed, now)]),
        current_healthy: Some(healthy),
        desired_healthy: Some(desired),
        disrupted_pods: (!disrupted.is_empty()).then_some(disrupted),
        disruptions_allowed: Some(allowed),
        expected_pods: Some(expected),
        observed_generation: budget.metadata.generation,
    };
    (status, recheck)
}

/// Whether a pod counts for those that depend on it.
fn is_healthy(pod: &Pod) -> bool {
    pod.is_active() && pod.ready_since.is_some()
}

/// The pods whose eviction was allowed and that are neither deleted nor forgotten, and when the
/// next one will be forgotten.
fn still_disrupted(
    before: &PodDisruptionBudgetStatus,
    pods: &[Arc<Pod>],
    now: Timestamp,
) -> (BTreeMap<String, Time>, Option<Duration>) {
    let mut recheck: Option<Duration> = None;
    let mut disrupted = BTreeMap::new();
    for (name, since) in before.disrupted_pods.iter().flatten() {
        let stands = pods.iter().any(|pod| *pod.name == **name && !pod.is_terminating);
        let left = EVICTION_PATIENCE - now.duration_since(since.0);
        if stands && left.is_positive() {
            // A clock that was set back makes nobody wait for longer.
            let left = left.min(EVICTION_PATIENCE).unsigned_abs();
            recheck = Some(recheck.map_or(left, |other| other.min(left)));
            disrupted.insert(name.clone(), since.clone());
        }
    }
    (disrupted, recheck)
}

/// How many pods there should be, and how many of them healthy.
fn wanted(budget: &PodDisruptionBudget, pods: &[Arc<Pod>], owners: &Owners<'_>) -> (i32, i32) {
    let spec = budget.spec.as_ref();
    let share = |of: &IntOrString, pods| resolve(Some(of), pods, Rounding::Up);
    let least = spec.and_then(|spec| spec.min_available.as_ref());
    let most = spec.and_then(|spec| spec.max_unavailable.as_ref());
    match (most, least) {
        (Some(most), _) => {
            let expected = expected(pods, owners);
            (expected, (expected - share(most, expected)).max(0))
        }
        (None, Some(IntOrString::Int(least))) => (count(pods.iter()), *least),
        (None, Some(least)) => {
            let expected = expected(pods, owners);
            (expected, share(least, expected))
        }
        // As if one must be available, which is Kubernetes' default.
        (None, None) => (count(pods.iter()), 1),
    }
}

/// How many pods those who control these want: deployments, and sets of their own; pods that nobody
/// controls count for nothing.
fn expected(pods: &[Arc<Pod>], owners: &Owners<'_>) -> i32 {
    let (mut total, mut counted) = (0_i32, BTreeSet::new());
    for set in owners.sets {
        let uid = set.metadata.uid.as_deref();
        if uid.is_none() || !pods.iter().any(|pod| pod.controller() == uid) {
            continue;
        }
        let above = controller_of(&set.metadata).and_then(|owner| {
            let is_it = |one: &&Arc<Deployment>| one.metadata.uid.as_ref() == Some(&owner.uid);
            owners.deployments.iter().find(is_it)
        });
        let (uid, wanted) = match above {
            Some(deployment) => (deployment.metadata.uid.as_deref(), replicas(deployment)),
            None => (uid, set_replicas(set)),
        };
        if counted.insert(uid) {
            total = total.saturating_add(wanted);
        }
    }
    total
}

fn count<'a>(pods: impl Iterator<Item = &'a Arc<Pod>>) -> i32 {
    i32::try_from(pods.count()).unwrap_or(i32::MAX)
}

fn condition(
    before: &PodDisruptionBudgetStatus,
    generation: Option<i64>,
    allowed: i32,
    now: Timestamp,
) -> Condition {
    let (status, reason) =
        if allowed > 0 { ("True", "SufficientPods") } else { ("False", "InsufficientPods") };
    let known = before.conditions.iter().flatten().find(|one| one.type_ == CONDITION);
    let since =
        known.filter(|one| one.status == status).map(|one| one.last_transition_time.clone());
    Condition {
        type_: CONDITION.to_owned(),
        status: status.to_owned(),
        reason: reason.to_owned(),
        message: String::new(),
        last_transition_time: since.unwrap_or(Time(now)),
        observed_generation: generation,
    }
}
