//! The eviction subresource of pods: a delete that respects disruption budgets.

use http::StatusCode;
use jiff::Timestamp;
use k8s_openapi::{
    api::{core::v1::Pod, policy::v1::PodDisruptionBudget},
    apimachinery::pkg::apis::meta::v1::Time,
};
use serde_json::Value;
use skein_consensus::Consistency;
use skein_objects::{Cause, Kind, Part, Reason, StatusError, parse, registry, selector};
use skein_storage::WriteOptions;

use super::delete::options_from;
use crate::{
    call::Call,
    limits,
    reply::{self, Reply},
    service::Service,
};

/// Deletes the pod under the `deleteOptions` of the `Eviction` in the body, if its budget allows.
pub(super) async fn evict(service: &Service, call: Call) -> Result<Reply, StatusError> {
    let (bytes, media) = call.read_object().await?;
    let eviction = if bytes.is_empty() { Value::Null } else { parse(&bytes, media)? };
    let options = options_from(&eviction["deleteOptions"], &call.query)?;
    let target = &call.target;
    let (kind, namespace, name) = (&target.kind, target.namespace(), target.name());
    if eviction["metadata"]["name"].as_str().is_some_and(|own| !own.is_empty() && own != name) {
        let rule = "name in URL does not match name in Eviction object";
        return Err(StatusError::bad_request(rule));
    }
    for _ in 0..limits::EVICTION_ATTEMPTS {
        let found = service.storage.get(kind, namespace, name, Consistency::Linearizable).await?;
        let (revision, pod) = (found.revision(), found.decode::<Pod>()?);
        let write = WriteOptions { dry_run: options.dry_run, ..WriteOptions::default() };
        let taken = counts(&pod)
            && match budget_of(service, namespace, &pod).await? {
                Some(budget) => take(service, &budget, &pod, &write).await?,
                None => false,
            };
        // It goes for free as it was when it was looked at: not once it has become ready.
        let mut options = options.clone();
        let free = !taken && !is_over(&pod);
        let looked_at = free && options.preconditions.resource_version.is_none();
        if looked_at {
            options.preconditions.resource_version = Some(revision);
        }
        match service.storage.delete(kind, namespace, name, &options).await {
            Err(error) if looked_at && error.reason == Reason::Conflict => {}
            deleted => {
                deleted?;
                return Ok(reply::success(StatusCode::CREATED, kind, name, None));
            }
        }
    }
    Err(StatusError::modified(kind, name))
}

/// Whether a pod has ended or is ending.
fn is_over(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    pod.metadata.deletion_timestamp.is_some() || matches!(phase, Some("Succeeded" | "Failed"))
}

/// Whether anybody can miss a pod: one that has not started, has ended or is ending nobody can.
fn counts(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    pod.metadata.deletion_timestamp.is_none() && matches!(phase, Some("Running" | "Unknown"))
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.into_iter().any(|one| one.type_ == "Ready" && one.status == "True")
}

/// The one budget that is about the pod.
async fn budget_of(
    service: &Service,
    namespace: &str,
    pod: &Pod,
) -> Result<Option<PodDisruptionBudget>, StatusError> {
    let labels = pod.metadata.labels.clone().unwrap_or_default();
    let protects = |budget: &PodDisruptionBudget| selector::protects(budget, &labels);
    let budgets = service.storage.typed::<PodDisruptionBudget>().list(Some(namespace)).await?;
    let mut theirs = budgets.into_iter().filter(protects);
    let first = theirs.next();
    if theirs.next().is_some() {
        return Err(StatusError::internal(
            "This pod has more than one PodDisruptionBudget, which the eviction subresource does \
             not support.",
        ));
    }
    Ok(first)
}

/// Takes one disruption from the budget, and says whether the pod needed one.
async fn take(
    service: &Service,
    budget: &PodDisruptionBudget,
    pod: &Pod,
    write: &WriteOptions,
) -> Result<bool, StatusError> {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let (namespace, name) = (text(&budget.metadata.namespace), text(&budget.metadata.name));
    let mut taken = false;
    let kind = registry().of::<PodDisruptionBudget>();
    let change = |object: Value| {
        let mut budget: PodDisruptionBudget = serde_json::from_value(object)
            .map_err(|error| StatusError::internal(error.to_string()))?;
        taken = decide(kind, &mut budget, pod, Timestamp::now())?;
        serde_json::to_value(budget).map_err(|error| StatusError::internal(error.to_string()))
    };
    service.storage.modify(kind, &namespace, &name, Part::Status, write, change).await?;
    Ok(taken)
}

/// Counts the pod's eviction in the budget, or refuses it; false where it need not be counted.
fn decide(
    kind: &Kind,
    budget: &mut PodDisruptionBudget,
    pod: &Pod,
    now: Timestamp,
) -> Result<bool, StatusError> {
    let name = budget.metadata.name.clone().unwrap_or_default();
    let policy = budget.spec.as_ref().and_then(|spec| spec.unhealthy_pod_eviction_policy.clone());
    let generation = budget.metadata.generation;
    let status = budget.status.get_or_insert_default();
    let (healthy, desired) =
        (status.current_healthy.unwrap_or(0), status.desired_healthy.unwrap_or(0));
    let allowed = status.disruptions_allowed.unwrap_or(0);
    if !is_ready(pod) {
        let enough = desired > 0 && healthy >= desired;
        if enough || policy.as_deref() == Some("AlwaysAllow") {
            return Ok(false);
        }
    }
    if status.observed_generation < generation {
        let why = format!("The disruption budget {name} is still being processed by the server.");
        return Err(refusal(why).retry_after(limits::EVICTION_RETRY_SECONDS));
    }
    let disrupted = status.disrupted_pods.get_or_insert_default();
    let pod_name = pod.metadata.name.clone().unwrap_or_default();
    let created = pod.metadata.creation_timestamp.as_ref();
    // Another pod of that name has yet to be counted.
    if disrupted.get(&pod_name).is_some_and(|since| created.is_none_or(|made| made.0 <= since.0)) {
        return Ok(true);
    }
    if disrupted.len() >= limits::DISRUPTED_PODS {
        let why = "DisruptedPods map too big - too many evictions not confirmed by PDB controller";
        return Err(StatusError::forbidden(kind, &name, why));
    }
    if allowed <= 0 {
        return Err(refusal(format!(
            "The disruption budget {name} needs {desired} healthy pods and has {healthy} currently"
        )));
    }
    status.disruptions_allowed = Some(allowed - 1);
    disrupted.insert(pod_name, Time(now));
    Ok(true)
}

fn refusal(why: String) -> StatusError {
    let message = "Cannot evict pod as it would violate the pod's disruption budget.";
    let mut error = StatusError::new(Reason::TooManyRequests, message);
    let field = String::new();
    error.details.causes = vec![Cause { reason: "DisruptionBudget", message: why, field }];
    error
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(ready: &str) -> Pod {
        serde_json::from_value(json!({
            "metadata": {"name": "a", "creationTimestamp": "2026-01-01T00:00:10Z"},
            "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": ready}]},
        }))
        .unwrap()
    }

    fn budget(policy: &str, healthy: i32, allowed: i32, evicted: Value) -> PodDisruptionBudget {
        serde_json::from_value(json!({
            "metadata": {"name": "web", "generation": 1},
            "spec": {"unhealthyPodEvictionPolicy": policy},
            "status": {"observedGeneration": 1, "desiredHealthy": 2, "currentHealthy": healthy,
                "disruptionsAllowed": allowed, "expectedPods": 3, "disruptedPods": evicted},
        }))
        .unwrap()
    }

    #[test]
    fn a_budget_counts_those_who_are_missed_once() {
        let now = "2026-01-01T00:01:00Z".parse().unwrap();
        let (careful, lax) = ("IfHealthyBudget", "AlwaysAllow");
        let since = |time: &str| json!({"a": time});
        // Policy, whether the pod is ready, healthy pods, allowed, evicted already; whether it is
        // counted (none: refused), and what is allowed afterwards.
        let cases = [
            (careful, "True", 3, 1, json!({}), Some(true), 0),
            (careful, "True", 2, 0, json!({}), None, 0),
            (careful, "False", 2, 0, json!({}), Some(false), 0),
            (careful, "False", 1, 0, json!({}), None, 0),
            (lax, "False", 1, 0, json!({}), Some(false), 0),
            (lax, "True", 2, 0, json!({}), None, 0),
            // It is counted already; or another pod of its name was.
            (careful, "True", 2, 0, since("2026-01-01T00:00:30Z"), Some(true), 0),
            (careful, "True", 2, 0, since("2026-01-01T00:00:05Z"), None, 0),
            (careful, "True", 3, 1, since("2026-01-01T00:00:05Z"), Some(true), 0),
        ];
        let kind = registry().of::<PodDisruptionBudget>();
        for (policy, ready, healthy, allowed, evicted, counted, left) in cases {
            let what = format!("{policy} {ready} {healthy} {allowed} {evicted}");
            let mut budget = budget(policy, healthy, allowed, evicted);
            let decided = decide(kind, &mut budget, &pod(ready), now);
            assert_eq!(decided.ok(), counted, "{what}");
            let status = budget.status.unwrap();
            assert_eq!(status.disruptions_allowed, Some(left), "{what}");
        }
    }
}
