//! The finalize subresource of namespaces: who still holds one, and nothing else. What is left of a
//! namespace that is being deleted and that nobody holds any more goes at once.

use serde_json::{Value, json};
use skein_objects::{Part, StatusError};

use super::update;
use crate::{call::Call, reply::Reply, service::Service};

/// Replaces the finalizers of a namespace by those of the object in the body.
pub(super) async fn update(service: &Service, call: Call) -> Result<Reply, StatusError> {
    update::by(service, &call, Part::Main, |live, wanted| Ok(finalized(live, wanted))).await
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
