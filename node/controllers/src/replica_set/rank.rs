//! Which pods go first when a replica set shrinks.

use std::{cmp::Reverse, collections::HashMap};

use k8s_openapi::jiff::Timestamp;

use crate::pod::{Phase, Pod};

type Rank<'a> = (
    bool,
    Phase,
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
    let mut per_node: HashMap<&str, usize> = HashMap::new();
    for node in pods.iter().filter_map(|pod| pod.node.as_deref()) {
        *per_node.entry(node).or_default() += 1;
    }
    pods.sort_by(|a, b| rank(a, &per_node).cmp(&rank(b, &per_node)));
}

fn rank<'a>(pod: &'a Pod, per_node: &HashMap<&str, usize>) -> Rank<'a> {
    let node = pod.node.as_deref();
    (
        node.is_some(),
        pod.phase.min(Phase::Running),
        pod.ready_since.is_some(),
        pod.shape.deletion_cost,
        Reverse(node.and_then(|node| per_node.get(node)).copied().unwrap_or(0)),
        Reverse(pod.ready_since.unwrap_or(Timestamp::UNIX_EPOCH)),
        Reverse(pod.restarts),
        Reverse(pod.created),
        &pod.name,
    )
}
