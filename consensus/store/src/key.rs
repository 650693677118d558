//! Keys, revisions and records of the store.

use std::{cmp::Ordering, fmt, sync::Arc};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// The name of one object: its resource (`pods`, `deployments.apps`), namespace and name.
///
/// Cluster-scoped objects have the empty namespace. Keys order by resource, namespace, name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
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

    /// Takes the parts from `other` that it has in common with it: there are few resources and
    /// namespaces, and each needs to be in memory once.
    pub(crate) fn share(&mut self, other: &Self) {
        for (own, others) in
            [(&mut self.resource, &other.resource), (&mut self.namespace, &other.namespace)]
        {
            if own == others {
                *own = Arc::clone(others);
            }
        }
    }
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        part(&self.resource, &other.resource)
            .then_with(|| part(&self.namespace, &other.namespace))
            .then_with(|| self.name.cmp(&other.name))
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Compares a part that is often shared, then without looking at it.
fn part(one: &Arc<str>, other: &Arc<str>) -> Ordering {
    if Arc::ptr_eq(one, other) { Ordering::Equal } else { one.cmp(other) }
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

    /// The least key after all that the range could contain.
    pub(crate) fn end(&self) -> Key {
        match &self.namespace {
            Some(namespace) => Key::new(self.resource.clone(), successor(namespace), ""),
            None => Key::new(successor(&self.resource), "", ""),
        }
    }
}

/// The least text after `text`.
fn successor(text: &str) -> String {
    format!("{text}\0")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_from_start_to_end_are_those_the_range_contains() {
        let texts = ["", "a", "a\0", "a\0\0", "a-", "aa", "b"];
        let keys = texts.into_iter().flat_map(|resource| {
            texts.into_iter().map(move |namespace| Key::new(resource, namespace, "x"))
        });
        let keys: Vec<Key> = keys.collect();
        for range in
            [KeyRange::all("a"), KeyRange::namespaced("a", "a"), KeyRange::namespaced("a", "")]
        {
            for key in &keys {
                let within = range.start() <= *key && *key < range.end();
                assert_eq!(within, range.contains(key), "{key} in {range:?}");
            }
        }
    }

    #[test]
    fn keys_order_alike_whether_they_share_parts_or_not() {
        let other = Key::new("pods", "b", "z");
        for (namespace, name) in [("a", "z"), ("b", "a"), ("b", "z"), ("c", "a")] {
            let apart = Key::new("pods", namespace, name);
            let mut shared = apart.clone();
            shared.share(&other);
            assert!(Arc::ptr_eq(&shared.resource, &other.resource));
            assert_eq!(Arc::ptr_eq(&shared.namespace, &other.namespace), namespace == "b");
            assert_eq!(shared, apart);
            assert_eq!(shared.cmp(&other), (namespace, name).cmp(&("b", "z")));
        }
    }
}
