//! How objects are read.

use k8s_openapi::api::core::v1::{Node, Pod};
use serde_json::json;
use skein_scheduler::Effect;

use super::convert::{bound_pod, node_view};
use crate::pod::seen;

#[test]
fn a_node_is_read_with_its_taints_and_limits() {
    let node: Node = serde_json::from_value(json!({
        "metadata": {"name": "h1"},
        "spec": {"taints": [{"key": "k", "value": "v", "effect": "PreferNoSchedule"}]},
        "status": {
            "allocatable": {"cpu": "1500m", "memory": "1Gi", "pods": "7", "example.com/gpu": "2"},
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    }))
    .unwrap();
    let view = node_view(&node);
    assert_eq!((view.allocatable.cpu_milli, view.max_pods), (1500, 7));
    assert_eq!(view.allocatable.extended["example.com/gpu"], 2);
    assert_eq!(view.taints[0].effect, Effect::PreferNoSchedule);
}

#[test]
fn a_node_that_is_not_ready_counts_as_tainted_before_the_taint_is_written() {
    let node: Node = serde_json::from_value(json!({"metadata": {"name": "h1"}})).unwrap();
    assert_eq!(node_view(&node).taints[0].key, "node.kubernetes.io/not-ready");
}

#[test]
fn a_terminating_pod_takes_its_place_but_keeps_no_sibling_away() {
    let mut pod: Pod = serde_json::from_value(json!({
        "metadata": {"name": "a", "namespace": "default", "ownerReferences": [{
            "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "r", "uid": "r",
            "controller": true,
        }]},
        "spec": {"containers": [{"name": "c", "resources": {"requests": {"cpu": "100m"}}}]},
    }))
    .unwrap();
    assert_eq!(bound_pod(&seen(&pod), "h1".into()).owner.as_deref(), Some("r"));
    pod.metadata.deletion_timestamp = Some(jiff::Timestamp::UNIX_EPOCH.into());
    let bound = bound_pod(&seen(&pod), "h1".into());
    assert_eq!((bound.owner, bound.requests.cpu_milli), (None, 100));
}
