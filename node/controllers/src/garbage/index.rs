//! As much of every object as the collector needs, by uid and by owner.
//!
//! It holds all objects of all kinds on every host that may lead, so it keeps little: names shared
//! with the store, and what ties an object to others once for all that are tied alike.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use serde::{Deserialize, de::IgnoredAny};
use skein_consensus::Record;
use skein_objects::StatusError;
use skein_storage::read_part;

use crate::{pool::Pool, uid::Uid};

/// What is known of one object. Cheap to clone.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    /// Where the store keeps its kind.
    pub(super) resource: Arc<str>,
    pub(super) namespace: Arc<str>,
    pub(super) name: Arc<str>,
    pub(super) uid: Uid,
    pub(super) ties: Arc<Ties>,
}

/// What ties an object to others and to life.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Ties {
    pub(super) owners: Vec<Owner>,
    pub(super) finalizers: Vec<String>,
    pub(super) is_leaving: bool,
}

/// A reference to an owner.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Owner {
    pub(super) api_version: String,
    pub(super) kind: String,
    pub(super) name: String,
    pub(super) uid: Uid,
    /// Whether the object keeps a foreground deletion of the owner waiting.
    pub(super) is_blocked: bool,
}

impl From<OwnerReference> for Owner {
    fn from(reference: OwnerReference) -> Self {
        Self {
            uid: Uid::from(reference.uid.as_str()),
            api_version: reference.api_version,
            kind: reference.kind,
            name: reference.name,
            is_blocked: reference.block_owner_deletion == Some(true),
        }
    }
}

impl Entry {
    /// Whether its deletion waits for this finalizer.
    pub(super) fn is_held_by(&self, finalizer: &str) -> bool {
        self.ties.is_leaving && self.ties.finalizers.iter().any(|held| held == finalizer)
    }
}

/// One object and its neighbours in the graph.
pub(super) struct Neighbourhood<'a> {
    pub(super) entry: &'a Entry,
    /// Its owners that the index has.
    pub(super) owners: Vec<&'a Entry>,
    /// The objects that name it as an owner.
    pub(super) dependents: Vec<&'a Entry>,
}

/// The graph.
#[derive(Default)]
pub(super) struct Index {
    graph: Mutex<Graph>,
    ties: Pool<Ties>,
    namespaces: Pool<str>,
}

#[derive(Default)]
struct Graph {
    entries: BTreeMap<Uid, Entry>,
    dependents: BTreeMap<Uid, BTreeSet<Uid>>,
}

impl Index {
    /// Reads what matters of an object's metadata; the rest of the object is skipped.
    pub(super) fn read(&self, record: &Record) -> Result<Entry, StatusError> {
        let Partial { metadata } = read_part(record)?;
        let owners = metadata.owner_references.into_iter().flatten();
        let ties = Ties {
            owners: owners.map(Owner::from).collect(),
            finalizers: metadata.finalizers.unwrap_or_default(),
            is_leaving: metadata.deletion_timestamp.is_some(),
        };
        Ok(Entry {
            resource: record.key.resource.clone(),
            namespace: self.namespaces.share(&*record.key.namespace),
            name: record.key.name.clone(),
            uid: Uid::from(metadata.uid.as_deref().unwrap_or_default()),
            ties: self.ties.share(ties),
        })
    }

    /// Looks at one object; `None` if it is not there.
    pub(super) fn view<T>(
        &self,
        uid: &Uid,
        look: impl FnOnce(&Neighbourhood<'_>) -> T,
    ) -> Option<T> {
        let graph = self.lock();
        let entry = graph.entries.get(uid)?;
        let owners = entry.ties.owners.iter().filter_map(|owner| graph.entries.get(&owner.uid));
        let dependents = graph.dependents.get(uid).into_iter().flatten();
        Some(look(&Neighbourhood {
            entry,
            owners: owners.collect(),
            dependents: dependents.filter_map(|uid| graph.entries.get(uid)).collect(),
        }))
    }

    /// Notes an object as it is now; the objects to look at follow.
    pub(super) fn put(&self, entry: Entry) -> Vec<Uid> {
        let mut graph = self.lock();
        let (uid, ties) = (entry.uid.clone(), entry.ties.clone());
        let mut look = vec![uid.clone()];
        if ties.is_leaving {
            look.extend(graph.dependents.get(&uid).into_iter().flatten().cloned());
        }
        if let Some(former) = graph.entries.insert(uid.clone(), entry) {
            graph.unlink(&former);
        }
        for owner in &ties.owners {
            graph.dependents.entry(owner.uid.clone()).or_default().insert(uid.clone());
        }
        look
    }

    /// Notes that an object is gone; the objects to look at follow.
    pub(super) fn remove(&self, uid: &Uid) -> Vec<Uid> {
        self.lock().remove(uid)
    }

    /// The uids of all objects of the kind that the store keeps there.
    pub(super) fn of_kind(&self, resource: &str) -> Vec<Uid> {
        let graph = self.lock();
        let of_kind = graph.entries.values().filter(|entry| *entry.resource == *resource);
        of_kind.map(|entry| entry.uid.clone()).collect()
    }

    /// The uids of all objects that `look` picks.
    pub(super) fn pick(&self, look: impl Fn(&Neighbourhood<'_>) -> bool) -> Vec<Uid> {
        let uids: Vec<Uid> = self.lock().entries.keys().cloned().collect();
        uids.into_iter().filter(|uid| self.view(uid, &look) == Some(true)).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Graph> {
        self.graph.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Graph {
    /// Forgets an object and names its dependents and its owners.
    fn remove(&mut self, uid: &Uid) -> Vec<Uid> {
        let former = self.entries.remove(uid);
        if let Some(former) = &former {
            self.unlink(former);
        }
        let owners = former.iter().flat_map(|entry| &entry.ties.owners);
        let dependents = self.dependents.get(uid).into_iter().flatten().cloned();
        dependents.chain(owners.map(|owner| owner.uid.clone())).collect()
    }

    /// Takes the object out of its owners' dependents.
    fn unlink(&mut self, entry: &Entry) {
        for owner in &entry.ties.owners {
            if let Some(dependents) = self.dependents.get_mut(&owner.uid) {
                dependents.remove(&entry.uid);
                if dependents.is_empty() {
                    self.dependents.remove(&owner.uid);
                }
            }
        }
    }
}

#[derive(Deserialize)]
struct Partial {
    metadata: Metadata,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    uid: Option<String>,
    owner_references: Option<Vec<OwnerReference>>,
    finalizers: Option<Vec<String>>,
    deletion_timestamp: Option<IgnoredAny>,
}
