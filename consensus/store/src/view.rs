//! An immutable, ordered view of every object at one revision.
//!
//! The index is a persistent tree: cloning a view costs nothing and shares all that has not
//! changed since, so a list, a snapshot and the next write never wait for each other. It holds a
//! pointer and a revision for each object; the key is the one in the record.

use std::{borrow::Borrow, cmp::Ordering, ops::Bound, sync::Arc};

use bytes::Bytes;
use imbl::{OrdMap, ordmap::DiffItem};

use crate::{Key, KeyRange, ListOptions, Listing, Record, Revision, rewind::Undone};

/// All objects at one revision. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// Each record and the revision it was modified at, which tells it from any other at its key.
    objects: OrdMap<ByKey, Revision>,
    revision: Revision,
}

/// A record in the place of its key.
#[derive(Clone, Debug)]
struct ByKey(Arc<Record>);

impl Borrow<Key> for ByKey {
    fn borrow(&self) -> &Key {
        &self.0.key
    }
}

impl Ord for ByKey {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.key.cmp(&other.0.key)
    }
}

impl PartialOrd for ByKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for ByKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.key == other.0.key
    }
}

impl Eq for ByKey {}

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
        let mut loading = Loading::default();
        records.into_iter().for_each(|record| loading.add(record));
        loading.finish(revision)
    }

    /// The revision of the last change it holds.
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// The object at `key`.
    pub fn get(&self, key: &Key) -> Option<&Record> {
        self.objects.get_key_value(key).map(|(ByKey(record), _)| record.as_ref())
    }

    /// Every object, in key order.
    pub fn records(&self) -> impl Iterator<Item = &Record> {
        self.objects.keys().map(|ByKey(record)| record.as_ref())
    }

    /// Whether there is no object.
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    /// How many objects there are.
    pub fn len(&self) -> usize {
        self.objects.len()
    }

    /// A part of a range at the revision of this view. Of the past only
    /// [`Published`](crate::Published::list) knows.
    pub fn list(&self, range: &KeyRange, options: &ListOptions) -> Listing {
        let listing = self.list_over(range, options, &Undone::default());
        Listing { revision: self.revision, ..listing }
    }

    /// A part of a range at the revision `options` ask for, before the changes that are undone.
    pub(crate) fn list_over(
        &self,
        range: &KeyRange,
        options: &ListOptions,
        undone: &Undone,
    ) -> Listing {
        let revision = options.at.unwrap_or(self.revision);
        let start = match &options.after {
            Some(after) if *after >= range.start() => Bound::Excluded(after.clone()),
            _ => Bound::Included(range.start()),
        };
        let end = range.end();
        // A start behind the end is none of a range.
        if matches!(&start, Bound::Excluded(after) if *after >= end) {
            return Listing { revision, ..Listing::default() };
        }
        let now = self.objects.range::<_, Key>((start, Bound::Excluded(end)));
        let mut found = undone.over(now.map(|(ByKey(record), _)| record));
        let limit = if options.limit == 0 { usize::MAX } else { options.limit };
        let records = found.by_ref().take(limit).map(Arc::clone).collect();
        Listing { records, revision, remaining: found.count() }
    }

    /// What turns `older` into this view. Parts the two share are not visited.
    pub fn differences_to<'a>(&'a self, older: &'a Self) -> impl Iterator<Item = Difference<'a>> {
        older.objects.diff(&self.objects).map(|item| match item {
            DiffItem::Add(ByKey(record), _) | DiffItem::Update { new: (ByKey(record), _), .. } => {
                Difference::Written(record)
            }
            DiffItem::Remove(ByKey(record), _) => Difference::Removed(&record.key),
        })
    }

    /// Makes `revision` that of the last change, though it changed nothing.
    pub(super) fn advance(&mut self, revision: Revision) {
        self.revision = self.revision.max(revision);
    }

    /// Writes `value` at `key` by the newest change `revision`; returns the record and the one
    /// before.
    pub(super) fn put(
        &mut self,
        key: &Key,
        value: Bytes,
        revision: Revision,
    ) -> (Arc<Record>, Option<Arc<Record>>) {
        let near = self.objects.get_prev(key).map(|(ByKey(near), _)| Arc::clone(near));
        let mut record = Record { key: key.clone(), value, created: revision, modified: revision };
        let mut previous = None;
        match near {
            Some(near) if near.key == *key => {
                record.key = near.key.clone();
                record.created = near.created;
                previous = Some(near);
            }
            Some(near) => record.key.share(&near.key),
            None => {}
        }
        self.revision = revision;
        let record = Arc::new(record);
        self.objects.insert(ByKey(Arc::clone(&record)), revision);
        (record, previous)
    }

    /// Removes the object at `key` by the newest change `revision`.
    pub(super) fn remove(&mut self, key: &Key, revision: Revision) -> Option<Arc<Record>> {
        let (ByKey(removed), _) = self.objects.remove_with_key(key)?;
        self.revision = revision;
        Some(removed)
    }
}

/// A view that is being filled. Cheapest in the order of the keys.
#[derive(Debug, Default)]
pub(crate) struct Loading {
    objects: OrdMap<ByKey, Revision>,
    last: Option<Arc<Record>>,
}

impl Loading {
    /// Adds an object.
    pub(crate) fn add(&mut self, mut record: Record) {
        if let Some(last) = &self.last {
            record.key.share(&last.key);
        }
        let record = Arc::new(record);
        self.last = Some(Arc::clone(&record));
        let modified = record.modified;
        self.objects.insert(ByKey(record), modified);
    }

    /// The view of all that was added, at `revision`.
    pub(crate) fn finish(self, revision: Revision) -> View {
        View { objects: self.objects, revision }
    }
}
