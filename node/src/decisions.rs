//! What the autopilot decides, as events about the nodes it is about.

use k8s_openapi::api::core::v1::{Node, ObjectReference};
use skein_consensus::Decision;
use skein_net::NodeId;
use skein_storage::{EventRecorder, EventType, Storage, reference_to};
use tokio::sync::broadcast::{Receiver, error::RecvError};

use crate::liveness::Liveness;

/// What is decided about hosts that people should do something about.
const WARNINGS: [&str; 1] = ["TwoHosts"];

/// Records every decision; only the leader makes any.
pub(crate) async fn record(
    mut decisions: Receiver<Decision>,
    liveness: Liveness,
    storage: Storage,
    events: EventRecorder,
) {
    loop {
        match decisions.recv().await {
            Ok(Decision { node, reason, message }) => {
                let about = reference(&liveness, &storage, node).await;
                events.event_about(about, event_type(reason), reason, message);
            }
            Err(RecvError::Lagged(missed)) => tracing::warn!(missed, "decisions were not recorded"),
            Err(RecvError::Closed) => return,
        }
    }
}

fn event_type(reason: &str) -> EventType {
    if WARNINGS.contains(&reason) { EventType::Warning } else { EventType::Normal }
}

/// A node by its Node object, or by its name where it has none: a witness, or one that is gone.
async fn reference(liveness: &Liveness, storage: &Storage, node: NodeId) -> ObjectReference {
    let name = liveness.verdicts().get(&node).map(|verdict| verdict.name.clone());
    let name = name.unwrap_or_else(|| node.to_string());
    match storage.typed::<Node>().get("", &name).await {
        Ok(Some(object)) => reference_to(&object),
        Ok(None) | Err(_) => ObjectReference {
            api_version: Some("v1".to_owned()),
            kind: Some("Node".to_owned()),
            name: Some(name),
            ..ObjectReference::default()
        },
    }
}
