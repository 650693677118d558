//! A typed local copy of a kind that follows the store.
//!
//! Each object is decoded once, when it changes, and shared. How the copy is kept current says
//! [`follow`]. What a reader decides on it may be out of date: writes carry preconditions.

mod cache;
mod changes;

use std::sync::Arc;

use k8s_openapi::{Metadata, Resource, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use serde::de::DeserializeOwned;
use skein_consensus::{Event, Revision};
use skein_objects::{Kind, registry};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{LocalCopy, Object, ObjectList, Progress, Storage, follow::follow};
use cache::Cache;
pub use changes::{Change, Changes};

/// Says which objects an informer keeps; all where absent.
pub type Filter<T> = Arc<dyn Fn(&T) -> bool + Send + Sync>;

/// A handle on the copy. Cheap to clone.
pub struct Informer<T> {
    cache: Arc<Cache<T>>,
    progress: Progress,
}

impl<T> Clone for Informer<T> {
    fn clone(&self) -> Self {
        Self { cache: self.cache.clone(), progress: self.progress.clone() }
    }
}

impl<T> Informer<T>
where
    T: Resource + Metadata<Ty = ObjectMeta> + DeserializeOwned + Send + Sync + 'static,
{
    /// Starts following all objects of type `T` that `filter` lets through, until cancelled.
    pub fn start(
        storage: &Storage,
        filter: Option<Filter<T>>,
        tasks: &TaskTracker,
        cancel: CancellationToken,
    ) -> Self {
        let kind = registry().of::<T>();
        let cache = Arc::new(Cache::new());
        let copy = Arc::new(TypedCopy { kind, filter, cache: cache.clone() });
        Self { cache, progress: follow(storage, kind, copy, tasks, cancel) }
    }
}

impl<T> Informer<T> {
    /// How far the copy has come.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Waits until the copy holds what the store held when the informer started. False when the
    /// informer was cancelled before.
    pub async fn synced(&self) -> bool {
        self.progress.synced().await
    }

    /// Whether the first listing has arrived.
    pub fn is_synced(&self) -> bool {
        self.progress.is_synced()
    }

    /// Waits until the copy shows everything up to `revision`, such as a write of one's own. False
    /// when the informer was cancelled before.
    pub async fn caught_up(&self, revision: Revision) -> bool {
        self.progress.caught_up(revision).await
    }

    /// One object; `namespace` is empty for cluster-scoped kinds.
    pub fn get(&self, namespace: &str, name: &str) -> Option<Arc<T>> {
        self.cache.get(namespace, name)
    }

    /// All objects, in order of namespace and name.
    pub fn list(&self) -> Vec<Arc<T>> {
        self.cache.list()
    }

    /// The objects of one namespace, in order of name.
    pub fn list_namespace(&self, namespace: &str) -> Vec<Arc<T>> {
        self.cache.list_namespace(namespace)
    }

    /// What changes from now on. Subscribe, then look at [`Informer::list`].
    pub fn changes(&self) -> Changes {
        self.cache.changes()
    }
}

/// The copy behind an informer.
struct TypedCopy<T> {
    kind: &'static Kind,
    filter: Option<Filter<T>>,
    cache: Arc<Cache<T>>,
}

impl<T> LocalCopy for TypedCopy<T>
where
    T: Resource + Metadata<Ty = ObjectMeta> + DeserializeOwned + Send + Sync + 'static,
{
    fn replace(&self, list: &ObjectList) {
        self.cache.replace(list.objects().filter_map(|object| self.decode(&object)).collect());
    }

    fn apply(&self, event: Event) {
        match event {
            Event::Put { record, .. } => {
                let (namespace, name) = (record.key.namespace.clone(), record.key.name.clone());
                let object = Object { kind: self.kind, record };
                match self.decode(&object) {
                    Some(object) => self.cache.insert(object),
                    None => self.cache.remove(&namespace, &name),
                }
            }
            Event::Delete { previous, .. } => {
                self.cache.remove(&previous.key.namespace, &previous.key.name);
            }
        }
    }
}

impl<T: DeserializeOwned> TypedCopy<T> {
    /// The object, unless it is filtered out or unreadable.
    fn decode(&self, object: &Object) -> Option<T> {
        match object.decode::<T>() {
            Ok(decoded) => {
                self.filter.as_ref().is_none_or(|keep| keep(&decoded)).then_some(decoded)
            }
            Err(error) => {
                tracing::error!(%error, "informer leaves out an object");
                None
            }
        }
    }
}
