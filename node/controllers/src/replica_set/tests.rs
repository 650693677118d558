//! The plan of a replica set as tables.

use std::sync::Arc;

use k8s_openapi::{
    api::{apps::v1::ReplicaSet, core::v1},
    jiff::{SignedDuration, Timestamp},
};
use serde_json::{Value, json};

use super::{
    plan::{Observed, Plan, plan, with_failure},
    rank::order_for_deletion,
};
use crate::pod::{Pod, seen};

fn now() -> Timestamp {
    "2026-01-01T12:00:00Z".parse().unwrap()
}

fn ago(seconds: i64) -> String {
    (now() - SignedDuration::from_secs(seconds)).to_string()
}

fn set(replicas: i32) -> ReplicaSet {
    serde_json::from_value(json!({
        "metadata": {"name": "web", "namespace": "default", "uid": "set", "generation": 3},
        "spec": {
            "replicas": replicas,
            "minReadySeconds": 10,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web"}}},
        },
    }))
    .unwrap()
}

/// A running pod of the set, ready for `ready` seconds; `changes` is merged over it.
fn pod(name: &str, ready: Option<i64>, changes: Value) -> Arc<Pod> {
    let conditions = match ready {
        Some(seconds) => {
            json!([{"type": "Ready", "status": "True", "lastTransitionTime": ago(seconds)}])
        }
        None => json!([]),
    };
    let mut pod = json!({
        "metadata": {
            "name": name,
            "labels": {"app": "web"},
            "creationTimestamp": ago(100),
            "ownerReferences": [{
                "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": "set",
                "controller": true,
            }],
        },
        "spec": {"containers": [], "nodeName": "h1"},
        "status": {"phase": "Running", "conditions": conditions},
    });
    json_patch::merge(&mut pod, &changes);
    let pod: v1::Pod = serde_json::from_value(pod).unwrap();
    Arc::new(seen(&pod))
}

fn running(name: &str) -> Arc<Pod> {
    pod(name, Some(60), json!({}))
}

fn planned(set: &ReplicaSet, pods: &[Arc<Pod>]) -> Plan {
    plan(&Observed { set, pods }, now())
}

#[test]
fn missing_pods_are_made_and_surplus_ones_deleted() {
    let pods = [running("a"), running("b")];
    for (replicas, create, delete) in [(0, 0, 2), (1, 0, 1), (2, 0, 0), (5, 3, 0)] {
        let plan = planned(&set(replicas), &pods);
        assert_eq!((plan.create, plan.delete.len()), (create, delete), "{replicas} replicas");
    }
}

#[test]
fn finished_and_terminating_pods_do_not_count() {
    let pods = [
        running("a"),
        pod("b", None, json!({"status": {"phase": "Failed"}})),
        pod("c", Some(60), json!({"metadata": {"deletionTimestamp": ago(1)}})),
    ];
    let plan = planned(&set(3), &pods);
    assert_eq!((plan.create, plan.delete.len()), (2, 0));
    assert_eq!((plan.status.replicas, plan.status.terminating_replicas), (1, Some(1)));
}

#[test]
fn fitting_orphans_are_adopted_instead_of_making_pods_and_misfits_released() {
    let pods = [
        pod("orphan", Some(60), json!({"metadata": {"ownerReferences": null}})),
        pod("misfit", Some(60), json!({"metadata": {"labels": {"app": "other"}}})),
        pod(
            "foreign",
            Some(60),
            json!({"metadata": {"ownerReferences": [{
                "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "x", "uid": "x",
                "controller": true,
            }]}}),
        ),
    ];
    let plan = planned(&set(2), &pods);
    assert_eq!(plan.adopt, ["orphan"]);
    assert_eq!(plan.release, ["misfit"]);
    assert_eq!(plan.create, 1);
}

#[test]
fn a_set_that_is_being_deleted_changes_no_pods() {
    let mut set = set(5);
    set.metadata.deletion_timestamp = Some(now().into());
    let plan = planned(&set, &[running("a")]);
    assert_eq!((plan.create, plan.delete.len(), plan.adopt.len()), (0, 0, 0));
}

#[test]
fn a_pod_is_available_once_it_was_ready_long_enough_and_is_looked_at_then() {
    let pods = [pod("old", Some(10), json!({})), pod("new", Some(4), json!({}))];
    let plan = planned(&set(2), &pods);
    assert_eq!(plan.status.ready_replicas, Some(2));
    assert_eq!(plan.status.available_replicas, Some(1));
    assert_eq!(plan.recheck, Some(std::time::Duration::from_secs(6)));
}

#[test]
fn scale_down_prefers_unassigned_then_pending_then_unready_then_cheap_then_crowded_then_young() {
    let on = |node: &str| json!({"spec": {"nodeName": node}});
    let pods = [
        pod("ready-longest", Some(90), on("h2")),
        pod("ready-briefly", Some(20), on("h3")),
        pod("crowded-1", Some(60), on("h1")),
        pod("crowded-2", Some(50), on("h1")),
        pod(
            "cheap",
            Some(90),
            json!({
                "metadata": {"annotations": {"controller.kubernetes.io/pod-deletion-cost": "-5"}},
                "spec": {"nodeName": "h4"},
            }),
        ),
        pod("unready", None, on("h5")),
        pod("pending", None, json!({"spec": {"nodeName": "h6"}, "status": {"phase": "Pending"}})),
        pod(
            "unassigned",
            None,
            json!({"spec": {"nodeName": null}, "status": {"phase": "Pending"}}),
        ),
    ];
    let mut order: Vec<&Pod> = pods.iter().map(|pod| &**pod).collect();
    order_for_deletion(&mut order);
    let names: Vec<_> = order.iter().map(|pod| &*pod.name).collect();
    assert_eq!(
        names,
        [
            "unassigned",
            "pending",
            "unready",
            "cheap",
            "crowded-2",
            "crowded-1",
            "ready-briefly",
            "ready-longest",
        ]
    );
}

#[test]
fn equals_are_told_apart_by_restarts_then_age() {
    let restarts = |count: i32| {
        json!({"status": {"containerStatuses": [{
            "name": "c", "image": "", "imageID": "", "ready": true, "restartCount": count,
        }]}})
    };
    let pods = [
        pod("calm-old", Some(60), json!({"metadata": {"creationTimestamp": ago(200)}})),
        pod("calm-young", Some(60), json!({})),
        pod("restless", Some(60), restarts(7)),
    ];
    let mut order: Vec<&Pod> = pods.iter().map(|pod| &**pod).collect();
    order_for_deletion(&mut order);
    let names: Vec<_> = order.iter().map(|pod| &*pod.name).collect();
    assert_eq!(names, ["restless", "calm-young", "calm-old"]);
}

#[test]
fn a_failure_is_noted_once_and_cleared_by_success() {
    let status = planned(&set(1), &[]).status;
    let failed = with_failure(status, Some(("FailedCreate", "no".into())), now());
    let conditions = failed.conditions.clone().unwrap();
    assert_eq!(conditions[0].reason.as_deref(), Some("FailedCreate"));
    let again = with_failure(failed.clone(), Some(("FailedCreate", "still no".into())), now());
    assert_eq!(again, failed);
    assert_eq!(with_failure(failed, None, now()).conditions, None);
}
