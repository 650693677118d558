//! The metadata of every object, by uid and by owner.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use skein_objects::Kind;

use crate::{cluster::key_of, reconcile::ObjectKey};

/// An object's uid.
pub(super) type Uid = Arc<str>;

/// What is known of one object.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    pub(super) kind: &'static Kind,
    pub(super) key: ObjectKey,
    pub(super) uid: Uid,
    pub(super) owners: Vec<OwnerReference>,
    pub(super) finalizers: Vec<String>,
    pub(super) deleting: bool,
}

impl Entry {
    /// Takes what matters from an object's metadata.
    pub(super) fn of(kind: &'static Kind, meta: ObjectMeta) -> Self {
        Self {
            kind,
            key: key_of(&meta),
            uid: Uid::from(meta.uid.unwrap_or_default()),
            owners: meta.owner_references.unwrap_or_default(),
            finalizers: meta.finalizers.unwrap_or_default(),
            deleting: meta.deletion_timestamp.is_some(),
        }
    }

    /// Whether its deletion waits for this finalizer.
    pub(super) fn is_held_by(&self, finalizer: &str) -> bool {
        self.deleting && self.finalizers.iter().any(|held| held == finalizer)
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
}

#[derive(Default)]
struct Graph {
    entries: HashMap<Uid, Entry>,
    dependents: HashMap<Uid, HashSet<Uid>>,
    uids: HashMap<(&'static str, &'static str, ObjectKey), Uid>,
}

impl Index {
    /// Looks at one object; `None` if it is not there.
    pub(super) fn view<T>(
        &self,
        uid: &Uid,
        look: impl FnOnce(&Neighbourhood<'_>) -> T,
    ) -> Option<T> {
        let graph = self.lock();
        let entry = graph.entries.get(uid)?;
        let owners = entry.owners.iter().filter_map(|owner| graph.entries.get(&*owner.uid));
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
        let place = (entry.kind.group, entry.kind.kind, entry.key.clone());
        let mut look: Vec<Uid> = vec![entry.uid.clone()];
        if let Some(former) = graph.uids.insert(place, entry.uid.clone())
            && former != entry.uid
        {
            look.extend(graph.remove(&former));
        }
        graph.unlink(&entry.uid);
        for owner in &entry.owners {
            let dependents = graph.dependents.entry(Uid::from(owner.uid.as_str())).or_default();
            dependents.insert(entry.uid.clone());
        }
        if entry.deleting {
            look.extend(graph.dependents.get(&entry.uid).into_iter().flatten().cloned());
        }
        graph.entries.insert(entry.uid.clone(), entry);
        look
    }

    /// Notes that an object is gone; the objects to look at follow.
    pub(super) fn remove(&self, kind: &'static Kind, key: &ObjectKey) -> Vec<Uid> {
        let mut graph = self.lock();
        match graph.uids.remove(&(kind.group, kind.kind, key.clone())) {
            Some(uid) => graph.remove(&uid),
            None => Vec::new(),
        }
    }

    /// The keys of all objects of a kind.
    pub(super) fn keys(&self, kind: &'static Kind) -> Vec<ObjectKey> {
        let graph = self.lock();
        let of_kind =
            graph.uids.keys().filter(|(group, name, _)| *group == kind.group && *name == kind.kind);
        of_kind.map(|(_, _, key)| key.clone()).collect()
    }

    /// The uids of all objects.
    pub(super) fn uids(&self) -> Vec<Uid> {
        self.lock().entries.keys().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Graph> {
        self.graph.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Graph {
    /// Forgets an object and names its dependents and its owners.
    fn remove(&mut self, uid: &Uid) -> Vec<Uid> {
        self.unlink(uid);
        let owners = self.entries.remove(uid).map(|entry| entry.owners).unwrap_or_default();
        let dependents = self.dependents.get(uid).into_iter().flatten().cloned();
        dependents.chain(owners.into_iter().map(|owner| Uid::from(owner.uid))).collect()
    }

    /// Takes the object out of its owners' dependents.
    fn unlink(&mut self, uid: &Uid) {
        let Some(entry) = self.entries.get(uid) else { return };
        for owner in &entry.owners {
            let owner = owner.uid.as_str();
            if let Some(dependents) = self.dependents.get_mut(owner) {
                dependents.remove(uid);
                if dependents.is_empty() {
                    self.dependents.remove(owner);
                }
            }
        }
    }
}
