//! The index of all objects of all kinds, kept current with the store, and whom it tells what to
//! look at.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Deserialize;
use skein_consensus::{Event, Record};
use skein_objects::{Kind, registry};
use skein_storage::{LocalCopy, ObjectList, Progress, Storage, follow};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    index::{Entry, Index, Uid},
    plan::{Plan, plan},
};
use crate::{queue::Queue, reconcile::ObjectKey};

/// Whose queue takes what changes call for, while anybody collects.
type Listener = Arc<Mutex<Weak<Queue<Uid>>>>;

/// The index and how far it has come. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Graph {
    pub(super) index: Arc<Index>,
    listener: Listener,
    progress: Vec<Progress>,
}

impl Graph {
    /// Starts following every kind.
    pub(crate) fn start(
        storage: &Storage,
        tasks: &TaskTracker,
        cancel: &CancellationToken,
    ) -> Self {
        let index = Arc::new(Index::default());
        let listener = Listener::default();
        let follow_kind = |kind| {
            let part = Arc::new(OfKind { kind, index: index.clone(), listener: listener.clone() });
            follow(storage, kind, part, tasks, cancel.clone())
        };
        let progress = registry().all().iter().map(follow_kind).collect();
        Self { index, listener, progress }
    }

    /// Puts into `queue` everything that calls for a look, now and from now on, until another
    /// queue takes its place or it is dropped.
    pub(super) fn feed(&self, queue: &Arc<Queue<Uid>>) {
        *lock(&self.listener) = Arc::downgrade(queue);
        let calls = |uid: &Uid| self.index.view(uid, plan).is_some_and(|plan| plan != Plan::Keep);
        self.index.uids().into_iter().filter(calls).for_each(|uid| queue.add(uid));
    }

    /// How far the index has come with each kind. One that lacks a kind would take an owner's
    /// dependents for gone.
    pub(crate) fn progress(&self) -> impl Iterator<Item = &Progress> {
        self.progress.iter()
    }
}

/// The part of the index that is of one kind.
struct OfKind {
    kind: &'static Kind,
    index: Arc<Index>,
    listener: Listener,
}

impl LocalCopy for OfKind {
    fn replace(&self, list: &ObjectList) {
        let present: HashSet<ObjectKey> = list.records.iter().map(key).collect();
        for gone in self.index.keys(self.kind).into_iter().filter(|key| !present.contains(key)) {
            self.tell(self.index.remove(self.kind, &gone));
        }
        list.records.iter().for_each(|record| self.put(record));
    }

    fn apply(&self, event: Event) {
        match event {
            Event::Put { record, .. } => self.put(&record),
            Event::Delete { previous, .. } => {
                self.tell(self.index.remove(self.kind, &key(&previous)));
            }
        }
    }
}

impl OfKind {
    fn put(&self, record: &Record) {
        if let Some(entry) = entry(self.kind, record) {
            self.tell(self.index.put(entry));
        }
    }

    fn tell(&self, uids: Vec<Uid>) {
        if let Some(queue) = lock(&self.listener).upgrade() {
            uids.into_iter().for_each(|uid| queue.add(uid));
        }
    }
}

fn lock(listener: &Listener) -> std::sync::MutexGuard<'_, Weak<Queue<Uid>>> {
    listener.lock().unwrap_or_else(PoisonError::into_inner)
}

fn key(record: &Record) -> ObjectKey {
    (record.key.namespace.clone(), record.key.name.clone())
}

/// Reads the metadata alone: the rest of the object does not matter here.
fn entry(kind: &'static Kind, record: &Record) -> Option<Entry> {
    #[derive(Deserialize)]
    struct Partial {
        metadata: ObjectMeta,
    }
    match serde_json::from_slice::<Partial>(&record.value) {
        Ok(partial) => Some(Entry::of(kind, partial.metadata)),
        Err(error) => {
            tracing::error!(key = %record.key, %error, "the collector leaves out an object");
            None
        }
    }
}
