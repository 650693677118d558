//! Keys, revisions and records of the store.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// The name of one object: its resource (`pods`, `deployments.apps`), namespace and name.
///
/// Cluster-scoped objects have the empty namespace. Keys order by resource, namespace, name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Key {
    /// Plural resource name, with `.group` unless the group is the core one.
    pub resource: Arc<str>,
    /// Namespace, empty for cluster-scoped objects.
    pub namespace: Arc<str>,
    /// Name.
    pub name: Arc<str>,
}

impl Key {
    /// A key from its three parts.
    pub fn new(
        resource: impl Into<Arc<str>>,
        namespace: impl Into<Arc<str>>,
        name: impl Into<Arc<str>>,
    ) -> Self {
        Self { resource: resource.into(), namespace: namespace.into(), name: name.into() }
    }

    /// Bytes of its three parts.
    pub fn size(&self) -> usize {
        self.resource.len() + self.namespace.len() + self.name.len()
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.resource, self.namespace, self.name)
    }
}

/// All objects of one resource, of one namespace or of all.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct KeyRange {
    /// Plural resource name, with `.group` unless the group is the core one.
    pub resource: Arc<str>,
    /// One namespace, or all where `None`.
    pub namespace: Option<Arc<str>>,
}

impl KeyRange {
    /// Every object of `resource`.
    pub fn all(resource: impl Into<Arc<str>>) -> Self {
        Self { resource: resource.into(), namespace: None }
    }

    /// Every object of `resource` in `namespace`.
    pub fn namespaced(resource: impl Into<Arc<str>>, namespace: impl Into<Arc<str>>) -> Self {
        Self { resource: resource.into(), namespace: Some(namespace.into()) }
    }

    /// Whether `key` lies in the range.
    pub fn contains(&self, key: &Key) -> bool {
        self.resource == key.resource
            && self.namespace.as_ref().is_none_or(|namespace| *namespace == key.namespace)
    }

    /// The least key the range could contain.
    pub fn start(&self) -> Key {
        let namespace = self.namespace.clone().unwrap_or_default();
        Key { resource: self.resource.clone(), namespace, name: Arc::default() }
    }
}

/// A point in the history of the store. Every change of one object has its own; it is the
/// object's `resourceVersion`. Zero is before the first change.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Revision(pub u64);

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One object as stored. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Its key.
    pub key: Key,
    /// Its bytes, exactly as written.
    pub value: Bytes,
    /// The change that made it.
    pub created: Revision,
    /// The change that wrote these bytes.
    pub modified: Revision,
}

impl Record {
    /// Bytes of its key and value.
    pub fn size(&self) -> usize {
        self.key.size() + self.value.len()
    }
}
