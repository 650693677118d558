//! What is read of a pod.

use bytes::Bytes;
use k8s_openapi::api::core::v1;
use serde_json::{Value, json};
use skein_consensus::{Key, Record};
use skein_scheduler::Match;

use super::*;

const MIB: u64 = 1 << 20;

/// The pod as the controllers know it.
pub(crate) fn seen(pod: &v1::Pod) -> Pod {
    read(&Reader::default(), &serde_json::to_value(pod).unwrap())
}

fn read(reader: &Reader, pod: &Value) -> Pod {
    let part = |part: &str| pod["metadata"][part].as_str().unwrap_or_default();
    let version = part("resourceVersion").parse().unwrap_or_default();
    let record = Record {
        key: Key::new("pods", part("namespace"), part("name")),
        value: Bytes::from(pod.to_string()),
        created: Revision(version),
        modified: Revision(version),
    };
    reader.read(&record).unwrap()
}

fn with_spec(spec: &Value) -> Pod {
    let mut pod = json!({"metadata": {"name": "a", "namespace": "default"}, "spec": {
        "containers": [],
    }});
    json_patch::merge(&mut pod["spec"], spec);
    read(&Reader::default(), &pod)
}

fn container(cpu: &str, memory: &str) -> Value {
    json!({"name": "c", "resources": {"requests": {"cpu": cpu, "memory": memory}}})
}

fn now() -> Timestamp {
    "2026-01-01T00:00:00Z".parse().unwrap()
}

#[test]
fn replicas_share_what_they_have_in_common() {
    let replica = |name: &str, uid: &str, node: &str| {
        json!({
            "metadata": {
                "name": name, "namespace": "default", "uid": uid, "resourceVersion": "7",
                "labels": {"app": "web"}, "creationTimestamp": now().to_string(),
                "ownerReferences": [{
                    "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": "set",
                    "controller": true,
                }],
            },
            "spec": {"nodeName": node, "containers": [container("100m", "64Mi")]},
        })
    };
    let reader = Reader::default();
    let one = read(&reader, &replica("a", "67e55044-10b1-426f-9247-bb680e5fe0c8", "h1"));
    let other = read(&reader, &replica("b", "67e55044-10b1-426f-9247-bb680e5fe0c9", "h1"));
    assert!(Arc::ptr_eq(&one.shape, &other.shape));
    assert!(Arc::ptr_eq(one.node.as_ref().unwrap(), other.node.as_ref().unwrap()));
    assert!(Arc::ptr_eq(&one.namespace, &other.namespace));
    assert_eq!((one.revision, one.created), (Revision(7), now()));
    let group = Group::Controlled("default".into(), Some("set".into()));
    assert_eq!(one.groups(), [group, Group::Bound("h1".into())]);
    let elsewhere = read(&reader, &replica("c", "", "h2"));
    assert!(Arc::ptr_eq(&one.shape, &elsewhere.shape));
    assert_eq!(elsewhere.node.as_deref(), Some("h2"));
}

#[test]
fn a_pod_with_empty_fields_and_unknown_ones_is_read() {
    let pod = json!({
        "metadata": {"name": "a", "namespace": "default", "labels": null, "new": [1]},
        "spec": {"nodeName": "", "tolerations": null, "affinity": {"podAffinity": {}}},
        "status": {"phase": null, "conditions": null, "new": {}},
    });
    let pod = read(&Reader::default(), &pod);
    assert_eq!((pod.node.as_deref(), pod.phase), (None, Phase::Pending));
    assert_eq!(*pod.shape, Shape { is_ours: true, ..Shape::default() });
}

#[test]
fn a_pod_whose_host_is_ahead_of_the_clock_waits_no_longer_than_it_must() {
    for (ahead, min_ready, wait) in [(-5, 0, 0), (600, 0, 0), (600, 10, 10), (-4, 10, 6)] {
        let since = now() + SignedDuration::from_secs(ahead);
        let pod = Pod { ready_since: Some(since), ..with_spec(&json!({})) };
        let expected = Some(SignedDuration::from_secs(wait));
        assert_eq!(pod.available_in(min_ready, now()), expected, "{ahead} s ahead");
    }
}

#[test]
fn requests_are_the_larger_of_what_runs_together_and_what_starts_before() {
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
        let requests = &with_spec(&spec).shape.placement.requests;
        assert_eq!((requests.cpu_milli, requests.memory_bytes), (cpu_milli, mib * MIB));
    }
}

#[test]
fn a_pod_that_is_resized_holds_what_it_asks_for_and_what_it_was_given() {
    let asks = |cpu: &str, memory: &str| json!({"containers": [container(cpu, memory)]});
    let given = |cpu: &str, memory: &str| {
        json!([{"name": "c", "restartCount": 0, "image": "", "imageID": "", "ready": true,
            "allocatedResources": {"cpu": cpu, "memory": memory}}])
    };
    let pending =
        |reason: &str| json!([{"type": "PodResizePending", "status": "True", "reason": reason}]);
    for (spec, conditions, statuses, cpu_milli, mib) in [
        (asks("2", "1Mi"), json!([]), given("1", "1Mi"), 2000, 1),
        (asks("1", "1Mi"), json!([]), given("2", "1Mi"), 2000, 1),
        (asks("1", "2Mi"), json!([]), given("2", "1Mi"), 2000, 2),
        (asks("2", "1Mi"), pending("Deferred"), given("1", "1Mi"), 2000, 1),
        (asks("2", "1Mi"), pending("Infeasible"), given("1", "1Mi"), 1000, 1),
        (asks("2", "1Mi"), json!([]), json!([]), 2000, 1),
    ] {
        let pod = json!({"metadata": {"name": "a", "namespace": "default"}, "spec": spec,
            "status": {"conditions": conditions, "containerStatuses": statuses}});
        let requests = &read(&Reader::default(), &pod).shape.placement.requests;
        assert_eq!((requests.cpu_milli, requests.memory_bytes), (cpu_milli, mib * MIB), "{pod}");
    }
    let side = json!({"name": "side", "restartPolicy": "Always",
        "resources": {"requests": {"cpu": "1"}}});
    let status = json!([{"name": "side", "restartCount": 0, "allocatedResources": {"cpu": "3"}}]);
    let mut pod = json!({"metadata": {"name": "a", "namespace": "default"},
        "spec": asks("1", "1Mi"), "status": {"initContainerStatuses": status}});
    pod["spec"]["initContainers"] = json!([side]);
    assert_eq!(read(&Reader::default(), &pod).shape.placement.requests.cpu_milli, 4000);
}

#[test]
fn tolerations_and_host_ports_are_read_with_their_defaults() {
    let pod = with_spec(&json!({
        "tolerations": [{"key": "a"}, {"operator": "Exists", "tolerationSeconds": 5}],
        "containers": [{"name": "c", "ports": [
            {"containerPort": 80, "hostPort": 8080, "hostIP": "0.0.0.0"},
            {"containerPort": 81},
        ]}],
    }));
    let placement = &pod.shape.placement;
    assert_eq!(placement.tolerations[0].value, Match::Equal(String::new()));
    let second = &placement.tolerations[1];
    assert_eq!((&second.key, &second.value), (&None, &Match::Exists));
    assert_eq!(pod.shape.patience_seconds, [None, Some(5)]);
    assert_eq!(placement.host_ports.len(), 1);
    assert_eq!((placement.host_ports[0].port, placement.host_ports[0].address), (8080, None));
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
        let pod = with_spec(&spec);
        assert_eq!(pod.waits_for_node(), waits, "{spec}");
        assert_eq!(pod.groups().contains(&Group::Waiting), waits, "{spec}");
    }
}
