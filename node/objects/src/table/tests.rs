//! Tables read as `kubectl get -o wide` prints them.

mod stable;

use serde_json::{Value, json};

use super::*;
use crate::registry;

const NOW: &str = "2026-01-01T01:00:00Z";

/// The wide table of some objects, as text.
fn print(resource: &str, objects: &[Value]) -> String {
    let kind = registry().by_store_resource(resource).unwrap();
    let header = columns(kind).iter().map(|column| column.name().to_uppercase()).collect();
    let mut lines: Vec<Vec<String>> = vec![header];
    for object in objects {
        let cells = row(kind, object.clone(), NOW.parse().unwrap());
        lines.push(cells.iter().map(|c| c.as_str().map_or(c.to_string(), str::to_owned)).collect());
    }
    let width = |column: usize| lines.iter().map(|line| line[column].len()).max().unwrap();
    let widths: Vec<usize> = (0..lines[0].len()).map(width).collect();
    let line = |cells: &Vec<String>| -> String {
        let padded = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    lines.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn meta(name: &str) -> Value {
    json!({"name": name, "creationTimestamp": "2026-01-01T00:55:00Z"})
}

fn pod(name: &str, status: Value) -> Value {
    json!({"metadata": meta(name), "status": status, "spec": {
        "nodeName": "h1", "containers": [{"name": "a"}, {"name": "b"}],
        "initContainers": [{"name": "i"}, {"name": "side", "restartPolicy": "Always"}]}})
}

fn running(name: &str) -> Value {
    json!({"name": name, "ready": true, "restartCount": 0, "state": {"running": {}}})
}

#[test]
fn pods_say_what_they_do() {
    let waiting = |reason: &str| {
        json!({"name": "a", "ready": false, "restartCount": 3,
            "state": {"waiting": {"reason": reason}},
            "lastState": {"terminated": {"exitCode": 1, "finishedAt": "2026-01-01T00:58:20Z"}}})
    };
    let ended = |reason: &str, code: i64| json!({"name": "a", "state": {"terminated": {"reason": reason, "exitCode": code}}});
    let mut dying = pod(
        "terminating",
        json!({"phase": "Running",
        "containerStatuses": [running("a"), running("b")]}),
    );
    dying["metadata"]["deletionTimestamp"] = json!(NOW);
    let mut lost = dying.clone();
    lost["metadata"]["name"] = json!("lost");
    lost["status"]["reason"] = json!("NodeLost");
    let done = json!([{"type": "Initialized", "status": "True"}]);
    insta::assert_snapshot!(print(
        "pods",
        &[
            pod("pending", json!({"phase": "Pending"})),
            pod(
                "gated",
                json!({"phase": "Pending",
            "conditions": [{"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}]})
            ),
            pod(
                "init",
                json!({"phase": "Pending", "initContainerStatuses": [
            {"name": "i", "state": {"terminated": {"exitCode": 0}}},
            {"name": "side", "state": {"waiting": {"reason": "PodInitializing"}}}]})
            ),
            pod(
                "init-failed",
                json!({"phase": "Pending", "initContainerStatuses": [
            {"name": "i", "restartCount": 2, "state": {"terminated": {"exitCode": 3}}}]})
            ),
            pod(
                "init-pull",
                json!({"phase": "Pending", "initContainerStatuses": [
            {"name": "i", "state": {"waiting": {"reason": "ImagePullBackOff"}}}]})
            ),
            pod(
                "running",
                json!({"phase": "Running", "podIP": "10.42.0.7", "conditions": done,
            "initContainerStatuses": [{"name": "side", "started": true, "ready": true, "restartCount": 1}],
            "containerStatuses": [running("a"), running("b")]})
            ),
            pod(
                "crashing",
                json!({"phase": "Running", "conditions": done,
            "containerStatuses": [waiting("CrashLoopBackOff"), running("b")]})
            ),
            pod(
                "completed",
                json!({"phase": "Succeeded", "conditions": done,
            "containerStatuses": [ended("Completed", 0), ended("Completed", 0)]})
            ),
            pod(
                "half-done",
                json!({"phase": "Running", "conditions": done,
            "containerStatuses": [ended("Completed", 0), running("b")]})
            ),
            pod(
                "failed",
                json!({"phase": "Failed", "conditions": done, "containerStatuses": [ended("", 2)]})
            ),
            pod("evicted", json!({"phase": "Failed", "reason": "Evicted"})),
            dying,
            lost,
        ]
    ));
}

#[test]
fn workloads_count_their_pods() {
    let spec = json!({"replicas": 3,
        "selector": {"matchLabels": {"app": "web"},
            "matchExpressions": [{"key": "tier", "operator": "In", "values": ["a", "b"]}]},
        "template": {"spec": {"containers": [
            {"name": "web", "image": "hello:1"}, {"name": "log", "image": "log:2"}]}}});
    let deployment = json!({"metadata": meta("web"), "spec": spec,
        "status": {"readyReplicas": 2, "updatedReplicas": 1, "availableReplicas": 2}});
    let fresh = json!({"metadata": meta("fresh"), "spec": spec});
    insta::assert_snapshot!(print("deployments.apps", &[deployment.clone(), fresh]));
    insta::assert_snapshot!(print("replicasets.apps", &[deployment]));
}

#[test]
fn nodes_say_whether_they_are_ready() {
    let node = |name: &str, ready: &str, more: Value| {
        let mut node = json!({"metadata": meta(name), "status": {
            "conditions": [{"type": "Ready", "status": ready}],
            "addresses": [{"type": "InternalIP", "address": "10.77.0.1"}],
            "nodeInfo": {"kubeletVersion": "v1.36.0+skein", "osImage": "Debian 12",
                "kernelVersion": "6.1", "containerRuntimeVersion": "docker://20.10"}}});
        node["spec"] = more;
        node
    };
    let mut leader = node("h1", "True", json!({}));
    leader["metadata"]["labels"] = json!({"node-role.kubernetes.io/control-plane": ""});
    insta::assert_snapshot!(print(
        "nodes",
        &[
            leader,
            node("h2", "Unknown", json!({"unschedulable": true})),
            json!({"metadata": meta("h3")}),
        ]
    ));
}

#[test]
fn the_other_kinds_have_their_columns() {
    let event = json!({"metadata": meta("web.1"), "type": "Warning", "reason": "BackOff",
        "involvedObject": {"kind": "Pod", "name": "web"}, "message": "restarting\n", "count": 4,
        "source": {"component": "skein", "host": "h1"},
        "firstTimestamp": "2026-01-01T00:50:00Z", "lastTimestamp": "2026-01-01T00:59:30Z"});
    let token = |name: &str, spec: Value| json!({"metadata": meta(name), "spec": spec});
    insta::assert_snapshot!(
        [
            print("events", &[event]),
            print(
                "namespaces",
                &[json!({"metadata": meta("default"), "status": {"phase": "Active"}})]
            ),
            print(
                "configmaps",
                &[json!({"metadata": meta("c"), "data": {"a": "1"}, "binaryData": {"b": ""}})]
            ),
            print(
                "secrets",
                &[json!({"metadata": meta("s"), "type": "Opaque", "data": {"a": "MQ=="}})]
            ),
            print("serviceaccounts", &[json!({"metadata": meta("default")})]),
            print(
                "jointokens.skein.dev",
                &[
                    token("good", json!({"description": "rack 4"})),
                    token("old", json!({"expires": "2025-01-01T00:00:00Z"})),
                    token("bad", json!({"revoked": true})),
                ]
            ),
        ]
        .join("\n\n")
    );
}
