//! Writing: create, update and modify, and the loop that all writes share.

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use rand::Rng;
use serde_json::Value;
use skein_consensus::{
    Consistency, Key, Operation, Precondition, Record, Revision, StoreError, Transaction,
};
use skein_objects::{
    Kind, Part, Reason, Scope, Stamp, StatusError, deletion_complete, prepare_create,
    prepare_update, registry,
};

use crate::{
    Object, Storage,
    convert::{View, Written},
    error::write_error,
    limits::{DEFINITION_RETRY_SECONDS, GENERATED_NAME_ATTEMPTS, WRITE_ATTEMPTS},
    object::stored_value,
    storage::key_of,
};

/// The alphabet of generated name suffixes: no vowels, so no words.
const SUFFIX_ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
/// Letters of a generated name suffix.
const SUFFIX_LENGTH: usize = 5;

/// Who writes where nobody else is named: the cluster's own controllers and agents.
const OWN_MANAGER: &str = "skein";

/// Who writes, for `metadata.managedFields`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Manager {
    /// The cluster itself.
    #[default]
    Own,
    /// This field manager.
    Named(String),
    /// Whoever [`skein_objects::apply`] has noted in the object.
    Applied,
}

impl Manager {
    fn name(&self) -> Option<&str> {
        match self {
            Self::Own => Some(OWN_MANAGER),
            Self::Named(name) => Some(name),
            Self::Applied => None,
        }
    }
}

/// How to write.
#[derive(Clone, Debug, Default)]
pub struct WriteOptions {
    /// Do everything but write.
    pub dry_run: bool,
    /// Who writes.
    pub manager: Manager,
}

/// What a read-modify-write decided about the record it saw.
pub(crate) enum Decision {
    /// Leave it as it is.
    Keep,
    /// Write these contents, in the version that was seen.
    Put(Value),
    /// Remove it.
    Remove,
}

/// What a decision comes to.
enum Action {
    Keep,
    Put(Written),
    Remove,
}

/// What became of the object, as the version that was seen has it.
pub(crate) enum Outcome {
    /// It is there, perhaps changed.
    Stands(Object),
    /// It is gone; this is how it last was.
    Removed(Object),
}

impl Outcome {
    pub(crate) fn into_object(self) -> Object {
        match self {
            Self::Stands(object) | Self::Removed(object) => object,
        }
    }
}

/// How a transaction ended that was not refused for another reason.
enum Attempt {
    Applied(Vec<Revision>),
    /// The precondition of the operation at this index did not hold.
    Refused(usize),
}

impl Storage {
    /// Makes an object. Its namespace must exist and not be terminating, in the same transaction.
    ///
    /// # Errors
    /// `Invalid`, `AlreadyExists`, `NotFound` or `Forbidden` for the namespace; `Timeout` where the
    /// outcome is unknown.
    pub async fn create(
        &self,
        kind: &Arc<Kind>,
        namespace: &str,
        object: Value,
        options: &WriteOptions,
    ) -> Result<Object, StatusError> {
        if is_generated(&object) {
            for _ in 1..GENERATED_NAME_ATTEMPTS {
                match self.create_once(kind, namespace, object.clone(), options).await {
                    Err(error) if error.reason == Reason::AlreadyExists => {}
                    result => return result,
                }
            }
        }
        self.create_once(kind, namespace, object, options).await
    }

    async fn create_once(
        &self,
        kind: &Arc<Kind>,
        namespace: &str,
        object: Value,
        options: &WriteOptions,
    ) -> Result<Object, StatusError> {
        let stamp = fresh_stamp();
        let prepared = prepare_create(kind, object, namespace, &stamp, options.manager.name())?;
        let name = prepared.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
        let name = &*name.to_owned();
        let key = key_of(kind, namespace, name);
        let Written { stored, shown } = self.written(kind, View::Served, prepared).await?;
        let put = Operation::Put { key: key.clone(), value: stored, when: Precondition::Absent };
        for _ in 0..WRITE_ATTEMPTS {
            let mut operations = vec![put.clone()];
            operations.extend(definition_check(kind, name)?);
            let definition_checks = operations.len() - 1;
            if kind.scope == Scope::Namespaced {
                operations.push(self.namespace_check(kind, namespace, name).await?);
            }
            if options.dry_run {
                if self.read(&key, Consistency::Linearizable).await?.is_some() {
                    return Err(StatusError::already_exists(kind, name));
                }
                return Ok(object_of(kind.clone(), key, shown, Revision(0), Revision(0)));
            }
            match self.attempt(operations).await? {
                Attempt::Applied(revisions) => {
                    let revision = first(&revisions);
                    return Ok(object_of(kind.clone(), key, shown, revision, revision));
                }
                Attempt::Refused(0) => return Err(StatusError::already_exists(kind, name)),
                Attempt::Refused(at) if at <= definition_checks => {
                    return Err(StatusError::too_many_requests(
                        format!("the definition of {} has just changed", kind.kind),
                        DEFINITION_RETRY_SECONDS,
                    ));
                }
                Attempt::Refused(_) => self.namespaces.forget(namespace),
            }
        }
        Err(StatusError::conflict(kind, name, "its namespace keeps changing"))
    }

    /// Replaces one part of an object. A `resourceVersion` in `object` must be the current one.
    ///
    /// # Errors
    /// `NotFound`, `Conflict`, `Invalid`; `Timeout` where the outcome is unknown.
    pub async fn update(
        &self,
        kind: &Arc<Kind>,
        namespace: &str,
        name: &str,
        part: Part,
        object: Value,
        options: &WriteOptions,
    ) -> Result<Object, StatusError> {
        let expected = expected_revision(&object)?;
        let key = key_of(kind, namespace, name);
        let outcome = self
            .rewrite(kind, key, View::Served, options, |record| {
                if expected.is_some_and(|expected| expected != record.modified) {
                    return Err(StatusError::modified(kind, name));
                }
                decide_update(kind, object.clone(), record, part, options)
            })
            .await?;
        Ok(outcome.into_object())
    }

    /// Reads an object, lets `change` edit it and writes it back, again on conflict a bounded
    /// number of times. A change of nothing writes nothing. A `resourceVersion` that `change` puts
    /// in place of the one it was given must be the current one.
    ///
    /// # Errors
    /// What `change` returns; `NotFound`, `Conflict`, `Invalid`; `Timeout` where the outcome is
    /// unknown.
    pub async fn modify(
        &self,
        kind: &Arc<Kind>,
        namespace: &str,
        name: &str,
        part: Part,
        options: &WriteOptions,
        mut change: impl FnMut(Value) -> Result<Value, StatusError> + Send,
    ) -> Result<Object, StatusError> {
        let key = key_of(kind, namespace, name);
        let outcome = self
            .rewrite(kind, key, View::Served, options, |record| {
                let object = Object { kind: kind.clone(), record: record.clone() };
                let changed = change(object.value()?)?;
                if expected_revision(&changed)?.is_some_and(|expected| expected != record.modified)
                {
                    return Err(StatusError::modified(kind, name));
                }
                decide_update(kind, changed, record, part, options)
            })
            .await?;
        Ok(outcome.into_object())
    }

    /// As [`Storage::modify`] for changes of the metadata alone, which need no other version of an
    /// object than the one it is stored in, and leave it there.
    ///
    /// # Errors
    /// As [`Storage::modify`].
    pub async fn modify_metadata(
        &self,
        kind: &Arc<Kind>,
        namespace: &str,
        name: &str,
        options: &WriteOptions,
        mut change: impl FnMut(Value) -> Result<Value, StatusError> + Send,
    ) -> Result<(), StatusError> {
        let key = key_of(kind, namespace, name);
        self.rewrite(kind, key, View::Stored, options, |record| {
            let old = stored_value(record)?;
            let mut new = old.clone();
            new["metadata"] = change(old.clone())?["metadata"].take();
            let manager = options.manager.name();
            let now = Timestamp::now();
            let updated = prepare_update(kind, new, &old, Part::Main, now, manager)?;
            let is_over = deletion_complete(kind, &updated);
            Ok(if is_over { Decision::Remove } else { Decision::Put(updated) })
        })
        .await?;
        Ok(())
    }

    /// Decides about the current record, as `view` shows it, and carries the decision out if the
    /// record is still that one, else starts again. The first look may be at stale data: a decision
    /// that writes is guarded by its precondition, one that does not is made again on fresh data.
    pub(crate) async fn rewrite(
        &self,
        kind: &Arc<Kind>,
        key: Key,
        view: View,
        options: &WriteOptions,
        mut decide: impl FnMut(&Record) -> Result<Decision, StatusError> + Send,
    ) -> Result<Outcome, StatusError> {
        let mut consistency = Consistency::Any;
        for _ in 0..WRITE_ATTEMPTS {
            let fresh = consistency == Consistency::Linearizable;
            let Some(record) = self.read(&key, consistency).await? else {
                if fresh {
                    return Err(StatusError::not_found(kind, &key.name));
                }
                consistency = Consistency::Linearizable;
                continue;
            };
            let seen = match view {
                View::Stored => record.clone(),
                View::Served => self.record_in_version(kind, record.clone()).await?,
            };
            let action = match decide(&seen) {
                Ok(decision) => self.settle(kind, &record, view, decision).await,
                Err(error) => Err(error),
            };
            match action {
                Err(_) | Ok(Action::Keep) if !fresh => {}
                Err(error) => return Err(error),
                Ok(action) => {
                    if let Some(outcome) = self.carry_out(kind, seen, action, options).await? {
                        return Ok(outcome);
                    }
                }
            }
            consistency = Consistency::Linearizable;
        }
        Err(StatusError::modified(kind, &key.name))
    }

    /// What a decision about a record as it is stored comes to: nothing, where it would be written
    /// as it is.
    async fn settle(
        &self,
        kind: &Arc<Kind>,
        record: &Record,
        view: View,
        decision: Decision,
    ) -> Result<Action, StatusError> {
        let object = match decision {
            Decision::Keep => return Ok(Action::Keep),
            Decision::Remove => return Ok(Action::Remove),
            Decision::Put(object) => object,
        };
        let written = self.written(kind, view, object).await?;
        let is_same = written.stored == record.value;
        Ok(if is_same { Action::Keep } else { Action::Put(written) })
    }

    /// `None` where the record, which is as it was seen, has changed in the meantime.
    async fn carry_out(
        &self,
        kind: &Arc<Kind>,
        seen: Record,
        action: Action,
        options: &WriteOptions,
    ) -> Result<Option<Outcome>, StatusError> {
        let key = seen.key.clone();
        let when = Precondition::Unchanged(seen.modified);
        let (operation, shown) = match action {
            Action::Keep => {
                return Ok(Some(Outcome::Stands(Object { kind: kind.clone(), record: seen })));
            }
            Action::Remove => (Operation::Delete { key: key.clone(), when }, None),
            Action::Put(Written { stored, shown }) => {
                (Operation::Put { key: key.clone(), value: stored, when }, Some(shown))
            }
        };
        let modified = if options.dry_run {
            seen.modified
        } else {
            match self.attempt(vec![operation]).await? {
                Attempt::Applied(revisions) => first(&revisions),
                Attempt::Refused(_) => return Ok(None),
            }
        };
        Ok(Some(match shown {
            Some(shown) => {
                Outcome::Stands(object_of(kind.clone(), key, shown, seen.created, modified))
            }
            None => {
                Outcome::Removed(Object { kind: kind.clone(), record: Record { modified, ..seen } })
            }
        }))
    }

    /// Sends a transaction. The store itself repeats it, under one request id, as long as no
    /// leader answers and time allows.
    async fn attempt(&self, operations: Vec<Operation>) -> Result<Attempt, StatusError> {
        match self.store.write(Transaction::new(operations)).await {
            Ok(revisions) => Ok(Attempt::Applied(revisions)),
            Err(StoreError::PreconditionFailed { index, .. }) => Ok(Attempt::Refused(index)),
            Err(error) => Err(write_error(error)),
        }
    }
}

fn decide_update(
    kind: &Kind,
    new: Value,
    record: &Record,
    part: Part,
    options: &WriteOptions,
) -> Result<Decision, StatusError> {
    let old = kind.to_served(stored_value(record)?);
    let manager = options.manager.name();
    let updated = prepare_update(kind, new, &old, part, Timestamp::now(), manager)?;
    let is_over = deletion_complete(kind, &updated);
    Ok(if is_over { Decision::Remove } else { Decision::Put(updated) })
}

/// The check that a custom kind is still as this host knows it, so that nothing is made of a kind
/// that is being removed.
fn definition_check(kind: &Kind, name: &str) -> Result<Option<Operation>, StatusError> {
    let Some(definition) = kind.definition() else { return Ok(None) };
    if definition.is_ending {
        let mut error = StatusError::method_not_allowed("create");
        error.message = format!(
            "create of {name:?} is not allowed while custom resource definition {} is terminating",
            definition.name
        );
        return Err(error);
    }
    let definitions = registry().of::<CustomResourceDefinition>();
    Ok(Some(Operation::Check {
        key: key_of(definitions, "", definition.name),
        when: Precondition::Unchanged(Revision(definition.revision)),
    }))
}
/// The `resourceVersion` a writer insists on, none if it is absent, empty or `0`.
fn expected_revision(object: &Value) -> Result<Option<Revision>, StatusError> {
    match object.pointer("/metadata/resourceVersion") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(version)) if version.is_empty() || version == "0" => Ok(None),
        Some(Value::String(version)) => parse_revision(version).map(Some),
        Some(other) => Err(invalid_revision(&other.to_string())),
    }
}

/// A `resourceVersion` as the revision it is.
pub(crate) fn parse_revision(version: &str) -> Result<Revision, StatusError> {
    version.parse().map(Revision).map_err(|_| invalid_revision(version))
}

fn invalid_revision(version: &str) -> StatusError {
    StatusError::bad_request(format!("metadata.resourceVersion: Invalid value: {version}"))
}

fn is_generated(object: &Value) -> bool {
    let text = |field| object["metadata"][field].as_str().unwrap_or_default();
    text("name").is_empty() && !text("generateName").is_empty()
}

fn fresh_stamp() -> Stamp {
    let mut rng = rand::rng();
    let letter = |_| char::from(SUFFIX_ALPHABET[rng.random_range(0..SUFFIX_ALPHABET.len())]);
    Stamp {
        now: Timestamp::now(),
        uid: uuid::Uuid::new_v4(),
        suffix: (0..SUFFIX_LENGTH).map(letter).collect(),
    }
}

fn object_of(
    kind: Arc<Kind>,
    key: Key,
    value: bytes::Bytes,
    created: Revision,
    modified: Revision,
) -> Object {
    Object { kind, record: Record { key, value, created, modified } }
}

/// The revision of the first operation; a store that applied it has one.
fn first(revisions: &[Revision]) -> Revision {
    revisions.first().copied().unwrap_or_default()
}
