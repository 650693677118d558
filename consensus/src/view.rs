//! An immutable, ordered view of every object at one revision.
//!
//! The index is a persistent tree: cloning a view costs nothing and shares all that has not
//! changed since, so a list, a snapshot and the next write never wait for each other.

use std::{borrow::Borrow, cmp::Ordering, ops::Bound, sync::Arc};

use imbl::OrdSet;

use crate::{Key, KeyRange, ListOptions, Listing, Record, Revision};

/// All objects at one revision. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct View {
    objects: OrdSet<Slot>,
    revision: Revision,
}

/// A record ordered and found by its key.
#[derive(Clone, Debug)]
struct Slot(Arc<Record>);

impl Borrow<Key> for Slot {
    fn borrow(&self) -> &Key {
        &self.0.key
    }
}

impl Ord for Slot {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.key.cmp(&other.0.key)
    }
}

impl PartialOrd for Slot {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Slot {
    fn eq(&self, other: &Self) -> bool {
        self.0.key == other.0.key
    }
}

impl Eq for Slot {}

impl View {
    /// A view of `records` at `revision`.
    pub(crate) fn from_records(records: impl Iterator<Item = Record>, revision: Revision) -> Self {
        Self { objects: records.map(|record| Slot(Arc::new(record))).collect(), revision }
    }

    /// The revision of the last change it holds.
    pub(crate) fn revision(&self) -> Revision {
        self.revision
    }

    /// The object at `key`.
    pub(crate) fn get(&self, key: &Key) -> Option<&Record> {
        self.objects.get(key).map(|slot| slot.0.as_ref())
    }

    /// Every object, in key order.
    pub(crate) fn records(&self) -> impl Iterator<Item = &Record> {
        self.objects.iter().map(|slot| slot.0.as_ref())
    }

    /// How many objects there are.
    pub(crate) fn len(&self) -> usize {
        self.objects.len()
    }

    /// A part of a range.
    pub(crate) fn list(&self, range: &KeyRange, options: &ListOptions) -> Listing {
        let start = match &options.after {
            Some(after) if *after >= range.start() => Bound::Excluded(after.clone()),
            _ => Bound::Included(range.start()),
        };
        let mut found = self
            .objects
            .range::<_, Key>((start, Bound::Unbounded))
            .map(|slot| slot.0.as_ref())
            .take_while(|record| range.contains(&record.key));
        let limit = if options.limit == 0 { usize::MAX } else { options.limit };
        let records = found.by_ref().take(limit).cloned().collect();
        Listing { records, revision: self.revision, remaining: found.count() }
    }

    /// Writes `record`, whose modification is the newest change, and returns the one before.
    pub(super) fn put(&mut self, record: Record) -> Option<Record> {
        self.revision = record.modified;
        self.objects.insert(Slot(Arc::new(record))).map(|slot| Arc::unwrap_or_clone(slot.0))
    }

    /// Removes the object at `key` by the newest change `revision`.
    pub(super) fn remove(&mut self, key: &Key, revision: Revision) -> Option<Record> {
        let removed = self.objects.remove(key)?;
        self.revision = revision;
        Some(Arc::unwrap_or_clone(removed.0))
    }
}
