//! The replica, for as long as the node runs: whoever asks it something keeps the node from
//! stopping meanwhile, and is told when it has.

use std::sync::Arc;

use skein_consensus::{
    Replica, StoreError,
    recovery::{Ordered, Plan, Survey},
};
use tokio::sync::RwLock;

/// A shared replica. Cheap to clone.
#[derive(Clone)]
pub(crate) struct SharedReplica(Arc<RwLock<Option<Replica>>>);

impl SharedReplica {
    pub(super) fn new(replica: Replica) -> Self {
        Self(Arc::new(RwLock::new(Some(replica))))
    }

    /// Hands leadership over if this node leads; returns when another leads or nobody can.
    pub(crate) async fn hand_over(&self) {
        if let Some(replica) = self.0.read().await.as_ref() {
            replica.hand_over().await;
        }
    }

    /// Asks every host, this one too, what its replica holds.
    pub(crate) async fn survey(&self) -> Result<Vec<Survey>, StoreError> {
        match self.0.read().await.as_ref() {
            Some(replica) => Ok(replica.survey().await),
            None => Err(stopped()),
        }
    }

    /// Orders a lost cluster to go on by `plan`.
    pub(crate) async fn recover(&self, plan: &Plan) -> Result<Vec<Ordered>, StoreError> {
        match self.0.read().await.as_ref() {
            Some(replica) => Ok(replica.recover(plan).await),
            None => Err(stopped()),
        }
    }

    /// Orders this replica, which a recovery left behind, to start empty.
    pub(crate) async fn rejoin(&self) -> Result<(), StoreError> {
        match self.0.read().await.as_ref() {
            Some(replica) => replica.rejoin().await,
            None => Err(stopped()),
        }
    }

    /// The replica, for stopping it; waits for those who ask it something.
    pub(super) async fn take(&self) -> Option<Replica> {
        self.0.write().await.take()
    }
}

fn stopped() -> StoreError {
    StoreError::Unavailable("the replica has stopped".to_owned())
}
