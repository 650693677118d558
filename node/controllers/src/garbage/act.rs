//! Carries out decisions of the collector, after asking the store.

use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use serde_json::Value;
use skein_consensus::Consistency;
use skein_objects::{Part, Propagation, Reason, Scope, StatusError, registry};
use skein_storage::{DeleteOptions, Object, Preconditions, Storage, WriteOptions};

use super::{
    index::{Entry, Index},
    plan::{ORPHAN, Plan},
};
use crate::cluster::Cluster;

/// Writes what a plan says.
pub(super) struct Actor {
    storage: Storage,
    index: Arc<Index>,
}

impl Actor {
    pub(super) fn new(cluster: &Cluster, index: Arc<Index>) -> Self {
        Self { storage: cluster.storage.clone(), index }
    }

    pub(super) async fn act(&self, plan: Plan) -> Result<(), StatusError> {
        match plan {
            Plan::Keep => Ok(()),
            Plan::Examine { entry, missing, waiting, has_dependents } => {
                self.examine(&entry, missing, waiting, has_dependents).await
            }
            Plan::Orphan { entry, dependents } => {
                for dependent in &dependents {
                    self.drop_owners(dependent, &[&entry.uid]).await?;
                }
                Ok(())
            }
            Plan::Release { entry, finalizer } => self.release(&entry, finalizer).await,
        }
    }

    /// Deletes the object if it has owners, none of which is there to stay; else makes it forget
    /// those that are not.
    async fn examine(
        &self,
        entry: &Entry,
        missing: Vec<OwnerReference>,
        waiting: Vec<OwnerReference>,
        has_dependents: bool,
    ) -> Result<(), StatusError> {
        let mut gone = Vec::new();
        for owner in missing {
            if self.is_gone(entry, &owner).await? {
                gone.push(owner);
            }
        }
        if gone.is_empty() && waiting.is_empty() {
            return Ok(());
        }
        let Some(object) = self.fresh(entry).await? else { return Ok(()) };
        let fresh = Entry::of(entry.kind, meta(&object)?);
        let departing = |owner: &OwnerReference| {
            gone.iter().chain(&waiting).any(|departing| departing.uid == owner.uid)
        };
        if fresh.uid != entry.uid || fresh.deleting {
            return Ok(());
        }
        if !fresh.owners.iter().all(departing) {
            let uids: Vec<&str> =
                gone.iter().chain(&waiting).map(|owner| owner.uid.as_str()).collect();
            return self.drop_owners(entry, &uids).await;
        }
        let foreground = has_dependents && !waiting.is_empty();
        let propagation =
            if foreground { Propagation::Foreground } else { Propagation::Background };
        let options = DeleteOptions {
            propagation: Some(propagation),
            preconditions: Preconditions {
                uid: Some(entry.uid.to_string()),
                resource_version: Some(object.revision()),
            },
            ..DeleteOptions::default()
        };
        let (namespace, name) = (&entry.key.0, &entry.key.1);
        ignore_absence(self.storage.delete(entry.kind, namespace, name, &options).await)?;
        tracing::debug!(kind = entry.kind.kind, %namespace, %name, "deleted with its owner");
        Ok(())
    }

    /// Asks the store whether an owner is gone. One of a kind that is not served may exist
    /// elsewhere and is never taken for gone.
    async fn is_gone(&self, entry: &Entry, owner: &OwnerReference) -> Result<bool, StatusError> {
        let Some(kind) = registry().by_api_version(&owner.api_version, &owner.kind) else {
            return Ok(false);
        };
        let namespace = match kind.scope {
            Scope::Namespaced => &*entry.key.0,
            Scope::Cluster => "",
        };
        let found = self.storage.get(kind, namespace, &owner.name, Consistency::Linearizable).await;
        match found {
            Ok(object) => Ok(meta(&object)?.uid.as_deref() != Some(&*owner.uid)),
            Err(error) if error.reason == Reason::NotFound => Ok(true),
            Err(error) => Err(error),
        }
    }

    async fn drop_owners(&self, entry: &Entry, uids: &[&str]) -> Result<(), StatusError> {
        let forget = |mut object: Value| {
            if object["metadata"]["uid"] == *entry.uid
                && let Some(owners) = object["metadata"]["ownerReferences"].as_array_mut()
            {
                owners.retain(|owner| !uids.iter().any(|uid| owner["uid"] == **uid));
            }
            Ok(object)
        };
        self.modify(entry, forget).await
    }

    async fn release(&self, entry: &Entry, finalizer: &str) -> Result<(), StatusError> {
        if finalizer == ORPHAN
            && self.index.view(&entry.uid, |near| near.dependents.len()) != Some(0)
        {
            return Ok(());
        }
        let release = |mut object: Value| {
            if object["metadata"]["uid"] == *entry.uid
                && let Some(held) = object["metadata"]["finalizers"].as_array_mut()
            {
                held.retain(|one| one != finalizer);
            }
            Ok(object)
        };
        self.modify(entry, release).await
    }

    async fn modify(
        &self,
        entry: &Entry,
        change: impl FnMut(Value) -> Result<Value, StatusError> + Send,
    ) -> Result<(), StatusError> {
        let (namespace, name) = (&entry.key.0, &entry.key.1);
        let options = WriteOptions::default();
        let written =
            self.storage.modify(entry.kind, namespace, name, Part::Main, &options, change).await;
        ignore_absence(written)
    }

    async fn fresh(&self, entry: &Entry) -> Result<Option<Object>, StatusError> {
        let (namespace, name) = (&entry.key.0, &entry.key.1);
        match self.storage.get(entry.kind, namespace, name, Consistency::Linearizable).await {
            Ok(object) => Ok(Some(object)),
            Err(error) if error.reason == Reason::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

fn meta(
    object: &Object,
) -> Result<k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta, StatusError> {
    let mut value = object.value()?;
    serde_json::from_value(value["metadata"].take()).map_err(StatusError::internal)
}

fn ignore_absence<T>(result: Result<T, StatusError>) -> Result<(), StatusError> {
    match result {
        Err(error) if error.reason != Reason::NotFound => Err(error),
        _ => Ok(()),
    }
}
