//! Carries out decisions of the collector, after asking the store.

use std::sync::Arc;

use serde_json::Value;
use skein_consensus::Consistency;
use skein_objects::{Kind, Propagation, Reason, Scope, StatusError};
use skein_storage::{DeleteOptions, Kinds, Object, Preconditions, Storage, WriteOptions};

use super::{
    index::{Entry, Index, Owner},
    plan::{ORPHAN, Plan},
};
use crate::{cluster::Cluster, uid::Uid};

/// Writes what a plan says.
pub(super) struct Actor {
    storage: Storage,
    kinds: Kinds,
    index: Arc<Index>,
}

impl Actor {
    pub(super) fn new(cluster: &Cluster, index: Arc<Index>) -> Self {
        Self { storage: cluster.storage.clone(), kinds: cluster.standby.kinds.clone(), index }
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
        missing: Vec<Owner>,
        waiting: Vec<Owner>,
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
        let fresh = self.index.read(&object.record)?;
        let departing =
            |owner: &Owner| gone.iter().chain(&waiting).any(|departing| departing.uid == owner.uid);
        if fresh.uid != entry.uid || fresh.ties.is_leaving {
            return Ok(());
        }
        if !fresh.ties.owners.iter().all(departing) {
            let uids: Vec<&Uid> = gone.iter().chain(&waiting).map(|owner| &owner.uid).collect();
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
        let Entry { resource, namespace, name, .. } = entry;
        ignore_absence(self.storage.delete(&object.kind, namespace, name, &options).await)?;
        tracing::debug!(%resource, %namespace, %name, "deleted with its owner");
        Ok(())
    }

    /// Asks the store whether an owner is gone. One of a kind that is not served may exist
    /// elsewhere and is never taken for gone.
    async fn is_gone(&self, entry: &Entry, owner: &Owner) -> Result<bool, StatusError> {
        let kinds = self.kinds.current();
        let Some(kind) = kinds.by_api_version(&owner.api_version, &owner.kind) else {
            return Ok(false);
        };
        let namespace = match kind.scope {
            Scope::Namespaced => &*entry.namespace,
            Scope::Cluster => "",
        };
        let found = self.storage.get(kind, namespace, &owner.name, Consistency::Linearizable).await;
        match found {
            Ok(object) => Ok(self.index.read(&object.record)?.uid != owner.uid),
            Err(error) if error.reason == Reason::NotFound => Ok(true),
            Err(error) => Err(error),
        }
    }

    async fn drop_owners(&self, entry: &Entry, uids: &[&Uid]) -> Result<(), StatusError> {
        let forget = |mut object: Value| {
            if is_of(&entry.uid, &object["metadata"])
                && let Some(owners) = object["metadata"]["ownerReferences"].as_array_mut()
            {
                owners.retain(|owner| !uids.iter().any(|uid| is_of(uid, owner)));
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
            if is_of(&entry.uid, &object["metadata"])
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
        let Some(kind) = self.kind_of(entry) else { return Ok(()) };
        let Entry { namespace, name, .. } = entry;
        let options = WriteOptions::default();
        let written = self.storage.modify_metadata(&kind, namespace, name, &options, change).await;
        ignore_absence(written)
    }

    /// The kind of an object, unless its definition is gone: then the object is, too.
    fn kind_of(&self, entry: &Entry) -> Option<Arc<Kind>> {
        self.kinds.current().by_store_resource(&entry.resource).cloned()
    }

    async fn fresh(&self, entry: &Entry) -> Result<Option<Object>, StatusError> {
        let Some(kind) = self.kind_of(entry) else { return Ok(None) };
        let Entry { namespace, name, .. } = entry;
        match self.storage.get(&kind, namespace, name, Consistency::Linearizable).await {
            Ok(object) => Ok(Some(object)),
            Err(error) if error.reason == Reason::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Whether the uid in this metadata or reference is that one.
fn is_of(uid: &Uid, object: &Value) -> bool {
    object["uid"].as_str().is_some_and(|text| uid.is(text))
}

fn ignore_absence<T>(result: Result<T, StatusError>) -> Result<(), StatusError> {
    match result {
        Err(error) if error.reason != Reason::NotFound => Err(error),
        _ => Ok(()),
    }
}
