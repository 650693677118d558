//! Which pods wait for a node, and in which order.

use k8s_openapi::{api::core::v1::Pod, jiff::Timestamp};

use super::SCHEDULER;
use crate::pod;

/// Whether this scheduler should find the pod a node.
pub(super) fn waits_for_node(pod: &Pod) -> bool {
    let spec = pod.spec.as_ref();
    let scheduler = spec.and_then(|spec| spec.scheduler_name.as_deref());
    let gated = spec.and_then(|spec| spec.scheduling_gates.as_ref()).is_some_and(|g| !g.is_empty());
    pod::node_name(pod).is_none()
        && pod::is_active(pod)
        && scheduler.is_none_or(|name| name.is_empty() || name == SCHEDULER)
        && !gated
}

/// Older pods go first; names decide between those of one second.
pub(super) fn place_in_line(pod: &Pod) -> (Timestamp, String, String) {
    let meta = &pod.metadata;
    let created = meta.creation_timestamp.as_ref().map_or(Timestamp::UNIX_EPOCH, |time| time.0);
    let part = |part: &Option<String>| part.clone().unwrap_or_default();
    (created, part(&meta.namespace), part(&meta.name))
}
