//! Deleting: at once, gracefully, or when the finalizers are gone.

use std::sync::Arc;

use jiff::Timestamp;
use skein_consensus::{Record, Revision};
use skein_objects::{DeletePlan, Kind, Propagation, StatusError, begin_delete};

use crate::{
    Object, Storage, WriteOptions,
    convert::View,
    object::stored_value,
    storage::key_of,
    write::{Decision, Outcome},
};

/// What must hold of an object for it to be deleted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Preconditions {
    /// Its uid.
    pub uid: Option<String>,
    /// Its revision.
    pub resource_version: Option<Revision>,
}

/// How to delete.
#[derive(Clone, Debug, Default)]
pub struct DeleteOptions {
    /// Seconds a pod gets to end; its own if absent, zero removes it at once.
    pub grace_period_seconds: Option<u64>,
    /// What becomes of the objects it owns.
    pub propagation: Option<Propagation>,
    /// What must hold of it.
    pub preconditions: Preconditions,
    /// Do everything but write.
    pub dry_run: bool,
}

/// What a deletion did. Objects are as they are stored: a deletion needs no other version of them.
#[derive(Clone)]
pub enum Deleted {
    /// The object is gone; this is how it last was, with the revision that removed it.
    Removed(Object),
    /// The object is marked and goes when its host or its finalizers are done.
    Marked(Object),
}

impl Storage {
    /// Deletes an object, or marks it where something must happen first.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` where a precondition does not hold; `Timeout` where the outcome is
    /// unknown.
    pub async fn delete(
        &self,
        kind: &Arc<Kind>,
        namespace: &str,
        name: &str,
        options: &DeleteOptions,
    ) -> Result<Deleted, StatusError> {
        let now = Timestamp::now();
        let write = WriteOptions { dry_run: options.dry_run, ..WriteOptions::default() };
        let outcome = self
            .rewrite(kind, key_of(kind, namespace, name), View::Stored, &write, |record| {
                decide(kind, name, record, options, now)
            })
            .await?;
        Ok(match outcome {
            Outcome::Removed(object) => Deleted::Removed(object),
            Outcome::Stands(object) => Deleted::Marked(object),
        })
    }
}

fn decide(
    kind: &Arc<Kind>,
    name: &str,
    record: &Record,
    options: &DeleteOptions,
    now: Timestamp,
) -> Result<Decision, StatusError> {
    let old = stored_value(record)?;
    check(kind, name, record, &old, &options.preconditions)?;
    let plan = begin_delete(kind, &old, options.grace_period_seconds, options.propagation, now);
    Ok(match plan {
        DeletePlan::Remove => Decision::Remove,
        DeletePlan::Update(marked) if marked == old => Decision::Keep,
        DeletePlan::Update(marked) => Decision::Put(marked),
    })
}

fn check(
    kind: &Kind,
    name: &str,
    record: &Record,
    old: &serde_json::Value,
    preconditions: &Preconditions,
) -> Result<(), StatusError> {
    if let Some(uid) = &preconditions.uid {
        let actual = old["metadata"]["uid"].as_str().unwrap_or_default();
        if uid != actual {
            let why = format!(
                "Precondition failed: UID in precondition: {uid}, UID in object meta: {actual}"
            );
            return Err(StatusError::conflict(kind, name, why));
        }
    }
    if let Some(version) = preconditions.resource_version
        && version != record.modified
    {
        let why = format!(
            "Precondition failed: ResourceVersion in precondition: {version}, ResourceVersion in \
             object meta: {}",
            record.modified
        );
        return Err(StatusError::conflict(kind, name, why));
    }
    Ok(())
}
