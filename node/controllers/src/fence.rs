//! Leadership as a precondition of every write.
//!
//! A leader that was deposed without noticing could go on acting on what it last saw; its writes
//! would reach the new leader like anybody's. So leader-only work begins by writing a lease, and
//! every later write of it carries the condition that this lease has not been written since. The
//! next leader's own lease ends all writes of the former, at once and without clocks. The same
//! write tells how far informers must have come before they may be believed.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use serde_json::json;
use skein_consensus::{
    Consistency, Key, KeyRange, ListOptions, Listing, Operation, Precondition, Record, Revision,
    SharedStore, StoreClient, StoreError, Transaction, WatchStream,
};
use skein_objects::canonical;
use tokio_util::sync::CancellationToken;

use crate::limits::TAKE_OVER_PAUSE;

const RESOURCE: &str = "leases.coordination.k8s.io";
const NAMESPACE: &str = "kube-system";
const NAME: &str = "skein-controllers";

/// The store as the holder of a term sees it: it takes writes as long as the term lasts.
pub(crate) struct Fenced {
    store: SharedStore,
    key: Key,
    term: Revision,
    ended: CancellationToken,
}

impl Fenced {
    /// Takes over from whoever led before. Tries until it succeeds or `cancel` fires; `cancel`
    /// is also fired by the first write that finds the term over.
    pub(crate) async fn take_over(
        store: SharedStore,
        holder: &str,
        cancel: CancellationToken,
    ) -> Option<Arc<Self>> {
        let key = Key::new(RESOURCE, NAMESPACE, NAME);
        loop {
            let attempt = claim(&store, &key, holder);
            let claimed = tokio::select! {
                () = cancel.cancelled() => return None,
                claimed = attempt => claimed,
            };
            match claimed {
                Ok(term) => return Some(Arc::new(Self { store, key, term, ended: cancel })),
                Err(error) => tracing::debug!(%error, "leadership not taken over yet"),
            }
            tokio::select! {
                () = cancel.cancelled() => return None,
                () = tokio::time::sleep(TAKE_OVER_PAUSE) => {}
            }
        }
    }

    /// When the term began: nothing an earlier leader wrote comes after this.
    pub(crate) fn term(&self) -> Revision {
        self.term
    }

    /// Waits until every write of this term that was given up has been applied or never will be.
    /// A read alone would not do: it does not wait for what is in the log but not yet committed. So
    /// an entry of its own, the check of the lease, goes through the log behind them.
    pub(crate) async fn settle(&self) -> Result<(), StoreError> {
        self.write(Transaction::new(Vec::new())).await.map(drop)
    }
}

async fn claim(store: &SharedStore, key: &Key, holder: &str) -> Result<Revision, StoreError> {
    let (former, _) = store.get(key, Consistency::Linearizable).await?;
    let when =
        former.as_ref().map_or(Precondition::Absent, |held| Precondition::Unchanged(held.modified));
    let value = lease(holder, former.as_ref());
    let put = Operation::Put { key: key.clone(), value, when };
    let revisions = store.write(Transaction::new(vec![put])).await?;
    let term = revisions.first().copied().unwrap_or_default();
    // Informers start from the replica at hand: it must not be older than the term.
    store.get(key, Consistency::AtLeast(term)).await?;
    Ok(term)
}

/// The lease as an ordinary object, so that `kubectl get lease` shows who leads since when.
fn lease(holder: &str, former: Option<&Record>) -> Bytes {
    let former: Option<serde_json::Value> =
        former.and_then(|record| serde_json::from_slice(&record.value).ok());
    let inherited = |pointer: &str| former.as_ref().and_then(|lease| lease.pointer(pointer));
    let now = Timestamp::now();
    let transitions = inherited("/spec/leaseTransitions")
        .and_then(serde_json::Value::as_i64)
        .map_or(0, |n| n + 1);
    let created = format!("{now:.0}");
    let created = inherited("/metadata/creationTimestamp").cloned().unwrap_or(json!(created));
    let uid = inherited("/metadata/uid").cloned();
    let uid = uid.unwrap_or_else(|| json!(uuid::Uuid::new_v4().to_string()));
    canonical(&json!({
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {
            "name": NAME, "namespace": NAMESPACE, "uid": uid, "creationTimestamp": created,
        },
        "spec": {
            "holderIdentity": holder,
            "acquireTime": format!("{now:.6}"),
            "leaseTransitions": transitions,
        },
    }))
}

#[async_trait]
impl StoreClient for Fenced {
    async fn write(&self, mut transaction: Transaction) -> Result<Vec<Revision>, StoreError> {
        let operations = transaction.operations.len();
        transaction.operations.push(Operation::Check {
            key: self.key.clone(),
            when: Precondition::Unchanged(self.term),
        });
        match self.store.write(transaction).await {
            Ok(mut revisions) => {
                revisions.truncate(operations);
                Ok(revisions)
            }
            Err(StoreError::PreconditionFailed { index, .. }) if index == operations => {
                self.ended.cancel();
                Err(StoreError::Unavailable("another node leads by now".to_owned()))
            }
            Err(error) => Err(error),
        }
    }

    async fn get(
        &self,
        key: &Key,
        consistency: Consistency,
    ) -> Result<(Option<Record>, Revision), StoreError> {
        self.store.get(key, consistency).await
    }

    async fn list(
        &self,
        range: &KeyRange,
        options: ListOptions,
        consistency: Consistency,
    ) -> Result<Listing, StoreError> {
        self.store.list(range, options, consistency).await
    }

    async fn watch(&self, range: &KeyRange, from: Revision) -> Result<WatchStream, StoreError> {
        self.store.watch(range, from).await
    }
}

#[cfg(test)]
mod tests {
    use skein_consensus::MemoryStore;

    use super::*;

    fn put(name: &str) -> Transaction {
        Transaction::new(vec![Operation::Put {
            key: Key::new("pods", "default", name),
            value: Bytes::from_static(b"{}"),
            when: Precondition::Any,
        }])
    }

    #[tokio::test(start_paused = true)]
    async fn a_deposed_leader_writes_nothing_and_stops() {
        let store: SharedStore = MemoryStore::new();
        let (first_run, second_run) = (CancellationToken::new(), CancellationToken::new());
        let first = Fenced::take_over(store.clone(), "h1", first_run.clone()).await.unwrap();
        assert_eq!(first.write(put("a")).await.unwrap().len(), 1);
        let second = Fenced::take_over(store.clone(), "h2", second_run.clone()).await.unwrap();

        assert!(first.write(put("b")).await.is_err());
        assert!(first_run.is_cancelled());
        second.write(put("c")).await.unwrap();
        assert!(!second_run.is_cancelled());

        let pods = KeyRange::all("pods");
        let listing =
            store.list(&pods, ListOptions::default(), Consistency::Linearizable).await.unwrap();
        let names: Vec<_> = listing.records.iter().map(|record| &*record.key.name).collect();
        assert_eq!(names, ["a", "c"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failed_precondition_of_the_write_itself_does_not_end_the_term() {
        let run = CancellationToken::new();
        let fenced = Fenced::take_over(MemoryStore::new(), "h1", run.clone()).await.unwrap();
        let absent =
            Operation::Delete { key: Key::new("pods", "default", "a"), when: Precondition::Exists };
        let refused = fenced.write(Transaction::new(vec![absent])).await;
        assert!(matches!(refused, Err(StoreError::PreconditionFailed { index: 0, .. })));
        assert!(!run.is_cancelled());
    }
}
