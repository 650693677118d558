//! The one store of a node: through its own replica while that is up to date, else a peer's.

use std::sync::Arc;

use async_trait::async_trait;
use futures::StreamExt;

use crate::{Peers, RemoteStore, Replica, replica_store::ReplicaStore};
use skein_store::{
    Consistency, Key, KeyRange, ListOptions, Listing, Record, Revision, StoreClient, StoreError,
    Transaction, WatchStream,
};

/// Chooses between the local replica and the peers for every request anew.
///
/// A replica that belongs to a group and hears from its leader serves the request, and so does a
/// voter that knows the quorum to be lost: it refuses what is impossible at once. Otherwise a
/// peer's does; and if that cannot, the local one as it is, so that reads that may be stale go on
/// without quorum. A watch that a peer serves ends once the local replica serves, for whoever needs
/// it to go on there: what a node has, no peer need send it.
pub struct NodeStore {
    local: ReplicaStore,
    remote: Arc<RemoteStore>,
}

impl NodeStore {
    /// The store of the node that runs `replica` among `peers`.
    pub fn new(replica: &Replica, peers: tokio::sync::watch::Receiver<Peers>) -> Arc<Self> {
        let local = replica.store();
        let remote = RemoteStore::beside(local.parts.clone(), peers);
        Arc::new(Self { local, remote })
    }

    /// Whether the local replica is asked, and nobody else.
    fn serves(&self) -> bool {
        self.local.is_current() || self.local.is_decisive()
    }

    /// The stores to try, in order.
    fn order(&self) -> (&dyn StoreClient, Option<&dyn StoreClient>) {
        if self.serves() {
            (&self.local, None)
        } else if self.local.has_data() {
            (self.remote.as_ref(), Some(&self.local))
        } else {
            (self.remote.as_ref(), None)
        }
    }
}

/// Whether the other store may do better.
fn is_unavailable<T>(result: &Result<T, StoreError>) -> bool {
    matches!(result, Err(StoreError::Unavailable(_) | StoreError::NoQuorum { .. }))
}

#[async_trait]
impl StoreClient for NodeStore {
    async fn write(&self, transaction: Transaction) -> Result<Vec<Revision>, StoreError> {
        let (first, _) = self.order();
        first.write(transaction).await
    }

    async fn get(
        &self,
        key: &Key,
        consistency: Consistency,
    ) -> Result<(Option<Record>, Revision), StoreError> {
        let (first, second) = self.order();
        let result = first.get(key, consistency).await;
        match second {
            Some(second) if is_unavailable(&result) => second.get(key, consistency).await,
            _ => result,
        }
    }

    async fn list(
        &self,
        range: &KeyRange,
        options: ListOptions,
        consistency: Consistency,
    ) -> Result<Listing, StoreError> {
        let (first, second) = self.order();
        let result = first.list(range, options.clone(), consistency).await;
        match second {
            Some(second) if is_unavailable(&result) => {
                second.list(range, options, consistency).await
            }
            _ => result,
        }
    }

    async fn watch(&self, range: &KeyRange, from: Revision) -> Result<WatchStream, StoreError> {
        if self.serves() {
            return self.local.watch(range, from).await;
        }
        let result = self.remote.watch(range, from).await;
        if self.local.has_data() && is_unavailable(&result) {
            return self.local.watch(range, from).await;
        }
        Ok(Box::pin(result?.take_until(Box::pin(self.local.becomes_current()))))
    }
}
