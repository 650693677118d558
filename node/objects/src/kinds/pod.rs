//! Pods: bound ones end gracefully, by their host's agent.

use serde_json::{Value, json};

use crate::lifecycle::Stamp;
use crate::strategy::{Ending, Strategy};

/// Kubernetes' default for `terminationGracePeriodSeconds`.
const GRACE_SECONDS: u64 = 30;

pub(crate) struct PodStrategy;

impl Strategy for PodStrategy {
    fn start(&self, object: &mut Value, _stamp: &Stamp) {
        object["status"] = json!({"phase": "Pending"});
    }

    fn ending(&self, object: &Value, grace_seconds: Option<u64>) -> Ending {
        let text = |pointer| object.pointer(pointer).and_then(Value::as_str).unwrap_or("");
        let unbound = text("/spec/nodeName").is_empty();
        let over = matches!(text("/status/phase"), "Succeeded" | "Failed");
        if unbound || over {
            return Ending::AtOnce;
        }
        let own = object.pointer("/spec/terminationGracePeriodSeconds").and_then(Value::as_u64);
        match grace_seconds.or(own).unwrap_or(GRACE_SECONDS) {
            0 => Ending::AtOnce,
            seconds => Ending::Graceful(seconds),
        }
    }
}
