//! Binding: a pod gets its node.

use jiff::Timestamp;
use serde_json::{Value, json};
use skein_objects::{Kind, StatusError, registry};

use crate::{
    Storage,
    convert::View,
    object::stored_value,
    storage::key_of,
    write::{Decision, WriteOptions},
};

impl Storage {
    /// Assigns a pod to a node, once: the binding subresource.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` where the pod has a node, is being deleted or is not the one with
    /// this uid.
    pub async fn bind(
        &self,
        namespace: &str,
        pod: &str,
        node: &str,
        uid: Option<&str>,
    ) -> Result<(), StatusError> {
        let kind = registry().of::<k8s_openapi::api::core::v1::Pod>();
        let now = Timestamp::now();
        let (key, options) = (key_of(kind, namespace, pod), WriteOptions::default());
        self.rewrite(kind, key, View::Stored, &options, |record| {
            let bound = bound(kind, pod, stored_value(record)?, node, uid, now)?;
            Ok(Decision::Put(bound))
        })
        .await?;
        Ok(())
    }
}

fn bound(
    kind: &Kind,
    name: &str,
    mut pod: Value,
    node: &str,
    uid: Option<&str>,
    now: Timestamp,
) -> Result<Value, StatusError> {
    if uid.is_some_and(|uid| pod["metadata"]["uid"] != uid) {
        return Err(StatusError::conflict(kind, name, "the uid in the binding is of another pod"));
    }
    if !pod["metadata"]["deletionTimestamp"].is_null() {
        let why = format!("pod {name} is being deleted, cannot be assigned to a host");
        return Err(StatusError::conflict(kind, name, why));
    }
    if let Some(assigned) = pod["spec"]["nodeName"].as_str().filter(|node| !node.is_empty()) {
        let why = format!("pod {name} is already assigned to node \"{assigned}\"");
        return Err(StatusError::conflict(kind, name, why));
    }
    pod["spec"]["nodeName"] = json!(node);
    set_scheduled(&mut pod["status"], now);
    Ok(pod)
}

fn set_scheduled(status: &mut Value, now: Timestamp) {
    let now = now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let scheduled = json!({
        "type": "PodScheduled", "status": "True", "lastProbeTime": null, "lastTransitionTime": now,
    });
    if !status["conditions"].is_array() {
        status["conditions"] = json!([]);
    }
    let Some(conditions) = status["conditions"].as_array_mut() else { return };
    match conditions.iter_mut().find(|condition| condition["type"] == "PodScheduled") {
        Some(condition) => *condition = scheduled,
        None => conditions.push(scheduled),
    }
}
