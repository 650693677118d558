//! The stream of changes a subscriber of an informer sees.

use std::sync::Arc;

use tokio::sync::broadcast::{self, error::RecvError};

/// Something to look at again.
#[derive(Debug)]
pub enum Change<V> {
    /// This object was made, changed or removed.
    Object {
        /// Its namespace, empty for cluster-scoped kinds.
        namespace: Arc<str>,
        /// Its name.
        name: Arc<str>,
        /// The object before this change.
        former: Option<Arc<V>>,
    },
    /// Anything may have changed.
    Resync,
}

impl<V> Clone for Change<V> {
    fn clone(&self) -> Self {
        match self {
            Self::Object { namespace, name, former } => Self::Object {
                namespace: namespace.clone(),
                name: name.clone(),
                former: former.clone(),
            },
            Self::Resync => Self::Resync,
        }
    }
}

/// Changes in order. A subscriber that falls behind gets one [`Change::Resync`] instead of what
/// it missed.
pub struct Changes<V>(broadcast::Receiver<Change<V>>);

impl<V> Changes<V> {
    pub(super) fn new(receiver: broadcast::Receiver<Change<V>>) -> Self {
        Self(receiver)
    }

    /// The next change; `None` once the informer has ended.
    pub async fn next(&mut self) -> Option<Change<V>> {
        match self.0.recv().await {
            Ok(change) => Some(change),
            Err(RecvError::Lagged(_)) => Some(Change::Resync),
            Err(RecvError::Closed) => None,
        }
    }
}
