use std::sync::Arc;

use k8s_openapi::{
    api::{
        apps::v1::ReplicaSet,
        core::v1,
        policy::v1::{PodDisruptionBudget, PodDisruptionBudgetStatus},
    },
    jiff::Timestamp,
};
use serde_json::{Value, json};

use super::{plan, protects};
use crate::pod::{Pod, seen};

fn now() -> Timestamp {
    "2026-01-01T00:10:00Z".parse().unwrap()
}

fn budget(spec: Value, status: Value) -> PodDisruptionBudget {
    let mut spec = spec;
    spec["selector"] = json!({"matchLabels": {"app": "web"}});
    let metadata = json!({"name": "web", "namespace": "default", "generation": 2});
    serde_json::from_value(json!({"metadata": metadata, "spec": spec, "status": status})).unwrap()
}

fn pods(ready: usize, unready: usize) -> Vec<Arc<Pod>> {
    let pod = |number: usize| -> v1::Pod {
        let status = if number < ready { "True" } else { "False" };
        serde_json::from_value(json!({
            "metadata": {
                "name": format!("web-{number}"), "namespace": "default", "labels": {"app": "web"},
                "uid": number.to_string(),
                "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web",
                    "uid": "set", "controller": true}],
            },
            "spec": {"containers": []},
            "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": status}]},
        }))
        .unwrap()
    };
    (0..ready + unready).map(|number| Arc::new(seen(&pod(number)))).collect()
}

fn set(replicas: i32) -> Vec<Arc<ReplicaSet>> {
    let set = json!({"metadata": {"name": "web", "uid": "set"},
        "spec": {"replicas": replicas, "selector": {}}});
    vec![Arc::new(serde_json::from_value(set).unwrap())]
}

fn owners(sets: &[Arc<ReplicaSet>]) -> plan::Owners<'_> {
    plan::Owners { sets, deployments: &[] }
}

fn status(spec: Value, ready: usize, unready: usize) -> PodDisruptionBudgetStatus {
    let budget = budget(spec, Value::Null);
    plan::status(&budget, &pods(ready, unready), &owners(&set(5)), now()).0
}

#[test]
fn the_number_follows_the_budget() {
    // spec, ready, not ready, desired, allowed, expected
    let cases = [
        (json!({"minAvailable": 2}), 3, 1, 2, 1, 4),
        (json!({"minAvailable": 4}), 3, 1, 4, 0, 4),
        (json!({"minAvailable": "50%"}), 5, 0, 3, 2, 5),
        (json!({"maxUnavailable": 1}), 5, 0, 4, 1, 5),
        (json!({"maxUnavailable": 1}), 4, 1, 4, 0, 5),
        (json!({"maxUnavailable": "30%"}), 5, 0, 3, 2, 5),
        (json!({"maxUnavailable": 9}), 5, 0, 0, 5, 5),
        (json!({"minAvailable": 0}), 0, 0, 0, 0, 0),
        (json!({}), 2, 0, 1, 1, 2),
    ];
    for (spec, ready, unready, desired, allowed, expected) in cases {
        let status = status(spec.clone(), ready, unready);
        let found = (status.desired_healthy, status.disruptions_allowed, status.expected_pods);
        assert_eq!(
            found,
            (Some(desired), Some(allowed), Some(expected)),
            "{spec} {ready} {unready}"
        );
        assert_eq!(status.observed_generation, Some(2));
        let condition = &status.conditions.unwrap()[0];
        assert_eq!(condition.status == "True", allowed > 0, "{spec}");
    }
}

#[test]
fn an_evicted_pod_counts_as_gone_until_it_is_or_was_kept_too_long() {
    let disrupted = json!({
        "web-0": "2026-01-01T00:09:00Z", "web-1": "2026-01-01T00:01:00Z", "gone": "2026-01-01T00:09:59Z",
    });
    let before = json!({"currentHealthy": 3, "desiredHealthy": 1, "disruptionsAllowed": 1,
        "expectedPods": 3, "disruptedPods": disrupted});
    let budget = budget(json!({"minAvailable": 1}), before);
    let (status, recheck) = plan::status(&budget, &pods(3, 0), &owners(&set(3)), now());
    let names: Vec<_> = status.disrupted_pods.unwrap().into_keys().collect();
    assert_eq!(names, ["web-0"]);
    assert_eq!((status.current_healthy, status.disruptions_allowed), (Some(2), Some(1)));
    assert_eq!(recheck.map(|left| left.as_secs()), Some(60));
}

#[test]
fn a_settled_status_stays_as_it_is() {
    let first = status(json!({"minAvailable": 2}), 3, 0);
    let mut budget = budget(json!({"minAvailable": 2}), Value::Null);
    budget.status = Some(first.clone());
    let later = "2026-01-01T01:00:00Z".parse().unwrap();
    assert_eq!(plan::status(&budget, &pods(3, 0), &owners(&set(3)), later), (first, None));
}

#[test]
fn an_empty_selector_is_about_every_pod_and_none_about_no_pod() {
    let pod = &pods(1, 0)[0];
    let mut budget = budget(json!({}), Value::Null);
    assert!(protects(&budget, pod));
    budget.spec.as_mut().unwrap().selector = Some(Default::default());
    assert!(protects(&budget, pod));
    budget.spec.as_mut().unwrap().selector = None;
    assert!(!protects(&budget, pod));
}

#[test]
fn a_rollout_wants_no_more_pods_than_its_deployment() {
    let owner = json!([{"apiVersion": "apps/v1", "kind": "Deployment", "name": "web",
        "uid": "deployment", "controller": true}]);
    let with_owner = |uid: &str, replicas: i32| {
        let set = json!({"metadata": {"name": uid, "uid": uid, "ownerReferences": owner},
            "spec": {"replicas": replicas, "selector": {}}});
        Arc::new(serde_json::from_value::<ReplicaSet>(set).unwrap())
    };
    let sets = [with_owner("set", 4), with_owner("other", 2)];
    let deployment = json!({"metadata": {"name": "web", "uid": "deployment"},
        "spec": {"replicas": 4, "selector": {}, "template": {}}});
    let deployments = [Arc::new(serde_json::from_value(deployment).unwrap())];
    let owners = plan::Owners { sets: &sets, deployments: &deployments };
    let budget = budget(json!({"maxUnavailable": 2}), Value::Null);
    let (status, _) = plan::status(&budget, &pods(3, 2), &owners, now());
    let found = (status.expected_pods, status.desired_healthy, status.disruptions_allowed);
    assert_eq!(found, (Some(4), Some(2), Some(1)));
}
