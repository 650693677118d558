//! Cells of nodes.

use jiff::Timestamp;
use serde_json::Value;

use super::NONE;

/// Labels that name a role start so.
const ROLE_PREFIX: &str = "node-role.kubernetes.io/";

/// The older way to name the one role.
const ROLE_LABEL: &str = "kubernetes.io/role";

pub(super) fn status(node: &Value, _now: Timestamp) -> Value {
    let conditions = node.pointer("/status/conditions").and_then(Value::as_array);
    let ready = conditions.into_iter().flatten().find(|one| one["type"] == "Ready");
    let mut words = vec![match ready {
        Some(condition) if condition["status"] == "True" => "Ready",
        Some(_) => "NotReady",
        None => "Unknown",
    }];
    if node.pointer("/spec/unschedulable").and_then(Value::as_bool) == Some(true) {
        words.push("SchedulingDisabled");
    }
    Value::from(words.join(","))
}

pub(super) fn roles(node: &Value, _now: Timestamp) -> Value {
    let labels = node.pointer("/metadata/labels").and_then(Value::as_object);
    let mut roles: Vec<&str> = labels
        .into_iter()
        .flatten()
        .filter_map(|(key, value)| match key.strip_prefix(ROLE_PREFIX) {
            Some("") | None if key != ROLE_LABEL => None,
            Some(role) => Some(role),
            None => value.as_str().filter(|role| !role.is_empty()),
        })
        .collect();
    roles.sort_unstable();
    Value::from(if roles.is_empty() { NONE.to_owned() } else { roles.join(",") })
}

fn address(node: &Value, kind: &str) -> Value {
    let addresses = node.pointer("/status/addresses").and_then(Value::as_array);
    let found = addresses.into_iter().flatten().find(|one| one["type"] == kind);
    Value::from(found.and_then(|one| one["address"].as_str()).unwrap_or(NONE))
}

pub(super) fn internal_ip(node: &Value, _now: Timestamp) -> Value {
    address(node, "InternalIP")
}

pub(super) fn external_ip(node: &Value, _now: Timestamp) -> Value {
    address(node, "ExternalIP")
}

fn info(node: &Value, member: &str) -> Value {
    let text = node.pointer("/status/nodeInfo").and_then(|info| info.get(member)?.as_str());
    Value::from(text.filter(|text| !text.is_empty()).unwrap_or("<unknown>"))
}

pub(super) fn os_image(node: &Value, _now: Timestamp) -> Value {
    info(node, "osImage")
}

pub(super) fn kernel(node: &Value, _now: Timestamp) -> Value {
    info(node, "kernelVersion")
}

pub(super) fn runtime(node: &Value, _now: Timestamp) -> Value {
    info(node, "containerRuntimeVersion")
}
