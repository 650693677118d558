//! The index of all objects of all kinds, kept current with the store, and whom it tells what to
//! look at.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use skein_consensus::{Event, Record};
use skein_objects::{Kind, registry};
use skein_storage::{LocalCopy, ObjectList, Progress, Storage, follow};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    index::{Entry, Index},
    plan::{Plan, plan},
};
use crate::{queue::Queue, uid::Uid};

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
        let calls = self.index.pick(|near| plan(near) != Plan::Keep);
        calls.into_iter().for_each(|uid| queue.add(uid));
    }

    /// How far the index has come with each kind. One that lacks a kind would take an owner's
    /// dependents for gone.
    pub(crate) fn progress(&self) -> impl Iterator<Item = &Progress> {
        self.progress.iter()
    }
}

/// The part of the index that is of one kind.
pub(super) struct OfKind {
    pub(super) kind: &'static Kind,
    pub(super) index: Arc<Index>,
    pub(super) listener: Listener,
}

impl LocalCopy for OfKind {
    fn replace(&self, list: ObjectList) {
        let before = self.index.of_kind(self.kind);
        let now = list.records.into_iter().filter_map(|record| self.put(&record));
        // Nothing is compared with nothing: the first listing is the longest.
        let now: HashSet<Uid> = now.filter(|_| !before.is_empty()).collect();
        for gone in before.iter().filter(|uid| !now.contains(uid)) {
            self.tell(self.index.remove(gone));
        }
    }

    fn apply(&self, event: Event) {
        match event {
            Event::Put { record, previous } => {
                let now = self.put(&record);
                let former = previous.and_then(|previous| self.read(&previous));
                if let Some(former) = former.filter(|former| Some(&former.uid) != now.as_ref()) {
                    self.tell(self.index.remove(&former.uid));
                }
            }
            Event::Delete { previous, .. } => {
                if let Some(former) = self.read(&previous) {
                    self.tell(self.index.remove(&former.uid));
                }
            }
        }
    }
}

impl OfKind {
    /// Notes an object as it is now, and names it.
    fn put(&self, record: &Record) -> Option<Uid> {
        let entry = self.read(record)?;
        let uid = entry.uid.clone();
        self.tell(self.index.put(entry));
        Some(uid)
    }

    fn read(&self, record: &Record) -> Option<Entry> {
        let read = self.index.read(self.kind, record);
        read.inspect_err(|error| tracing::error!(%error, "the collector leaves out an object")).ok()
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
