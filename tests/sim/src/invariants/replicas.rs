//! After healing, every Deployment has as many ready pods as it asks for, each running where the
//! store says, and nothing else runs.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// What runs on each host: host, pod uid.
pub(crate) type Live = BTreeSet<(String, String)>;

/// Why the hosts are not as the Deployments want them yet.
pub(crate) fn difference(deployments: &Value, pods: &Value, live: &Live) -> Option<String> {
    let mut wanted: BTreeMap<&str, u64> = BTreeMap::new();
    for deployment in items(deployments) {
        let name = text(deployment, "/metadata/name");
        wanted.insert(name, deployment.pointer("/spec/replicas").and_then(Value::as_u64)?);
    }
    let mut bound = Live::new();
    let mut addresses = BTreeSet::new();
    for pod in items(pods) {
        let (name, app) = (text(pod, "/metadata/name"), text(pod, "/metadata/labels/app"));
        if pod.pointer("/metadata/deletionTimestamp").is_some() {
            return Some(format!("pod {name} is being deleted"));
        }
        if !is_ready(pod) {
            return Some(format!("pod {name} is not ready: {}", pod["status"]));
        }
        if !addresses.insert(text(pod, "/status/podIP")) {
            return Some(format!("pod {name} has the address of another one"));
        }
        match wanted.get_mut(app).and_then(|left| left.checked_sub(1).map(|less| (left, less))) {
            Some((left, less)) => *left = less,
            None => return Some(format!("pod {name} is one too many")),
        }
        bound.insert((text(pod, "/spec/nodeName").into(), text(pod, "/metadata/uid").into()));
    }
    if let Some((name, missing)) = wanted.iter().find(|(_, missing)| **missing > 0) {
        return Some(format!("deployment {name} lacks {missing} pods"));
    }
    (bound != *live).then(|| format!("the store binds {bound:?}, the hosts run {live:?}"))
}

fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list["items"].as_array().into_iter().flatten()
}

fn text<'a>(object: &'a Value, path: &str) -> &'a str {
    object.pointer(path).and_then(Value::as_str).unwrap_or_default()
}

fn is_ready(pod: &Value) -> bool {
    let conditions = pod.pointer("/status/conditions").and_then(Value::as_array);
    conditions
        .into_iter()
        .flatten()
        .any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(number: u32, ready: &str) -> Value {
        json!({
            "metadata": {"name": format!("a-{number}"), "uid": number.to_string(), "labels": {"app": "a"}},
            "spec": {"nodeName": "h1"},
            "status": {
                "podIP": format!("10.0.0.{number}"),
                "conditions": [{"type": "Ready", "status": ready}],
            },
        })
    }

    fn judged(replicas: u64, pods: &[Value], live: &[&str]) -> Option<String> {
        let deployment = json!({"metadata": {"name": "a"}, "spec": {"replicas": replicas}});
        let live = live.iter().map(|uid| ("h1".to_owned(), (*uid).to_owned())).collect();
        difference(&json!({"items": [deployment]}), &json!({"items": pods}), &live)
    }

    #[test]
    fn the_counts_the_readiness_and_the_hosts_must_agree() {
        let pods = [pod(1, "True"), pod(2, "True")];
        assert_eq!(judged(2, &pods, &["1", "2"]), None);
        assert!(judged(3, &pods, &["1", "2"]).is_some(), "one lacks");
        assert!(judged(1, &pods, &["1", "2"]).is_some(), "one too many");
        assert!(judged(2, &pods, &["1"]).is_some(), "one does not run");
        assert!(judged(2, &pods, &["1", "2", "3"]).is_some(), "one runs that nobody wants");
        assert!(judged(1, &[pod(1, "False")], &["1"]).is_some(), "not ready");
        assert!(judged(2, &[pod(1, "True"), pod(1, "True")], &["1"]).is_some(), "one address");
    }
}
