//! Objects as read from the store.

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use skein_consensus::{Record, Revision};
use skein_objects::{Kind, StatusError, splice_revision};

/// One object: its kind and its record. Cheap to clone.
#[derive(Clone)]
pub struct Object {
    /// Its kind.
    pub kind: Arc<Kind>,
    /// Its bytes and revisions. [`Revision`] zero marks the result of a dry run that would make it.
    pub record: Record,
}

impl Object {
    /// The revision that wrote it: its `resourceVersion`.
    pub fn revision(&self) -> Revision {
        self.record.modified
    }

    /// Its JSON as a tree, with `metadata.resourceVersion`. One whose versions a webhook makes must
    /// be in the one of its kind ([`Storage::in_version`](crate::Storage::in_version)).
    pub fn value(&self) -> Result<Value, StatusError> {
        self.decode()
    }

    /// The object as a type, with `metadata.resourceVersion`; else as [`Object::value`].
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, StatusError> {
        if self.kind.serves_as_stored() {
            return read_whole(&self.record);
        }
        let served = self.kind.to_served(read_whole(&self.record)?);
        serde_json::from_value(served).map_err(|error| unreadable(&self.record, &error))
    }
}

/// A record as a type, with `metadata.resourceVersion`.
///
/// # Errors
/// `InternalError` where it is none.
pub fn read_whole<T: DeserializeOwned>(record: &Record) -> Result<T, StatusError> {
    serde_json::from_slice(&with_revision(record)).map_err(|error| unreadable(record, &error))
}

/// As much of what the store holds as `T` names; it has no `resourceVersion`.
///
/// # Errors
/// `InternalError` where it does not fit.
pub fn read_part<'a, T: Deserialize<'a>>(record: &'a Record) -> Result<T, StatusError> {
    serde_json::from_slice(&record.value).map_err(|error| unreadable(record, &error))
}

fn with_revision(record: &Record) -> Bytes {
    match record.modified {
        Revision(0) => record.value.clone(),
        Revision(revision) => splice_revision(&record.value, revision),
    }
}

/// What the store holds without its `resourceVersion`, as a tree.
pub(crate) fn stored_value(record: &Record) -> Result<Value, StatusError> {
    read_part(record)
}

fn unreadable(record: &Record, error: &serde_json::Error) -> StatusError {
    StatusError::internal(format!("stored object {} cannot be read: {error}", record.key))
}

/// A consistent view of objects of one kind.
pub struct ObjectList {
    /// Their kind.
    pub kind: Arc<Kind>,
    /// In order of namespace and name.
    pub records: Vec<Arc<Record>>,
    /// The revision of the store they were read at; a watch from here misses nothing.
    pub revision: Revision,
    /// How many further objects there are beyond the limit asked for.
    pub remaining: usize,
}

impl ObjectList {
    /// The records as objects.
    pub fn objects(&self) -> impl Iterator<Item = Object> + '_ {
        self.records
            .iter()
            .map(|record| Object { kind: self.kind.clone(), record: Record::clone(record) })
    }
}
