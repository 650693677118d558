//! A local copy of a kind that follows the store.
//!
//! It keeps of each object what its reader needs, read once from the stored bytes when the object
//! changes, and shares it: a [`View`]. Where objects are few that is the whole object; where they
//! are many, a part. How the copy is kept current says [`follow`]. What a reader decides on it may
//! be out of date: writes carry preconditions.

mod cache;
mod changes;
mod view;

use std::sync::Arc;

use k8s_openapi::{Metadata, Resource, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use serde::de::DeserializeOwned;
use skein_consensus::{Event, Record, Revision};
use skein_objects::{Kind, StatusError, registry};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{LocalCopy, ObjectList, Progress, Storage, follow::follow, read_whole};
use cache::Cache;
pub use changes::{Change, Changes};
pub use view::View;

/// Makes of a record what an informer keeps of it; `None` leaves it out.
pub type Read<V> = Box<dyn Fn(&Record) -> Result<Option<V>, StatusError> + Send + Sync>;

/// A handle on the copy. Cheap to clone.
pub struct Informer<V: View> {
    cache: Arc<Cache<V>>,
    progress: Progress,
}

impl<V: View> Clone for Informer<V> {
    fn clone(&self) -> Self {
        Self { cache: self.cache.clone(), progress: self.progress.clone() }
    }
}

impl<T> Informer<T>
where
    T: Resource + Metadata<Ty = ObjectMeta> + DeserializeOwned + Send + Sync + 'static,
{
    /// Starts following all objects of type `T`, until cancelled, and keeps them whole.
    pub fn whole(storage: &Storage, tasks: &TaskTracker, cancel: CancellationToken) -> Self {
        let read = Box::new(|record: &Record| read_whole(record).map(Some));
        Self::start(storage, registry().of::<T>().clone(), read, tasks, cancel)
    }
}

impl<V: View> Informer<V> {
    /// Starts following all objects of `kind`, until cancelled, and keeps what `read` makes of
    /// them.
    pub fn start(
        storage: &Storage,
        kind: Arc<Kind>,
        read: Read<V>,
        tasks: &TaskTracker,
        cancel: CancellationToken,
    ) -> Self {
        let cache = Arc::new(Cache::new());
        let copy = Arc::new(Copy { read, cache: cache.clone() });
        Self { cache, progress: follow(storage, kind, copy, tasks, cancel) }
    }

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
    pub fn get(&self, namespace: &str, name: &str) -> Option<Arc<V>> {
        self.cache.get(namespace, name)
    }

    /// All objects, in order of namespace and name.
    pub fn list(&self) -> Vec<Arc<V>> {
        self.cache.list()
    }

    /// The objects of one namespace, in order of name.
    pub fn list_namespace(&self, namespace: &str) -> Vec<Arc<V>> {
        self.cache.list_namespace(namespace)
    }

    /// The objects of these groups at one moment: group after group, each in order of namespace
    /// and name.
    pub fn list_groups(&self, groups: &[V::Group]) -> Vec<Arc<V>> {
        self.cache.list_groups(groups)
    }

    /// Every group that has objects, in order.
    pub fn groups(&self) -> Vec<V::Group> {
        self.cache.groups()
    }

    /// What changes from now on. Subscribe, then look at [`Informer::list`].
    pub fn changes(&self) -> Changes<V> {
        self.cache.changes()
    }
}

/// The copy behind an informer.
struct Copy<V: View> {
    read: Read<V>,
    cache: Arc<Cache<V>>,
}

impl<V: View> LocalCopy for Copy<V> {
    fn replace(&self, list: ObjectList) {
        self.cache.replace(list.records.into_iter().filter_map(|record| self.view(&record)));
    }

    fn apply(&self, event: Event) {
        match event {
            Event::Put { record, .. } => match self.view(&record) {
                Some(view) => self.cache.insert(view),
                None => self.cache.remove(&record.key.namespace, &record.key.name),
            },
            Event::Delete { previous, .. } => {
                self.cache.remove(&previous.key.namespace, &previous.key.name);
            }
        }
    }
}

impl<V: View> Copy<V> {
    /// What is kept of the object, unless it is left out or unreadable.
    fn view(&self, record: &Record) -> Option<V> {
        (self.read)(record).unwrap_or_else(|error| {
            tracing::error!(%error, "informer leaves out an object");
            None
        })
    }
}
