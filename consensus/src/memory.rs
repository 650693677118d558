//! The store without Raft and without a disk.
//!
//! The same state machine, views and watches as a replica's, so that whatever is built over
//! [`StoreClient`] can be tested alone.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use tokio::time::Instant;

use crate::limits;
use skein_store::{
    Consistency, Key, KeyRange, ListOptions, Listing, Published, Record, Revision, Stamp, State,
    StoreClient, StoreError, Transaction, View, WatchStream,
};

/// A store in this process's memory. Every read of it is linearizable.
#[derive(Debug)]
pub struct MemoryStore {
    state: Mutex<State>,
    published: Arc<Published>,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Arc<Self> {
        let state = State::default();
        let published = Arc::new(Published::new(state.view.clone()));
        Arc::new(Self { state: Mutex::new(state), published })
    }

    async fn view(&self, consistency: Consistency) -> Result<View, StoreError> {
        match consistency {
            Consistency::Linearizable | Consistency::Any => Ok(self.published.view()),
            Consistency::AtLeast(revision) => {
                let deadline = Instant::now() + limits::READ_TIMEOUT;
                self.published.view_at_least(revision, deadline).await
            }
        }
    }
}

#[async_trait]
impl StoreClient for MemoryStore {
    async fn write(&self, transaction: Transaction) -> Result<Vec<Revision>, StoreError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut changes = Vec::new();
        let revisions = state.apply(&transaction, Stamp::default(), &mut changes)?;
        self.published.publish(state.view.clone(), changes);
        Ok(revisions)
    }

    async fn get(
        &self,
        key: &Key,
        consistency: Consistency,
    ) -> Result<(Option<Record>, Revision), StoreError> {
        let view = self.view(consistency).await?;
        Ok((view.get(key).cloned(), view.revision()))
    }

    async fn list(
        &self,
        range: &KeyRange,
        options: ListOptions,
        consistency: Consistency,
    ) -> Result<Listing, StoreError> {
        let view = self.view(consistency).await?;
        self.published.list(&view, range, &options).await
    }

    async fn watch(&self, range: &KeyRange, from: Revision) -> Result<WatchStream, StoreError> {
        self.published.watch(range, from)
    }
}
