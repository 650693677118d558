//! What several controllers ask of a pod.

use k8s_openapi::{
    api::core::v1::{Pod, PodCondition},
    jiff::{SignedDuration, Timestamp},
};

/// The pod's phase; a pod without status is pending.
pub(crate) fn phase(pod: &Pod) -> &str {
    pod.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or("Pending")
}

/// Whether all its containers have ended for good.
pub(crate) fn is_finished(pod: &Pod) -> bool {
    matches!(phase(pod), "Succeeded" | "Failed")
}

/// Whether somebody asked for its deletion.
pub(crate) fn is_terminating(pod: &Pod) -> bool {
    pod.metadata.deletion_timestamp.is_some()
}

/// Whether it counts towards a desired number of replicas.
pub(crate) fn is_active(pod: &Pod) -> bool {
    !is_finished(pod) && !is_terminating(pod)
}

/// The node it is bound to.
pub(crate) fn node_name(pod: &Pod) -> Option<&str> {
    pod.spec.as_ref()?.node_name.as_deref().filter(|name| !name.is_empty())
}

/// Its condition of this type.
pub(crate) fn condition<'a>(pod: &'a Pod, kind: &str) -> Option<&'a PodCondition> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    conditions.iter().find(|condition| condition.type_ == kind)
}

/// Since when it is ready; the epoch where the condition does not say.
pub(crate) fn ready_since(pod: &Pod) -> Option<Timestamp> {
    let ready = condition(pod, "Ready").filter(|condition| condition.status == "True")?;
    Some(ready.last_transition_time.as_ref().map_or(Timestamp::UNIX_EPOCH, |time| time.0))
}

/// How long until the pod counts as available, which is once it has been ready for
/// `min_ready_seconds`: zero if it is, `None` if it is not ready.
pub(crate) fn available_in(
    pod: &Pod,
    min_ready_seconds: i32,
    now: Timestamp,
) -> Option<SignedDuration> {
    let since = ready_since(pod)?;
    let wait = SignedDuration::from_secs(min_ready_seconds.max(0).into());
    // The pod's host says since when, and its clock may be ahead of this one's.
    let elapsed = now.duration_since(since).max(SignedDuration::ZERO);
    Some((wait - elapsed).max(SignedDuration::ZERO))
}

#[cfg(test)]
mod tests {
    use k8s_openapi::{api::core::v1::PodStatus, apimachinery::pkg::apis::meta::v1::Time};

    use super::*;

    #[test]
    fn a_pod_whose_host_is_ahead_of_the_clock_waits_no_longer_than_it_must() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let ready = |ahead_seconds: i64| {
            let condition = PodCondition {
                type_: "Ready".to_owned(),
                status: "True".to_owned(),
                last_transition_time: Some(Time(now + SignedDuration::from_secs(ahead_seconds))),
                ..PodCondition::default()
            };
            let conditions = Some(vec![condition]);
            Pod { status: Some(PodStatus { conditions, ..PodStatus::default() }), ..Pod::default() }
        };
        for (ahead, min_ready, wait) in [(-5, 0, 0), (600, 0, 0), (600, 10, 10), (-4, 10, 6)] {
            let expected = Some(SignedDuration::from_secs(wait));
            assert_eq!(available_in(&ready(ahead), min_ready, now), expected, "{ahead} s ahead");
        }
    }
}
