//! Described objects, as people see them.

use serde_json::json;

use super::*;

fn describe(object: Value, pods: Vec<Value>, events: Vec<Value>) -> String {
    let now = "2026-01-01T01:00:00Z".parse().unwrap();
    render(&Described { object, pods, events }, now, Palette::PLAIN)
}

#[test]
fn a_pod_shows_its_fields_conditions_and_events() {
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": "web-1", "namespace": "default", "uid": "u", "creationTimestamp": "2026-01-01T00:55:00Z",
            "labels": {"app": "web"}, "annotations": {LAST_APPLIED: "{}"},
            "ownerReferences": [{"kind": "ReplicaSet", "name": "web", "uid": "r"}],
        },
        "spec": {
            "nodeName": "h1",
            "containers": [{"name": "web", "image": "web:1", "args": ["-p", "80"], "ports": [{"containerPort": 80}]}],
        },
        "status": {
            "phase": "Running", "podIP": "10.42.1.5",
            "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:56:00Z"}],
        },
    });
    let events = vec![
        json!({"type": "Warning", "reason": "BackOff", "message": "restarting", "count": 3,
               "source": {"component": "agent"}, "lastTimestamp": "2026-01-01T00:59:30Z"}),
        json!({"type": "Normal", "reason": "Scheduled", "message": "to h1",
               "source": {"component": "scheduler"}, "lastTimestamp": "2026-01-01T00:55:00Z"}),
    ];
    insta::assert_snapshot!(describe(pod, vec![], events));
}

#[test]
fn a_secret_does_not_show_its_values() {
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db", "namespace": "default"},
        "type": "Opaque", "data": {"password": "aHVudGVyMg==", "empty": ""},
    });
    let text = describe(secret, vec![], vec![]);
    assert!(!text.contains("aHVudGVyMg"), "{text}");
    insta::assert_snapshot!(text);
}

#[test]
fn a_node_shows_its_pods() {
    let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "h1"}, "spec": {}});
    let pod = json!({"metadata": {"name": "web-1", "namespace": "default"}, "status": {"phase": "Running", "podIP": "10.42.1.5"}});
    insta::assert_snapshot!(describe(node, vec![pod], vec![]));
}

#[test]
fn values_of_several_lines_keep_them() {
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"my.conf": "a=1\n\nb=2\n"}});
    insta::assert_snapshot!(describe(map, vec![], vec![]));
}

#[test]
fn field_names_become_titles() {
    for (name, expected) in
        [("nodeName", "Node Name"), ("podIP", "Pod IP"), ("spec", "Spec"), ("hostIPs", "Host IPs")]
    {
        assert_eq!(title(name), expected);
    }
}
