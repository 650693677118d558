//! An immutable, ordered view of every object at one revision.
//!
//! The index is a persistent tree: cloning a view costs nothing and shares all that has not
//! changed since, so a list, a snapshot and the next write never wait for each other.

use std::{ops::Bound, sync::Arc};

use imbl::{OrdMap, ordmap::DiffItem};

use crate::{Key, KeyRange, ListOptions, Listing, Record, Revision};

/// All objects at one revision. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct View {
    objects: OrdMap<Key, Arc<Record>>,
    revision: Revision,
}

/// How one object differs between two views.
#[derive(Debug, PartialEq, Eq)]
pub enum Difference<'a> {
    /// It is there, and is not or is another one in the older view.
    Written(&'a Record),
    /// It is only in the older view.
    Removed(&'a Key),
}

impl View {
    /// A view of `records` at `revision`.
    pub fn from_records(records: impl IntoIterator<Item = Record>, revision: Revision) -> Self {
        let objects = records.into_iter().map(|record| (record.key.clone(), Arc::new(record)));
        Self { objects: objects.collect(), revision }
    }

    /// The revision of the last change it holds.
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// The object at `key`.
    pub fn get(&self, key: &Key) -> Option<&Record> {
        self.objects.get(key).map(AsRef::as_ref)
    }

    /// Every object, in key order.
    pub fn records(&self) -> impl Iterator<Item = &Record> {
        self.objects.values().map(AsRef::as_ref)
    }

    /// Whether there is no object.
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    /// How many objects there are.
    pub fn len(&self) -> usize {
        self.objects.len()
    }

    /// A part of a range.
    pub fn list(&self, range: &KeyRange, options: &ListOptions) -> Listing {
        let start = match &options.after {
            Some(after) if *after >= range.start() => Bound::Excluded(after.clone()),
            _ => Bound::Included(range.start()),
        };
        let mut found = self
            .objects
            .range((start, Bound::Unbounded))
            .map(|(_, record)| record.as_ref())
            .take_while(|record| range.contains(&record.key));
        let limit = if options.limit == 0 { usize::MAX } else { options.limit };
        let records = found.by_ref().take(limit).cloned().collect();
        Listing { records, revision: self.revision, remaining: found.count() }
    }

    /// What turns `older` into this view. Parts the two share are not visited.
    pub fn differences_to<'a>(&'a self, older: &'a Self) -> impl Iterator<Item = Difference<'a>> {
        older.objects.diff(&self.objects).map(|item| match item {
            DiffItem::Add(_, record) | DiffItem::Update { new: (_, record), .. } => {
                Difference::Written(record)
            }
            DiffItem::Remove(key, _) => Difference::Removed(key),
        })
    }

    /// Makes `revision` that of the last change, though it changed nothing.
    pub(super) fn advance(&mut self, revision: Revision) {
        self.revision = self.revision.max(revision);
    }

    /// Writes `record`, whose modification is the newest change, and returns the one before.
    pub(super) fn put(&mut self, record: Record) -> Option<Record> {
        self.revision = record.modified;
        let previous = self.objects.insert(record.key.clone(), Arc::new(record));
        previous.map(Arc::unwrap_or_clone)
    }

    /// Removes the object at `key` by the newest change `revision`.
    pub(super) fn remove(&mut self, key: &Key, revision: Revision) -> Option<Record> {
        let removed = self.objects.remove(key)?;
        self.revision = revision;
        Some(Arc::unwrap_or_clone(removed))
    }
}
