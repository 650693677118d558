//! A store that can be cut off.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use async_trait::async_trait;
use futures::{StreamExt, stream};
use skein_consensus::{
    Consistency, Key, KeyRange, ListOptions, Listing, MemoryStore, Record, Revision, SharedStore,
    StoreClient, StoreError, Transaction, WatchStream,
};

/// An in-memory store behind a switch. Cut off, it answers nothing, not even stale reads, and
/// watches end.
pub(super) struct SwitchedStore {
    inner: SharedStore,
    cut: AtomicBool,
}

impl SwitchedStore {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { inner: MemoryStore::new(), cut: AtomicBool::new(false) })
    }

    pub(super) fn set_cut(&self, cut: bool) {
        self.cut.store(cut, Ordering::SeqCst);
    }

    fn check(&self) -> Result<(), StoreError> {
        if self.cut.load(Ordering::SeqCst) {
            return Err(StoreError::Unavailable("cut off".into()));
        }
        Ok(())
    }
}

#[async_trait]
impl StoreClient for SwitchedStore {
    async fn write(&self, transaction: Transaction) -> Result<Vec<Revision>, StoreError> {
        self.check()?;
        self.inner.write(transaction).await
    }

    async fn get(
        &self,
        key: &Key,
        consistency: Consistency,
    ) -> Result<(Option<Record>, Revision), StoreError> {
        self.check()?;
        self.inner.get(key, consistency).await
    }

    async fn list(
        &self,
        range: &KeyRange,
        options: ListOptions,
        consistency: Consistency,
    ) -> Result<Listing, StoreError> {
        self.check()?;
        self.inner.list(range, options, consistency).await
    }

    async fn watch(&self, range: &KeyRange, from: Revision) -> Result<WatchStream, StoreError> {
        self.check()?;
        let inner = self.inner.watch(range, from).await?;
        let cut = stream::once(async { Err(StoreError::Unavailable("cut off".into())) });
        Ok(inner.chain(cut).boxed())
    }
}
