//! How objects are read, and which pods wait.

use k8s_openapi::api::core::v1::{Node, Pod};
use serde_json::{Value, json};
use skein_scheduler::{Effect, Match};

use super::{
    convert::{bound_pod, node_view, pod_view},
    wait::waits_for_node,
};

fn pod(spec: Value) -> Pod {
    let mut pod = json!({"metadata": {"name": "a", "namespace": "default"}, "spec": {
        "containers": [],
    }});
    json_patch::merge(&mut pod["spec"], &spec);
    serde_json::from_value(pod).unwrap()
}

fn container(cpu: &str, memory: &str) -> Value {
    json!({"name": "c", "resources": {"requests": {"cpu": cpu, "memory": memory}}})
}

#[test]
fn requests_are_the_larger_of_what_runs_together_and_what_starts_before() {
    const MIB: u64 = 1 << 20;
    let sidecar = |cpu: &str| {
        let mut sidecar = container(cpu, "0");
        sidecar["restartPolicy"] = json!("Always");
        sidecar
    };
    let cases = [
        (json!({"containers": [container("100m", "64Mi"), container("0.25", "64Mi")]}), 350, 128),
        (
            json!({
                "containers": [container("100m", "64Mi")],
                "initContainers": [container("1", "32Mi"), container("50m", "96Mi")],
            }),
            1000,
            96,
        ),
        (
            json!({
                "containers": [container("100m", "64Mi")],
                "initContainers": [sidecar("200m"), container("150m", "0")],
            }),
            350,
            64,
        ),
        (
            json!({
                "containers": [container("100m", "64Mi")],
                "overhead": {"cpu": "10m", "memory": "1Mi"},
            }),
            110,
            65,
        ),
        (
            json!({"containers": [{"name": "c", "resources": {
                "limits": {"cpu": "2", "memory": "1Mi"}, "requests": {"cpu": "1"},
            }}]}),
            1000,
            1,
        ),
    ];
    for (spec, cpu_milli, mib) in cases {
        let requests = pod_view(&pod(spec)).requests;
        assert_eq!((requests.cpu_milli, requests.memory_bytes), (cpu_milli, mib * MIB));
    }
}

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
fn tolerations_and_host_ports_are_read_with_their_defaults() {
    let view = pod_view(&pod(json!({
        "tolerations": [{"key": "a"}, {"operator": "Exists"}],
        "containers": [{"name": "c", "ports": [
            {"containerPort": 80, "hostPort": 8080, "hostIP": "0.0.0.0"},
            {"containerPort": 81},
        ]}],
    })));
    assert_eq!(view.tolerations[0].value, Match::Equal(String::new()));
    assert_eq!((&view.tolerations[1].key, &view.tolerations[1].value), (&None, &Match::Exists));
    assert_eq!(view.host_ports.len(), 1);
    assert_eq!((view.host_ports[0].port, view.host_ports[0].address), (8080, None));
}

#[test]
fn a_terminating_pod_takes_its_place_but_keeps_no_sibling_away() {
    let mut pod = pod(json!({"containers": [container("100m", "0")]}));
    pod.metadata.owner_references = serde_json::from_value(json!([{
        "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "r", "uid": "r", "controller": true,
    }]))
    .unwrap();
    assert_eq!(bound_pod(&pod, "h1").owner.as_deref(), Some("r"));
    pod.metadata.deletion_timestamp = Some(jiff::Timestamp::UNIX_EPOCH.into());
    let bound = bound_pod(&pod, "h1");
    assert_eq!((bound.owner, bound.requests.cpu_milli), (None, 100));
}

#[test]
fn only_unassigned_ungated_pods_of_this_scheduler_wait() {
    let cases = [
        (json!({}), true),
        (json!({"schedulerName": "default-scheduler"}), true),
        (json!({"schedulerName": "another"}), false),
        (json!({"nodeName": "h1"}), false),
        (json!({"schedulingGates": [{"name": "later"}]}), false),
    ];
    for (spec, waits) in cases {
        assert_eq!(waits_for_node(&pod(spec.clone())), waits, "{spec}");
    }
}
