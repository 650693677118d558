//! Changes that go on when the replica they came from does not: a watch outlives the restart of a
//! replica, a leader, and the loss of the quorum.

use std::sync::Arc;

use futures::{StreamExt, stream};
use skein_consensus::{EventBatch, Revision};
use skein_objects::{Kind, Reason, StatusError};
use skein_storage::{Storage, WatchEvents};

use crate::limits;

/// Every change of a kind after `from`; where no replica answers the stream waits for one. Only the
/// first attempt fails to the caller's face.
pub(super) async fn watch(
    storage: &Storage,
    kind: &Arc<Kind>,
    namespace: Option<&str>,
    from: Revision,
) -> Result<WatchEvents, StatusError> {
    let events = storage.watch(kind, namespace, from).await?;
    let source = Source {
        storage: storage.clone(),
        kind: kind.clone(),
        namespace: namespace.map(str::to_owned),
        seen: from,
        events: Some(events),
    };
    let changes = stream::unfold(Some(source), |source| async {
        let mut source = source?;
        let item = source.next().await;
        let rest = item.is_ok().then_some(source);
        Some((item, rest))
    });
    Ok(changes.boxed())
}

struct Source {
    storage: Storage,
    kind: Arc<Kind>,
    namespace: Option<String>,
    seen: Revision,
    events: Option<WatchEvents>,
}

impl Source {
    async fn next(&mut self) -> Result<EventBatch, StatusError> {
        loop {
            if let Some(events) = &mut self.events {
                match events.next().await {
                    Some(Ok(batch)) => {
                        self.seen = self.seen.max(batch.revision);
                        return Ok(batch);
                    }
                    Some(Err(error)) if error.reason != Reason::ServiceUnavailable => {
                        return Err(error);
                    }
                    Some(Err(_)) | None => self.events = None,
                }
            }
            tokio::time::sleep(limits::RESUME_PAUSE).await;
            let namespace = self.namespace.as_deref();
            match self.storage.watch(&self.kind, namespace, self.seen).await {
                Ok(events) => self.events = Some(events),
                Err(error) if error.reason == Reason::ServiceUnavailable => {}
                Err(error) => return Err(error),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    };

    use async_trait::async_trait;
    use k8s_openapi::api::core::v1::ConfigMap;
    use serde_json::json;
    use skein_consensus::{
        Consistency, Key, KeyRange, ListOptions, Listing, MemoryStore, Operation, Precondition,
        Record, SharedStore, StoreClient, StoreError, Transaction, WatchStream,
    };
    use skein_objects::{canonical, registry};

    use super::*;

    /// A store whose watches break after each batch, and every second of which does not open.
    struct Breaking {
        inner: SharedStore,
        closed: AtomicBool,
    }

    #[async_trait]
    impl StoreClient for Breaking {
        async fn write(&self, transaction: Transaction) -> Result<Vec<Revision>, StoreError> {
            self.inner.write(transaction).await
        }

        async fn get(
            &self,
            key: &Key,
            consistency: Consistency,
        ) -> Result<(Option<Record>, Revision), StoreError> {
            self.inner.get(key, consistency).await
        }

        async fn list(
            &self,
            range: &KeyRange,
            options: ListOptions,
            consistency: Consistency,
        ) -> Result<Listing, StoreError> {
            self.inner.list(range, options, consistency).await
        }

        async fn watch(&self, range: &KeyRange, from: Revision) -> Result<WatchStream, StoreError> {
            let gone = || StoreError::Unavailable("the replica has stopped".to_owned());
            if self.closed.fetch_not(Ordering::Relaxed) {
                return Err(gone());
            }
            let changes = self.inner.watch(range, from).await?;
            Ok(Box::pin(changes.take(1).chain(stream::once(async move { Err(gone()) }))))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_watch_whose_replica_goes_away_goes_on_without_gap_or_repetition() {
        let kind = registry().of::<ConfigMap>();
        let inner: SharedStore = MemoryStore::new();
        let write = async |name: &str| {
            let value = canonical(&json!({"metadata": {"name": name}}));
            let key = Key::new(kind.store_resource(), "default", name);
            let put = Operation::Put { key, value, when: Precondition::Absent };
            inner.write(Transaction::new(vec![put])).await.unwrap();
        };
        let store = Breaking { inner: inner.clone(), closed: AtomicBool::new(false) };
        let storage = Storage::new(Arc::new(store));
        let mut changes = watch(&storage, kind, None, Revision(0)).await.unwrap();
        let mut seen = Vec::new();
        for round in 0..5_u64 {
            write(&round.to_string()).await;
            while seen.len() <= usize::try_from(round).unwrap() {
                let batch = changes.next().await.unwrap().unwrap();
                seen.extend(batch.events.iter().map(|event| event.revision().0));
            }
        }
        assert_eq!(seen, [1, 2, 3, 4, 5]);
    }
}
