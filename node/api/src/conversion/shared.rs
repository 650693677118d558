//! Conversions for watchers: what several of them see at once is converted once.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use futures::{
    FutureExt, StreamExt,
    future::{BoxFuture, Shared},
};
use skein_consensus::{Event, EventBatch, Key, Record, Revision};
use skein_objects::{Kind, StatusError};
use skein_storage::{Storage, WatchEvents};

use crate::{filter::Filter, limits};

/// Records that are being converted together, or have been.
type Batch = Shared<BoxFuture<'static, Result<Arc<[Arc<Record>]>, StatusError>>>;

/// A record in a version that a certain definition made.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Id {
    key: Key,
    modified: Revision,
    api_version: String,
    definition: u64,
}

/// The last conversions for watchers.
pub(crate) struct SharedConversions {
    storage: Storage,
    memory: Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
    /// Each record's batch, and its place in that.
    known: HashMap<Id, (Batch, usize)>,
    bytes: usize,
}

impl SharedConversions {
    /// None yet; `storage` converts.
    pub(crate) fn new(storage: Storage) -> Self {
        Self { storage, memory: Mutex::default() }
    }

    /// The same changes with objects in the version of `kind`, as far as the filter may ask for them.
    /// A failed conversion is the last item.
    pub(crate) fn of_changes(
        self: &Arc<Self>,
        kind: &Arc<Kind>,
        filter: &Filter,
        changes: WatchEvents,
    ) -> WatchEvents {
        if kind.conversion().is_none() || kind.serves_as_stored() {
            return changes;
        }
        let (shared, kind, filter) = (self.clone(), kind.clone(), filter.clone());
        let converted = changes.then(move |batch| {
            let (shared, kind, filter) = (shared.clone(), kind.clone(), filter.clone());
            async move { shared.batch(&kind, &filter, batch?).await }
        });
        converted.boxed()
    }

    async fn batch(
        &self,
        kind: &Arc<Kind>,
        filter: &Filter,
        mut batch: EventBatch,
    ) -> Result<EventBatch, StatusError> {
        let mut shown: Vec<&mut Arc<Record>> =
            batch.events.iter_mut().flat_map(|event| shown(event, filter)).collect();
        let records = shown.iter().map(|record| Arc::clone(record)).collect();
        for (place, record) in shown.iter_mut().zip(self.convert(kind, records).await?) {
            **place = record;
        }
        Ok(batch)
    }

    /// Records as they are stored, in the version of `kind`.
    async fn convert(
        &self,
        kind: &Arc<Kind>,
        mut records: Vec<Arc<Record>>,
    ) -> Result<Vec<Arc<Record>>, StatusError> {
        let mut ids = Vec::new();
        for (place, record) in records.iter().enumerate() {
            if !Storage::is_in_version(kind, record)? {
                ids.push((place, id(kind, record)));
            }
        }
        for (place, (batch, at)) in self.batches(kind, &records, &ids) {
            match batch.await {
                Ok(converted) => records[place] = converted[at].clone(),
                Err(error) => {
                    self.forget(&ids);
                    return Err(error);
                }
            }
        }
        Ok(records)
    }

    /// The batches that these records are part of; those that are part of none begin a new one.
    fn batches(
        &self,
        kind: &Arc<Kind>,
        records: &[Arc<Record>],
        ids: &[(usize, Id)],
    ) -> Vec<(usize, (Batch, usize))> {
        let mut memory = self.lock();
        let missing: Vec<&(usize, Id)> =
            ids.iter().filter(|(_, id)| !memory.known.contains_key(id)).collect();
        let mut found: Vec<(usize, (Batch, usize))> = ids
            .iter()
            .filter_map(|(place, id)| Some((*place, memory.known.get(id)?.clone())))
            .collect();
        if missing.is_empty() {
            return found;
        }
        let new: Vec<Arc<Record>> =
            missing.iter().map(|(place, _)| records[*place].clone()).collect();
        let bytes: usize = new.iter().map(|record| record.value.len()).sum();
        let batch = self.begin(kind, new);
        memory.make_room(missing.len(), bytes);
        for (at, (place, id)) in missing.into_iter().enumerate() {
            memory.known.insert(id.clone(), (batch.clone(), at));
            found.push((*place, (batch.clone(), at)));
        }
        found
    }

    fn begin(&self, kind: &Arc<Kind>, records: Vec<Arc<Record>>) -> Batch {
        let (storage, kind) = (self.storage.clone(), kind.clone());
        let converting = async move { storage.in_version(&kind, records).await.map(Arc::from) };
        converting.boxed().shared()
    }

    /// Lets those be tried again that have failed.
    fn forget(&self, ids: &[(usize, Id)]) {
        let mut memory = self.lock();
        for (_, id) in ids {
            let has_failed = |(batch, _): &(Batch, usize)| batch.peek().is_some_and(Result::is_err);
            if memory.known.get(id).is_some_and(has_failed) {
                memory.known.remove(id);
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Memory {
    /// Forgets everything where there would be too much.
    fn make_room(&mut self, records: usize, bytes: usize) {
        if self.known.len() + records > limits::SHARED_CONVERSIONS
            || self.bytes + bytes > limits::SHARED_CONVERSION_BYTES
        {
            *self = Self::default();
        }
        self.bytes += bytes;
    }
}

fn id(kind: &Kind, record: &Record) -> Id {
    Id {
        key: record.key.clone(),
        modified: record.modified,
        api_version: kind.api_version(),
        definition: kind.definition().map_or(0, |definition| definition.revision),
    }
}

/// The records of a change that whoever watches with this filter may be shown, or that decide whether.
fn shown<'e>(event: &'e mut Event, filter: &Filter) -> Vec<&'e mut Arc<Record>> {
    if !filter.names(event.key()) {
        return Vec::new();
    }
    match event {
        Event::Put { record, previous } => {
            let previous = previous.as_mut().filter(|_| filter.looks_inside());
            std::iter::once(record).chain(previous).collect()
        }
        Event::Delete { previous, .. } => vec![previous],
    }
}
