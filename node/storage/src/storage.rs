//! Reading: get, list and watch. Everything is as it is stored; [`Storage::in_version`] makes other
//! versions of it.

use std::sync::Arc;

use futures::{StreamExt, stream::BoxStream};
use skein_consensus::{
    Consistency, EventBatch, Key, KeyRange, ListOptions, Record, Revision, SharedStore,
};
use skein_objects::{Kind, Scope, StatusError};

use crate::{Client, Converter, Object, ObjectList, error::read_error, namespaces::Namespaces};

/// Changes of a kind in order; an error is the last item.
pub type WatchEvents = BoxStream<'static, Result<EventBatch, StatusError>>;

/// Objects of the registered kinds in the replicated store. Cheap to clone.
#[derive(Clone)]
pub struct Storage {
    pub(crate) store: SharedStore,
    pub(crate) namespaces: Arc<Namespaces>,
    pub(crate) converter: Option<Arc<dyn Converter>>,
}

impl Storage {
    /// Objects in `store`; where their versions are made by webhooks, in the one stored alone.
    pub fn new(store: SharedStore) -> Self {
        Self { store, namespaces: Arc::new(Namespaces::default()), converter: None }
    }

    /// The typed face of this storage for `T`.
    pub fn typed<T>(&self) -> Client<T> {
        Client::new(self.clone())
    }

    /// Reads one object; `namespace` is empty for cluster-scoped kinds.
    ///
    /// # Errors
    /// `NotFound`; `ServiceUnavailable` where the consistency asked for cannot be had.
    pub async fn get(
        &self,
        kind: &Arc<Kind>,
        namespace: &str,
        name: &str,
        consistency: Consistency,
    ) -> Result<Object, StatusError> {
        let record = self.read(&key_of(kind, namespace, name), consistency).await?;
        let record = record.ok_or_else(|| StatusError::not_found(kind, name))?;
        Ok(Object { kind: kind.clone(), record })
    }

    /// Reads the objects of a kind, of one namespace or of all, as they are or as they were.
    ///
    /// # Errors
    /// `Expired` (410) where the history no longer reaches back to the revision asked for;
    /// `ServiceUnavailable` where the consistency asked for cannot be had.
    pub async fn list(
        &self,
        kind: &Arc<Kind>,
        namespace: Option<&str>,
        options: ListOptions,
        consistency: Consistency,
    ) -> Result<ObjectList, StatusError> {
        let range = range_of(kind, namespace);
        let listing = self.store.list(&range, options, consistency).await.map_err(read_error)?;
        Ok(ObjectList {
            kind: kind.clone(),
            records: listing.records,
            revision: listing.revision,
            remaining: listing.remaining,
        })
    }

    /// Every change of a kind after `from`, in order, none skipped, none twice.
    ///
    /// # Errors
    /// `Expired` (410) where the history no longer reaches back that far, also later as the last
    /// item; `ServiceUnavailable` where no replica answers.
    pub async fn watch(
        &self,
        kind: &Arc<Kind>,
        namespace: Option<&str>,
        from: Revision,
    ) -> Result<WatchEvents, StatusError> {
        let range = range_of(kind, namespace);
        let stream = self.store.watch(&range, from).await.map_err(read_error)?;
        Ok(stream.map(|batch| batch.map_err(read_error)).boxed())
    }

    /// One record, absent if there is none.
    pub(crate) async fn read(
        &self,
        key: &Key,
        consistency: Consistency,
    ) -> Result<Option<Record>, StatusError> {
        let (record, _) = self.store.get(key, consistency).await.map_err(read_error)?;
        Ok(record)
    }
}

/// The key of an object; the namespace of a cluster-scoped one is dropped.
pub(crate) fn key_of(kind: &Kind, namespace: &str, name: &str) -> Key {
    let namespace = match kind.scope {
        Scope::Namespaced => namespace,
        Scope::Cluster => "",
    };
    Key::new(kind.store_resource(), namespace, name)
}

fn range_of(kind: &Kind, namespace: Option<&str>) -> KeyRange {
    match namespace {
        Some(namespace) if kind.scope == Scope::Namespaced => {
            KeyRange::namespaced(kind.store_resource(), namespace)
        }
        _ => KeyRange::all(kind.store_resource()),
    }
}
