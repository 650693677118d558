//! The objects of an informer and who is told of their changes.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use k8s_openapi::{Metadata, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use tokio::sync::broadcast;

use super::changes::{Change, Changes};
use crate::limits::INFORMER_CHANGES;

/// Namespace, then name.
type Objects<T> = BTreeMap<Arc<str>, BTreeMap<Arc<str>, Arc<T>>>;

pub(super) struct Cache<T> {
    objects: RwLock<Objects<T>>,
    changes: broadcast::Sender<Change>,
}

impl<T> Cache<T> {
    pub(super) fn new() -> Self {
        Self { objects: RwLock::default(), changes: broadcast::Sender::new(INFORMER_CHANGES) }
    }

    pub(super) fn get(&self, namespace: &str, name: &str) -> Option<Arc<T>> {
        self.read().get(namespace)?.get(name).cloned()
    }

    pub(super) fn list(&self) -> Vec<Arc<T>> {
        self.read().values().flat_map(|names| names.values().cloned()).collect()
    }

    pub(super) fn list_namespace(&self, namespace: &str) -> Vec<Arc<T>> {
        self.read()
            .get(namespace)
            .map(|names| names.values().cloned().collect())
            .unwrap_or_default()
    }

    pub(super) fn changes(&self) -> Changes {
        Changes::new(self.changes.subscribe())
    }

    pub(super) fn remove(&self, namespace: &str, name: &str) {
        let mut objects = self.write();
        let Some(names) = objects.get_mut(namespace) else { return };
        if names.remove(name).is_none() {
            return;
        }
        if names.is_empty() {
            objects.remove(namespace);
        }
        drop(objects);
        self.tell(Change::Object { namespace: namespace.into(), name: name.into() });
    }

    /// A change nobody listens to is no failure.
    fn tell(&self, change: Change) {
        let _listeners = self.changes.send(change);
    }

    fn read(&self) -> RwLockReadGuard<'_, Objects<T>> {
        self.objects.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Objects<T>> {
        self.objects.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Metadata<Ty = ObjectMeta>> Cache<T> {
    pub(super) fn insert(&self, object: T) {
        let (namespace, name) = names(&object);
        let change = Change::Object { namespace: namespace.clone(), name: name.clone() };
        self.write().entry(namespace).or_default().insert(name, Arc::new(object));
        self.tell(change);
    }

    /// Takes a fresh listing in place of everything.
    pub(super) fn replace(&self, listed: Vec<T>) {
        let mut objects = Objects::new();
        for object in listed {
            let (namespace, name) = names(&object);
            objects.entry(namespace).or_default().insert(name, Arc::new(object));
        }
        *self.write() = objects;
        self.tell(Change::Resync);
    }
}

fn names<T: Metadata<Ty = ObjectMeta>>(object: &T) -> (Arc<str>, Arc<str>) {
    let metadata = object.metadata();
    let part = |part: &Option<String>| Arc::from(part.as_deref().unwrap_or_default());
    (part(&metadata.namespace), part(&metadata.name))
}
