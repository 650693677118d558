//! Which pods go first when a replica set shrinks.

use std::{cmp::Reverse, collections::HashMap};

use k8s_openapi::{api::core::v1::Pod, jiff::Timestamp};

use crate::pod;

/// A lower cost goes first; the default is zero.
const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";

type Rank<'a> = (
    bool,
    u8,
    bool,
    i64,
    Reverse<usize>,
    Reverse<Timestamp>,
    Reverse<i32>,
    Reverse<Timestamp>,
    &'a str,
);

/// Orders pods so that the first are the best to delete: unassigned, then pending, then not ready,
/// then cheap by annotation, then doubled up on a node, then ready only recently, then often
/// restarted, then young. The name decides between equals, so that the order is total.
pub(super) fn order_for_deletion(pods: &mut [&Pod]) {
    let mut per_node: HashMap<String, usize> = HashMap::new();
    for node in pods.iter().filter_map(|pod| pod::node_name(pod)) {
        *per_node.entry(node.to_owned()).or_default() += 1;
    }
    pods.sort_by(|a, b| rank(a, &per_node).cmp(&rank(b, &per_node)));
}

fn rank<'a>(pod: &'a Pod, per_node: &HashMap<String, usize>) -> Rank<'a> {
    let node = pod::node_name(pod);
    let phase = match pod::phase(pod) {
        "Pending" => 0,
        "Unknown" => 1,
        _ => 2,
    };
    let ready_since = pod::ready_since(pod);
    let created = pod.metadata.creation_timestamp.as_ref();
    (
        node.is_some(),
        phase,
        ready_since.is_some(),
        deletion_cost(pod),
        Reverse(node.and_then(|node| per_node.get(node)).copied().unwrap_or(0)),
        Reverse(ready_since.unwrap_or(Timestamp::UNIX_EPOCH)),
        Reverse(restarts(pod)),
        Reverse(created.map_or(Timestamp::UNIX_EPOCH, |time| time.0)),
        pod.metadata.name.as_deref().unwrap_or_default(),
    )
}

fn deletion_cost(pod: &Pod) -> i64 {
    let annotations = pod.metadata.annotations.as_ref();
    annotations
        .and_then(|annotations| annotations.get(DELETION_COST))
        .and_then(|cost| cost.parse().ok())
        .unwrap_or(0)
}

fn restarts(pod: &Pod) -> i32 {
    let containers = pod.status.as_ref().and_then(|status| status.container_statuses.as_ref());
    containers.into_iter().flatten().map(|container| container.restart_count).max().unwrap_or(0)
}
