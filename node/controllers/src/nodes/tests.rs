//! The plan of a node as tables.

use std::{sync::Arc, time::Duration};

use k8s_openapi::{
    api::core::v1::{self, Node, Taint},
    jiff::{SignedDuration, Timestamp},
};
use serde_json::{Value, json};

use super::{
    eviction::{Eviction, eviction},
    plan::{Observed, Plan, Verdict, plan},
};
use crate::pod::{Pod, seen};

const GRACE: Duration = Duration::from_secs(60);

fn now() -> Timestamp {
    "2026-01-01T12:00:00Z".parse().unwrap()
}

fn ago(seconds: i64) -> Timestamp {
    now() - SignedDuration::from_secs(seconds)
}

fn node(ready: &str, since: i64, spec: Value) -> Node {
    serde_json::from_value(json!({
        "metadata": {"name": "h1"},
        "spec": spec,
        "status": {"conditions": [{
            "type": "Ready", "status": ready, "lastTransitionTime": ago(since).to_string(),
        }]},
    }))
    .unwrap()
}

fn pod(name: &str, tolerations: Value) -> Arc<Pod> {
    let pod: v1::Pod = serde_json::from_value(json!({
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"containers": [], "nodeName": "h1", "tolerations": tolerations},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
    }))
    .unwrap();
    Arc::new(seen(&pod))
}

fn planned(node: &Node, verdict: Verdict, refuge: bool, pods: &[Arc<Pod>]) -> Plan {
    plan(&Observed { node, pods, verdict, refuge, not_ready_grace: GRACE }, now())
}

/// The taints a plan leaves on the node, as kubectl writes them.
fn taints(node: &Node, plan: &Plan) -> Vec<String> {
    let present = || node.spec.as_ref().and_then(|spec| spec.taints.clone());
    let taints = plan.taints.clone().or_else(present).unwrap_or_default();
    taints.iter().map(|taint| format!("{}:{}", taint.key, taint.effect)).collect()
}

const ALIVE: Verdict = Verdict::Alive { since: Timestamp::UNIX_EPOCH };
const UNREACHABLE: [&str; 2] =
    ["node.kubernetes.io/unreachable:NoSchedule", "node.kubernetes.io/unreachable:NoExecute"];

#[test]
fn taints_follow_the_verdict_and_the_readiness() {
    let unknown = Verdict::Unknown { left: Duration::from_secs(3) };
    let cases: [(&str, i64, Value, Verdict, &[&str]); 8] = [
        ("True", 5, json!({}), ALIVE, &[]),
        ("True", 5, json!({}), unknown, &[]),
        ("True", 5, json!({}), Verdict::Dead, &UNREACHABLE),
        ("False", 5, json!({}), ALIVE, &["node.kubernetes.io/not-ready:NoSchedule"]),
        (
            "False",
            60,
            json!({}),
            ALIVE,
            &["node.kubernetes.io/not-ready:NoSchedule", "node.kubernetes.io/not-ready:NoExecute"],
        ),
        (
            "True",
            5,
            json!({"unschedulable": true}),
            ALIVE,
            &["node.kubernetes.io/unschedulable:NoSchedule"],
        ),
        (
            "True",
            5,
            json!({"taints": [{"key": "mine", "effect": "NoSchedule"}]}),
            ALIVE,
            &["mine:NoSchedule"],
        ),
        (
            "True",
            5,
            json!({"taints": [{"key": "node.kubernetes.io/unreachable", "effect": "NoExecute"}]}),
            ALIVE,
            &[],
        ),
    ];
    for (ready, since, spec, verdict, expected) in cases {
        let node = node(ready, since, spec);
        let plan = planned(&node, verdict, true, &[]);
        assert_eq!(taints(&node, &plan), expected, "{ready} for {since} s, {verdict:?}");
    }
}

#[test]
fn a_dead_node_is_marked_and_its_pods_leave_at_once() {
    let a = pod("a", json!([]));
    let plan = planned(&node("True", 5, json!({})), Verdict::Dead, true, std::slice::from_ref(&a));
    let ready = &plan.conditions.unwrap()[0];
    assert_eq!(
        (ready.status.as_str(), ready.reason.as_deref()),
        ("Unknown", Some("NodeStatusUnknown"))
    );
    assert_eq!((plan.evict, plan.unready), (vec![a.clone()], vec![a]));
}

#[test]
fn a_node_that_is_marked_already_is_not_written_again() {
    let node = node("Unknown", 5, json!({}));
    let marked = planned(&node, Verdict::Dead, true, &[]).taints.unwrap();
    let spec = json!({"taints": serde_json::to_value(marked).unwrap()});
    let marked = self::node("Unknown", 5, spec);
    assert_eq!(planned(&marked, Verdict::Dead, true, &[]), Plan::default());
}

#[test]
fn without_a_refuge_the_pods_stay() {
    let plan = planned(&node("True", 5, json!({})), Verdict::Dead, false, &[pod("a", json!([]))]);
    assert_eq!((plan.evict.len(), plan.unready.len()), (0, 1));
}

#[test]
fn a_node_that_just_healed_gets_the_grace_anew() {
    let node = node("Unknown", 500, json!({}));
    let plan = planned(&node, Verdict::Alive { since: ago(1) }, true, &[]);
    assert_eq!(taints(&node, &plan), ["node.kubernetes.io/not-ready:NoSchedule"]);
    assert_eq!(plan.recheck, Some(Duration::from_secs(59)));
}

#[test]
fn a_node_nobody_heard_of_is_looked_at_when_its_time_is_over() {
    let left = Duration::from_secs(3);
    let plan = planned(&node("True", 5, json!({})), Verdict::Unknown { left }, true, &[]);
    assert_eq!(plan, Plan { recheck: Some(left), ..Plan::default() });
}

#[test]
fn pods_leave_when_their_tolerations_run_out() {
    let taint = |key: &str, added: i64| Taint {
        key: key.into(),
        effect: "NoExecute".into(),
        time_added: Some(ago(added).into()),
        value: None,
    };
    let tolerate = |key: &str, seconds: Option<i64>| json!({"key": key, "operator": "Exists", "tolerationSeconds": seconds});
    let left = |seconds| Eviction::After(Duration::from_secs(seconds));
    let cases = [
        (vec![], json!([]), Eviction::Never),
        (vec![taint("a", 5)], json!([]), Eviction::Now),
        (vec![taint("a", 5)], json!([tolerate("a", None)]), Eviction::Never),
        (vec![taint("a", 5)], json!([tolerate("a", Some(30))]), left(25)),
        (vec![taint("a", 5)], json!([tolerate("a", Some(5))]), Eviction::Now),
        (vec![taint("a", 5)], json!([tolerate("a", Some(30)), tolerate("a", Some(9))]), left(4)),
        (vec![taint("a", 5), taint("b", 5)], json!([tolerate("a", Some(30))]), Eviction::Now),
        (
            vec![taint("a", 5), taint("b", 1)],
            json!([tolerate("a", Some(30)), tolerate("b", Some(4))]),
            left(3),
        ),
        (vec![taint("a", 5)], json!([{"operator": "Exists"}]), Eviction::Never),
    ];
    for (taints, tolerations, expected) in cases {
        let pod = pod("a", tolerations);
        assert_eq!(eviction(&pod, &taints, now()), expected, "{taints:?} {:?}", pod.shape);
    }
}
