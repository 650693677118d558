//! The approval subresource of requests for certificates: the conditions that decide them, and
//! nothing else.

use serde_json::{Value, json};
use skein_objects::{Part, Reason, StatusError};

use super::update;
use crate::{call::Call, reply::Reply, service::Service};

/// The conditions that are a decision.
const DECISIONS: [&str; 2] = ["Approved", "Denied"];

/// Decides a request as the object in the body says.
pub(super) async fn update(service: &Service, call: Call) -> Result<Reply, StatusError> {
    update::by(service, &call, Part::Status, decided).await
}

/// The live object with the decisions of the wanted one added; whose version, if it has one,
/// decides. What has been decided stays, and is not decided the other way.
fn decided(mut live: Value, wanted: &Value) -> Result<Value, StatusError> {
    let conditions = |object: &Value| -> Vec<Value> {
        object["status"]["conditions"].as_array().cloned().unwrap_or_default()
    };
    let mut all = conditions(&live);
    let has = |all: &[Value], kind: &str| all.iter().any(|one| one["type"] == kind);
    let is_new = |one: &Value| {
        DECISIONS.iter().any(|decision| one["type"] == *decision && !has(&all, decision))
    };
    let new: Vec<Value> = conditions(wanted).into_iter().filter(is_new).collect();
    all.extend(new);
    if DECISIONS.iter().all(|decision| has(&all, decision)) {
        let rule = "status.conditions: Invalid value: \"Denied\": Approved and Denied conditions \
                    are mutually exclusive";
        return Err(StatusError::new(Reason::Invalid, rule));
    }
    live["status"]["conditions"] = json!(all);
    live["metadata"]["resourceVersion"] = wanted["metadata"]["resourceVersion"].clone();
    Ok(live)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_decisions_are_taken_over() {
        let live = json!({"metadata": {}, "status": {"certificate": "c",
            "conditions": [{"type": "Failed"}]}});
        let wanted = json!({"metadata": {"resourceVersion": "7"}, "status": {
            "certificate": "other", "conditions": [{"type": "Approved"}, {"type": "Mine"}]}});
        let expected = json!({"metadata": {"resourceVersion": "7"}, "status": {
            "certificate": "c", "conditions": [{"type": "Failed"}, {"type": "Approved"}]}});
        assert_eq!(decided(live, &wanted).unwrap(), expected);
    }

    #[test]
    fn what_is_decided_stays_so() {
        let with = |kind: &str| json!({"metadata": {}, "status": {"conditions": [{"type": kind}]}});
        let none = json!({"metadata": {}, "status": {}});
        let kept = decided(with("Approved"), &none).unwrap();
        assert_eq!(kept["status"], with("Approved")["status"]);
        assert_eq!(decided(with("Approved"), &with("Denied")).unwrap_err().code, 422);
    }
}
