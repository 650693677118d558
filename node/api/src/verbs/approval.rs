//! The approval subresource of requests for certificates: the conditions that decide them, and
//! nothing else.

use http::StatusCode;
use serde_json::{Value, json};
use skein_objects::{Part, StatusError, decode};

use super::answer;
use crate::{call::Call, reply::Reply, service::Service};

/// The conditions that are a decision.
const DECISIONS: [&str; 2] = ["Approved", "Denied"];

/// Decides a request as the object in the body says.
pub(super) async fn update(service: &Service, mut call: Call) -> Result<Reply, StatusError> {
    let options = call.query.write_options(&call.headers)?;
    let validation = call.query.field_validation()?;
    let (bytes, media) = call.read_object().await?;
    let target = &call.target;
    let wanted = decode(&target.kind, &bytes, media, validation)?.object;
    let decide = |live: Value| Ok(decided(live, &wanted));
    let (namespace, name) = (target.namespace(), target.name());
    let object = service
        .storage
        .modify(&target.kind, namespace, name, Part::Status, &options, decide)
        .await?;
    answer(&call, StatusCode::OK, &object)
}

/// The live object with the decisions of the wanted one; whose version, if it has one, decides.
fn decided(mut live: Value, wanted: &Value) -> Value {
    let conditions = |object: &Value, decisions: bool| -> Vec<Value> {
        let all = object["status"]["conditions"].as_array().into_iter().flatten();
        let is_decision = |one: &&Value| {
            let kind = one["type"].as_str();
            kind.is_some_and(|kind| DECISIONS.contains(&kind)) == decisions
        };
        all.filter(is_decision).cloned().collect()
    };
    let mut all = conditions(&live, false);
    all.extend(conditions(wanted, true));
    live["status"]["conditions"] = json!(all);
    live["metadata"]["resourceVersion"] = wanted["metadata"]["resourceVersion"].clone();
    live
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_decisions_are_taken_over() {
        let live = json!({"metadata": {}, "status": {"certificate": "c",
            "conditions": [{"type": "Failed"}, {"type": "Denied"}]}});
        let wanted = json!({"metadata": {"resourceVersion": "7"}, "status": {
            "certificate": "other", "conditions": [{"type": "Approved"}, {"type": "Mine"}]}});
        let expected = json!({"metadata": {"resourceVersion": "7"}, "status": {
            "certificate": "c", "conditions": [{"type": "Failed"}, {"type": "Approved"}]}});
        assert_eq!(decided(live, &wanted), expected);
    }
}
