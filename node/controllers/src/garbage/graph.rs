//! The index of all objects of all kinds, kept current with the store, and whom it tells what to
//! look at.

use std::{
    collections::{BTreeMap, HashSet},
    sync::{Arc, Mutex, PoisonError, Weak},
};

use skein_consensus::{Event, Record};
use skein_objects::Registry;
use skein_storage::{Kinds, LocalCopy, ObjectList, Progress, Storage, follow};
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
    parts: Arc<Mutex<Parts>>,
}

/// The parts of the index, one for each kind there is.
struct Parts {
    storage: Storage,
    tasks: TaskTracker,
    cancel: CancellationToken,
    followed: BTreeMap<Arc<str>, Part>,
}

/// One part: where it stands, and its end.
struct Part {
    copy: Arc<OfKind>,
    progress: Progress,
    cancel: CancellationToken,
}

impl Graph {
    /// Starts following every kind, also those that come later.
    pub(crate) fn start(
        storage: &Storage,
        kinds: &Kinds,
        tasks: &TaskTracker,
        cancel: &CancellationToken,
    ) -> Self {
        let parts = Parts {
            storage: storage.clone(),
            tasks: tasks.clone(),
            cancel: cancel.clone(),
            followed: BTreeMap::new(),
        };
        let graph = Self {
            index: Arc::default(),
            listener: Listener::default(),
            parts: Arc::new(Mutex::new(parts)),
        };
        graph.follow(&kinds.current());
        let (follower, mut changes, cancel) = (graph.clone(), kinds.changes(), cancel.clone());
        tasks.spawn(async move {
            while let Some(Ok(())) = cancel.run_until_cancelled(changes.changed()).await {
                let kinds = changes.borrow_and_update().clone();
                follower.follow(&kinds);
            }
        });
        graph
    }

    /// Follows the kinds that are new and leaves those that are gone.
    fn follow(&self, kinds: &Registry) {
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        let Parts { storage, tasks, cancel, followed } = &mut *parts;
        followed.retain(|resource, part| {
            let is_there = kinds.by_store_resource(resource).is_some();
            if !is_there {
                part.cancel.cancel();
                part.copy.clear();
            }
            is_there
        });
        for kind in kinds.stored() {
            followed.entry(kind.store_resource()).or_insert_with_key(|resource| {
                let cancel = cancel.child_token();
                let (index, listener) = (self.index.clone(), self.listener.clone());
                let copy = Arc::new(OfKind { resource: resource.clone(), index, listener });
                let progress = follow(storage, kind.clone(), copy.clone(), tasks, cancel.clone());
                Part { copy, progress, cancel }
            });
        }
    }

    /// Puts into `queue` everything that calls for a look, now and from now on, until another
    /// queue takes its place or it is dropped.
    pub(super) fn feed(&self, queue: &Arc<Queue<Uid>>) {
        *lock(&self.listener) = Arc::downgrade(queue);
        let calls = self.index.pick(|near| plan(near) != Plan::Keep);
        calls.into_iter().for_each(|uid| queue.add(uid));
    }

    /// How far the index has come with each of these kinds. One that lacks a kind would take an
    /// owner's dependents for gone.
    pub(crate) fn progress(&self, kinds: &Registry) -> Vec<Progress> {
        self.follow(kinds);
        let parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        parts.followed.values().map(|part| part.progress.clone()).collect()
    }
}

/// The part of the index that is of one kind.
pub(super) struct OfKind {
    pub(super) resource: Arc<str>,
    pub(super) index: Arc<Index>,
    pub(super) listener: Listener,
}

impl LocalCopy for OfKind {
    fn replace(&self, list: ObjectList) {
        let before = self.index.of_kind(&self.resource);
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
    /// Forgets everything: the kind is gone, and so are its objects.
    fn clear(&self) {
        for gone in self.index.of_kind(&self.resource) {
            self.tell(self.index.remove(&gone));
        }
    }

    /// Notes an object as it is now, and names it.
    fn put(&self, record: &Record) -> Option<Uid> {
        let entry = self.read(record)?;
        let uid = entry.uid.clone();
        self.tell(self.index.put(entry));
        Some(uid)
    }

    fn read(&self, record: &Record) -> Option<Entry> {
        let read = self.index.read(record);
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
