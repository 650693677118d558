//! Cells of pods. The status is one word for what matters most right now, found in the order
//! `kubectl` users are used to: initialisation, then containers, then the pod's own end.

use jiff::Timestamp;
use serde_json::Value;

use super::columns::{list, text};
use super::{NONE, age};

/// Why a pod is gone when its node is.
const NODE_LOST: &str = "NodeLost";

fn is_sidecar(pod: &Value, name: &Value) -> bool {
    list(pod, "/spec/initContainers")
        .iter()
        .any(|one| one["name"] == *name && one["restartPolicy"] == "Always")
}

fn is_ready(status: &Value) -> bool {
    status["ready"] == true && status.pointer("/state/running").is_some()
}

/// `2/3`: containers (and sidecars) that are ready over all of them.
pub(super) fn ready(pod: &Value, _now: Timestamp) -> Value {
    let sidecars: Vec<&Value> = list(pod, "/status/initContainerStatuses")
        .iter()
        .filter(|status| is_sidecar(pod, &status["name"]))
        .collect();
    let declared_sidecars = list(pod, "/spec/initContainers")
        .iter()
        .filter(|one| one["restartPolicy"] == "Always")
        .count();
    let ready = list(pod, "/status/containerStatuses").iter().filter(|s| is_ready(s)).count();
    let ready_sidecars = sidecars
        .into_iter()
        .filter(|status| status["started"] == true && status["ready"] == true)
        .count();
    let total = list(pod, "/spec/containers").len() + declared_sidecars;
    Value::from(format!("{}/{total}", ready + ready_sidecars))
}

/// One word (or `Init:1/2`) for what the pod is doing.
pub(super) fn status(pod: &Value, _now: Timestamp) -> Value {
    let mut reason = match (text(pod, "/status/reason"), text(pod, "/status/phase")) {
        ("", "") => "Unknown".to_owned(),
        ("", phase) => phase.to_owned(),
        (reason, _) => reason.to_owned(),
    };
    let gated = list(pod, "/status/conditions")
        .iter()
        .any(|one| one["type"] == "PodScheduled" && one["reason"] == "SchedulingGated");
    if gated {
        reason = "SchedulingGated".to_owned();
    }
    match initializing(pod) {
        Some(word) if !is_initialized(pod) => reason = word,
        _ => {
            if let Some(word) = of_containers(pod, &reason) {
                reason = word;
            }
        }
    }
    if pod.pointer("/metadata/deletionTimestamp").is_some() {
        if text(pod, "/status/reason") == NODE_LOST {
            reason = "Unknown".to_owned();
        } else if !matches!(text(pod, "/status/phase"), "Succeeded" | "Failed") {
            reason = "Terminating".to_owned();
        }
    }
    Value::from(reason)
}

fn has_condition(pod: &Value, kind: &str) -> bool {
    list(pod, "/status/conditions").iter().any(|one| one["type"] == kind && one["status"] == "True")
}

fn is_initialized(pod: &Value) -> bool {
    has_condition(pod, "Initialized")
}

/// What the first init container that is not done says.
fn initializing(pod: &Value) -> Option<String> {
    let total = list(pod, "/spec/initContainers").len();
    for (index, status) in list(pod, "/status/initContainerStatuses").iter().enumerate() {
        let started = status["started"] == true && is_sidecar(pod, &status["name"]);
        let state = &status["state"];
        let ended = state.get("terminated");
        if started || ended.is_some_and(|ended| ended["exitCode"] == 0) {
            continue;
        }
        if let Some(ended) = ended {
            return Some(format!("Init:{}", end_word(ended)));
        }
        let waiting = text(state, "/waiting/reason");
        if !matches!(waiting, "" | "PodInitializing") {
            return Some(format!("Init:{waiting}"));
        }
        return Some(format!("Init:{index}/{total}"));
    }
    None
}

/// The reason of an end, or the signal or exit code when none is given.
fn end_word(ended: &Value) -> String {
    let number = |member: &str| ended[member].as_i64().unwrap_or(0);
    match (text(ended, "/reason"), number("signal")) {
        ("", 0) => format!("ExitCode:{}", number("exitCode")),
        ("", signal) => format!("Signal:{signal}"),
        (reason, _) => reason.to_owned(),
    }
}

/// What the containers say; the first of them has the last word.
fn of_containers(pod: &Value, otherwise: &str) -> Option<String> {
    let mut word = None;
    let mut running = false;
    for status in list(pod, "/status/containerStatuses").iter().rev() {
        let state = &status["state"];
        let waiting = text(state, "/waiting/reason");
        if !waiting.is_empty() {
            word = Some(waiting.to_owned());
        } else if let Some(ended) = state.get("terminated") {
            word = Some(end_word(ended));
        } else if is_ready(status) {
            running = true;
        }
    }
    let settled = word.as_deref().unwrap_or(otherwise);
    if settled == "Completed" && running {
        let word = if has_condition(pod, "Ready") { "Running" } else { "NotReady" };
        return Some(word.to_owned());
    }
    word
}

/// `3 (5m ago)`: restarts of all containers, and how long ago the last one was.
pub(super) fn restarts(pod: &Value, now: Timestamp) -> Value {
    let containers = list(pod, "/status/containerStatuses").iter();
    let inits = list(pod, "/status/initContainerStatuses").iter();
    let counted: Vec<&Value> = if initializing(pod).is_some() && !is_initialized(pod) {
        inits.collect()
    } else {
        containers.chain(inits.filter(|status| is_sidecar(pod, &status["name"]))).collect()
    };
    let total: i64 = counted.iter().filter_map(|status| status["restartCount"].as_i64()).sum();
    let last = counted
        .iter()
        .filter_map(|status| status.pointer("/lastState/terminated/finishedAt"))
        .filter_map(Value::as_str)
        .max();
    match last {
        Some(last) if total > 0 => {
            Value::from(format!("{total} ({} ago)", age::since(Some(&Value::from(last)), now)))
        }
        _ => Value::from(total.to_string()),
    }
}

/// `1/2`: readiness gates that are passed over all of them.
pub(super) fn readiness_gates(pod: &Value, _now: Timestamp) -> Value {
    let gates = list(pod, "/spec/readinessGates");
    if gates.is_empty() {
        return Value::from(NONE);
    }
    let passed =
        gates.iter().filter(|gate| has_condition(pod, text(gate, "/conditionType"))).count();
    Value::from(format!("{passed}/{}", gates.len()))
}
