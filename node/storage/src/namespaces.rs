//! Which namespaces take new objects.
//!
//! A create carries a check that its namespace is unchanged since it was seen active, so the store
//! itself decides and a remembered revision can be out of date without harm: the check fails and
//! the namespace is read again.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use k8s_openapi::api::core::v1::Namespace;
use serde_json::Value;
use skein_consensus::{Consistency, Key, Operation, Precondition, Revision};
use skein_objects::{Kind, StatusError, registry};

use crate::{Storage, limits::REMEMBERED_NAMESPACES, object::stored_value, storage::key_of};

/// Namespaces last seen active, with their revisions.
#[derive(Default)]
pub(crate) struct Namespaces {
    active: Mutex<HashMap<String, Revision>>,
}

impl Namespaces {
    fn recall(&self, name: &str) -> Option<Revision> {
        self.lock().get(name).copied()
    }

    fn remember(&self, name: &str, revision: Revision) {
        let mut active = self.lock();
        if active.len() >= REMEMBERED_NAMESPACES {
            active.clear();
        }
        active.insert(name.to_owned(), revision);
    }

    /// Drops what is remembered of a namespace, after a check on it failed.
    pub(crate) fn forget(&self, name: &str) {
        self.lock().remove(name);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Revision>> {
        self.active.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Storage {
    /// The check that `namespace` still takes new objects of `kind`.
    ///
    /// # Errors
    /// `NotFound` for the namespace, `Forbidden` while it is being removed.
    pub(crate) async fn namespace_check(
        &self,
        kind: &Arc<Kind>,
        namespace: &str,
        name: &str,
    ) -> Result<Operation, StatusError> {
        let namespaces = registry().of::<Namespace>();
        let key = key_of(namespaces, "", namespace);
        if let Some(revision) = self.namespaces.recall(namespace) {
            return Ok(unchanged(key, revision));
        }
        let record = self.read(&key, Consistency::Linearizable).await?;
        let record = record.ok_or_else(|| StatusError::not_found(namespaces, namespace))?;
        if is_terminating(&stored_value(&record)?) {
            return Err(StatusError::forbidden(
                kind,
                name,
                format!(
                    "unable to create new content in namespace {namespace} because it is being \
                     terminated"
                ),
            ));
        }
        self.namespaces.remember(namespace, record.modified);
        Ok(unchanged(key, record.modified))
    }
}

fn unchanged(key: Key, revision: Revision) -> Operation {
    Operation::Check { key, when: Precondition::Unchanged(revision) }
}

fn is_terminating(namespace: &Value) -> bool {
    namespace.pointer("/metadata/deletionTimestamp").is_some()
        || namespace.pointer("/status/phase").is_some_and(|phase| phase == "Terminating")
}
