//! A typed local copy of a kind that follows the store.
//!
//! Each object is decoded once, when it changes, and shared. The copy starts from whatever the
//! replica at hand has, so it also comes up without quorum; it never goes back in time, and when
//! the store cannot be reached it keeps what it last knew and tries again with back-off. What a
//! reader decides on it may be out of date: writes carry preconditions.

mod cache;
mod changes;

use std::sync::Arc;

use futures::StreamExt;
use k8s_openapi::{Metadata, Resource, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use serde::de::DeserializeOwned;
use skein_consensus::{Consistency, Event, ListOptions, Revision};
use skein_objects::{Kind, StatusError, registry};
use tokio::sync::watch;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{Object, Storage, limits::INFORMER_BACKOFF};
use cache::Cache;
pub use changes::{Change, Changes};

/// Says which objects an informer keeps; all where absent.
pub type Filter<T> = Arc<dyn Fn(&T) -> bool + Send + Sync>;

/// A handle on the copy. Cheap to clone.
pub struct Informer<T> {
    cache: Arc<Cache<T>>,
    synced: watch::Receiver<bool>,
    seen: watch::Receiver<Revision>,
}

impl<T> Clone for Informer<T> {
    fn clone(&self) -> Self {
        Self { cache: self.cache.clone(), synced: self.synced.clone(), seen: self.seen.clone() }
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
        let cache = Arc::new(Cache::new());
        let (synced_sender, synced) = watch::channel(false);
        let (seen_sender, seen) = watch::channel(Revision(0));
        let follower = Follower {
            storage: storage.clone(),
            kind: registry().of::<T>(),
            filter,
            cache: cache.clone(),
            synced: synced_sender,
            seen: seen_sender,
        };
        tasks.spawn(async move {
            tokio::select! {
                () = cancel.cancelled() => {}
                () = follower.run() => {}
            }
        });
        Self { cache, synced, seen }
    }
}

impl<T> Informer<T> {
    /// Waits until the copy holds what the store held when the informer started. False when the
    /// informer was cancelled before.
    pub async fn synced(&self) -> bool {
        self.synced.clone().wait_for(|synced| *synced).await.is_ok()
    }

    /// Whether the first listing has arrived.
    pub fn is_synced(&self) -> bool {
        *self.synced.borrow()
    }

    /// Waits until the copy shows everything up to `revision`, such as a write of one's own. False
    /// when the informer was cancelled before.
    pub async fn caught_up(&self, revision: Revision) -> bool {
        self.seen.clone().wait_for(|seen| *seen >= revision).await.is_ok()
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

/// The task behind an informer.
struct Follower<T> {
    storage: Storage,
    kind: &'static Kind,
    filter: Option<Filter<T>>,
    cache: Arc<Cache<T>>,
    synced: watch::Sender<bool>,
    seen: watch::Sender<Revision>,
}

impl<T> Follower<T>
where
    T: Resource + Metadata<Ty = ObjectMeta> + DeserializeOwned + Send + Sync + 'static,
{
    async fn run(self) {
        let (first_pause, longest_pause) = INFORMER_BACKOFF;
        let mut seen = Revision(0);
        let mut pause = first_pause;
        loop {
            let before = seen;
            if let Err(error) = self.follow(&mut seen).await {
                tracing::debug!(kind = self.kind.kind, %error, "informer lists again");
            }
            pause = if seen > before { first_pause } else { (pause * 2).min(longest_pause) };
            tokio::time::sleep(pause).await;
        }
    }

    /// Lists, then watches until the watch ends.
    async fn follow(&self, seen: &mut Revision) -> Result<(), StatusError> {
        let consistency = match *seen {
            Revision(0) => Consistency::Any,
            revision => Consistency::AtLeast(revision),
        };
        let list = self.storage.list(self.kind, None, ListOptions::default(), consistency).await?;
        let objects = list.objects().filter_map(|object| self.decode(&object)).collect();
        self.cache.replace(objects);
        *seen = list.revision;
        self.seen.send_replace(*seen);
        self.synced.send_replace(true);
        let mut changes = self.storage.watch(self.kind, None, list.revision).await?;
        while let Some(batch) = changes.next().await {
            let batch = batch?;
            for event in batch.events {
                self.apply(event);
            }
            *seen = (*seen).max(batch.revision);
            self.seen.send_replace(*seen);
        }
        Ok(())
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
