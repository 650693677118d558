//! The finalize subresource of namespaces: who still holds one, and nothing else. What is left of a
//! namespace that is being deleted and that nobody holds any more goes at once.

use http::StatusCode;
use serde_json::{Value, json};
use skein_objects::{Part, StatusError, decode};

use super::answer;
use crate::{call::Call, reply::Reply, service::Service};

/// Replaces the finalizers of a namespace by those of the object in the body.
pub(super) async fn update(service: &Service, call: Call) -> Result<Reply, StatusError> {
    let options = call.query.write_options(&call.headers)?;
    let validation = call.query.field_validation()?;
    let (bytes, media) = call.read_object().await?;
    let target = &call.target;
    let wanted = decode(&target.kind, &bytes, media, validation)?.object;
    let finalize = |live: Value| Ok(finalized(live, &wanted));
    let object = service
        .storage
        .modify(&target.kind, "", target.name(), Part::Main, &options, finalize)
        .await?;
    answer(&call, StatusCode::OK, &object)
}

/// The live object with the finalizers of the wanted one, whose version, if it has one, decides.
fn finalized(mut live: Value, wanted: &Value) -> Value {
    let finalizers = wanted["spec"]["finalizers"].as_array().cloned().unwrap_or_default();
    live["spec"]["finalizers"] = json!(finalizers);
    live["metadata"]["resourceVersion"] = wanted["metadata"]["resourceVersion"].clone();
    live
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_finalizers_are_taken_over() {
        let live = json!({"metadata": {"name": "a"}, "spec": {"finalizers": ["kubernetes"]}});
        let wanted = json!({"metadata": {"name": "b", "resourceVersion": "7"}, "spec": {}});
        let expected =
            json!({"metadata": {"name": "a", "resourceVersion": "7"}, "spec": {"finalizers": []}});
        assert_eq!(finalized(live, &wanted), expected);
    }
}
