//! What a deployment's status says, so that `kubectl rollout status` can be believed.

use std::time::Duration;

use k8s_openapi::{
    api::apps::v1::{Deployment, DeploymentCondition, DeploymentStatus},
    jiff::{SignedDuration, Timestamp},
};

use super::{
    bounds::{Bounds, replicas, set_available, set_replicas},
    family::Family,
};

/// Kubernetes' default progress deadline.
const DEFAULT_DEADLINE_SECONDS: i32 = 600;

const AVAILABLE: &str = "Available";
const PROGRESSING: &str = "Progressing";
const NEW_AVAILABLE: &str = "NewReplicaSetAvailable";
const DEADLINE_EXCEEDED: &str = "ProgressDeadlineExceeded";
const PAUSED: &str = "DeploymentPaused";

/// The set of the current template.
#[derive(Clone, Copy, Debug)]
pub(super) enum Made<'a> {
    /// It is made by this very plan.
    Now(&'a str),
    /// It was there.
    Before(&'a str),
}

impl<'a> Made<'a> {
    fn name(self) -> &'a str {
        match self {
            Self::Now(name) | Self::Before(name) => name,
        }
    }
}

/// Whether rollouts are suspended.
pub(super) fn is_paused(deployment: &Deployment) -> bool {
    deployment.spec.as_ref().and_then(|spec| spec.paused).unwrap_or(false)
}

/// Whether everything runs as the deployment says.
pub(super) fn is_complete(deployment: &Deployment, status: &DeploymentStatus) -> bool {
    let wanted = Some(replicas(deployment));
    let all = [status.replicas, status.updated_replicas, status.available_replicas];
    all.iter().all(|count| count.or(Some(0)) == wanted)
}

/// The numbers, with the conditions as they were.
pub(super) fn count(deployment: &Deployment, family: &Family<'_>) -> DeploymentStatus {
    let statuses = || family.all().filter_map(|set| set.status.as_ref());
    let available: i32 = family.all().map(set_available).sum();
    let wanted: i32 = family.all().map(set_replicas).sum();
    let updated =
        family.new.and_then(|new| new.status.as_ref()).map_or(0, |status| status.replicas);
    let before = deployment.status.as_ref();
    DeploymentStatus {
        observed_generation: deployment.metadata.generation,
        replicas: Some(statuses().map(|status| status.replicas).sum()),
        updated_replicas: Some(updated),
        ready_replicas: Some(statuses().filter_map(|status| status.ready_replicas).sum()),
        available_replicas: Some(available),
        unavailable_replicas: Some((wanted - available).max(0)),
        terminating_replicas: Some(
            statuses().filter_map(|status| status.terminating_replicas).sum(),
        ),
        collision_count: before.and_then(|status| status.collision_count),
        conditions: before.and_then(|status| status.conditions.clone()),
    }
}

/// The status, and when the progress deadline would pass.
pub(super) fn next(
    deployment: &Deployment,
    family: &Family<'_>,
    bounds: Bounds,
    made: Option<Made<'_>>,
    now: Timestamp,
) -> (DeploymentStatus, Option<Duration>) {
    let mut status = count(deployment, family);
    let enough = status.available_replicas.unwrap_or(0) >= bounds.min_available();
    let available = if enough {
        ("True", "MinimumReplicasAvailable", "Deployment has minimum availability.".to_owned())
    } else {
        let message = "Deployment does not have minimum availability.".to_owned();
        ("False", "MinimumReplicasUnavailable", message)
    };
    set(&mut status, AVAILABLE, available, Report::OnChange, now);
    let Some(deadline) = deadline(deployment) else {
        return (status, None);
    };
    if let Some((report, said)) = progress(deployment, &status, made, deadline, now) {
        set(&mut status, PROGRESSING, said, report, now);
    }
    let condition = find(&status, PROGRESSING);
    let waits = condition.filter(|condition| {
        let reason = condition.reason.as_deref().unwrap_or_default();
        ![NEW_AVAILABLE, DEADLINE_EXCEEDED, PAUSED].contains(&reason)
    });
    let recheck = waits.and_then(|condition| {
        let left = deadline - now.duration_since(condition.last_update_time.as_ref()?.0);
        Duration::try_from(left.max(SignedDuration::from_secs(1))).ok()
    });
    (status, recheck)
}

type Said = (&'static str, &'static str, String);

/// Whether a condition that says what it said before counts as news.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Report {
    /// Only if it says something else.
    OnChange,
    /// Always: there was progress.
    Always,
}

fn deadline(deployment: &Deployment) -> Option<SignedDuration> {
    let seconds = deployment.spec.as_ref().and_then(|spec| spec.progress_deadline_seconds);
    let seconds = seconds.unwrap_or(DEFAULT_DEADLINE_SECONDS);
    (seconds != i32::MAX).then(|| SignedDuration::from_secs(seconds.into()))
}

fn progress(
    deployment: &Deployment,
    status: &DeploymentStatus,
    made: Option<Made<'_>>,
    deadline: SignedDuration,
    now: Timestamp,
) -> Option<(Report, Said)> {
    let said = find(status, PROGRESSING);
    let reason = said.and_then(|said| said.reason.as_deref());
    if is_paused(deployment) {
        let said = ("Unknown", PAUSED, "Deployment is paused".to_owned());
        return (reason != Some(PAUSED)).then_some((Report::OnChange, said));
    }
    let subject = match made {
        Some(made) => format!("ReplicaSet {:?}", made.name()),
        None => format!("Deployment {:?}", deployment.metadata.name.as_deref().unwrap_or("")),
    };
    if let Some(Made::Now(name)) = made {
        let said = ("True", "NewReplicaSetCreated", format!("Created new replica set {name:?}"));
        return Some((Report::Always, said));
    }
    if reason == Some(NEW_AVAILABLE) && status.replicas == status.updated_replicas {
        return None;
    }
    if made.is_some() && is_complete(deployment, status) {
        let message = format!("{subject} has successfully progressed.");
        return Some((Report::OnChange, ("True", NEW_AVAILABLE, message)));
    }
    if has_progressed(deployment.status.as_ref(), status) {
        let message = format!("{subject} is progressing.");
        return Some((Report::Always, ("True", "ReplicaSetUpdated", message)));
    }
    match (said, reason) {
        (Some(said), Some(NEW_AVAILABLE)) if made.is_none() || mentions(said, &subject) => None,
        (None, _) | (Some(_), Some(NEW_AVAILABLE)) => {
            let name = made?.name();
            let said = ("True", "FoundNewReplicaSet", format!("Found new replica set {name:?}"));
            Some((Report::Always, said))
        }
        (Some(_), Some(PAUSED)) => {
            let said = ("Unknown", "DeploymentResumed", "Deployment is resumed".to_owned());
            Some((Report::Always, said))
        }
        (Some(_), Some(DEADLINE_EXCEEDED)) => None,
        (Some(said), _) => {
            let since = said.last_update_time.as_ref()?.0;
            let message = format!("{subject} has timed out progressing.");
            let late = now.duration_since(since) >= deadline;
            late.then_some((Report::OnChange, ("False", DEADLINE_EXCEEDED, message)))
        }
    }
}

fn mentions(said: &DeploymentCondition, subject: &str) -> bool {
    said.message.as_ref().is_some_and(|message| message.starts_with(subject))
}

fn has_progressed(before: Option<&DeploymentStatus>, status: &DeploymentStatus) -> bool {
    let numbers = |status: &DeploymentStatus| {
        let updated = status.updated_replicas.unwrap_or(0);
        let old = status.replicas.unwrap_or(0) - updated;
        let ready = status.ready_replicas.unwrap_or(0);
        (updated, old, ready, status.available_replicas.unwrap_or(0))
    };
    let was = before.map_or((0, 0, 0, 0), numbers);
    let is = numbers(status);
    is.0 > was.0 || is.1 < was.1 || is.2 > was.2 || is.3 > was.3
}

fn find<'a>(status: &'a DeploymentStatus, kind: &str) -> Option<&'a DeploymentCondition> {
    status.conditions.iter().flatten().find(|condition| condition.type_ == kind)
}

fn set(
    status: &mut DeploymentStatus,
    kind: &str,
    (value, reason, message): Said,
    report: Report,
    now: Timestamp,
) {
    let conditions = status.conditions.get_or_insert_default();
    let position = conditions.iter().position(|condition| condition.type_ == kind);
    let old = position.map(|position| conditions.remove(position));
    let moved = old.as_ref().is_none_or(|old| old.status != value);
    let news = report == Report::Always
        || old.as_ref().is_none_or(|old| moved || old.reason.as_deref() != Some(reason));
    let kept = |time: Option<k8s_openapi::apimachinery::pkg::apis::meta::v1::Time>, renew: bool| {
        time.filter(|_| !renew).or_else(|| Some(now.into()))
    };
    let (updated, transitioned) =
        old.map_or((None, None), |old| (old.last_update_time, old.last_transition_time));
    let condition = DeploymentCondition {
        type_: kind.to_owned(),
        status: value.to_owned(),
        reason: Some(reason.to_owned()),
        message: Some(message),
        last_update_time: kept(updated, news),
        last_transition_time: kept(transitioned, moved),
    };
    conditions.insert(position.unwrap_or(conditions.len()), condition);
}
