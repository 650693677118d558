//! The stream of changes a subscriber of an informer sees.

use std::sync::Arc;

use tokio::sync::broadcast::{self, error::RecvError};

/// Something to look at again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// This object was made, changed or removed.
    Object {
        /// Its namespace, empty for cluster-scoped kinds.
        namespace: Arc<str>,
        /// Its name.
        name: Arc<str>,
    },
    /// Anything may have changed.
    Resync,
}

/// Changes in order. A subscriber that falls behind gets one [`Change::Resync`] instead of what
/// it missed.
pub struct Changes(broadcast::Receiver<Change>);

impl Changes {
    pub(super) fn new(receiver: broadcast::Receiver<Change>) -> Self {
        Self(receiver)
    }

    /// The next change; `None` once the informer has ended.
    pub async fn next(&mut self) -> Option<Change> {
        match self.0.recv().await {
            Ok(change) => Some(change),
            Err(RecvError::Lagged(_)) => Some(Change::Resync),
            Err(RecvError::Closed) => None,
        }
    }
}
