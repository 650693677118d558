//! Takes a node out of the cluster for good.

use std::time::Duration;

use k8s_openapi::api::core::v1::Node;
use serde_json::{Value, json};
use skein_net::NodeId;
use skein_objects::{Reason, StatusError, registry};
use skein_storage::{DeleteOptions, Storage};
use tokio::time::timeout;

use super::View;
use crate::registration::RegistrationError;

/// How long the Raft group may take to go on without the node before the answer says that it has
/// not yet.
const GROUP_DEADLINE: Duration = Duration::from_secs(20);

/// How long a removed node that lives may take to notice and to end its pods.
const FAREWELL_DEADLINE: Duration = Duration::from_secs(10);

impl View {
    /// Removes `name` from the registrations, the Raft group and the Node objects, in this order:
    /// a node that is told to go must not lose its vote before the others can do without, nor its
    /// Node while it would make it anew.
    pub(super) async fn remove(&self, name: &str) -> Result<Value, StatusError> {
        let kind = registry().of::<Node>();
        if name == self.node_name {
            return Err(StatusError::bad_request(format!(
                "{name} cannot remove itself: ask another node of the cluster"
            )));
        }
        let alive = self.id_of(name).filter(|id| self.liveness.is_alive(*id));
        let removed = self.registrations.remove(name).await?;
        if let Some(id) = removed {
            tracing::info!(name, %id, "removed from the cluster");
        }
        let left = match removed {
            Some(id) => self.leaves_group(id).await,
            None => true,
        };
        if let Some(id) = alive {
            self.says_farewell(id).await;
        }
        match (removed, forget_node(&self.storage, name).await?) {
            (None, false) => Err(StatusError::not_found(kind, name)),
            (id, _) => Ok(json!({
                "name": name,
                "id": id.map(|id| id.to_string()),
                "stillVotes": !left,
            })),
        }
    }

    /// Whether the node is out of the Raft group in time.
    async fn leaves_group(&self, id: NodeId) -> bool {
        let mut raft = self.raft.clone();
        let gone = raft.wait_for(|now| !now.voters.contains(&id) && !now.learners.contains(&id));
        matches!(timeout(GROUP_DEADLINE, gone).await, Ok(Ok(_)))
    }

    /// Waits until the process of a removed node has ended; one that does not in time is refused
    /// by all others anyway.
    async fn says_farewell(&self, id: NodeId) {
        let mut members = self.membership.members();
        let gone = members.wait_for(|now| !now.iter().any(|one| one.id == id && one.alive));
        if timeout(FAREWELL_DEADLINE, gone).await.is_err() {
            tracing::warn!(%id, "the removed node still answers");
        }
    }
}

/// Deletes the Node object; whether there was one.
async fn forget_node(storage: &Storage, name: &str) -> Result<bool, StatusError> {
    match storage.typed::<Node>().delete("", name, &DeleteOptions::default()).await {
        Ok(_) => Ok(true),
        Err(error) if error.reason == Reason::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

impl From<RegistrationError> for StatusError {
    fn from(error: RegistrationError) -> Self {
        match error {
            RegistrationError::Store(error) => skein_storage::write_error(error),
            RegistrationError::Damaged { .. } => Self::internal(error),
            RegistrationError::NameTaken { .. }
            | RegistrationError::Removed(_)
            | RegistrationError::Changing(_) => Self::new(Reason::Conflict, error.to_string()),
        }
    }
}
