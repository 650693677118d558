//! The kinds the API serves and how to find one.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use k8s_openapi::Resource;

use crate::kind::Kind;
use crate::kinds::KINDS;

/// All kinds, indexed.
#[derive(Debug)]
pub struct Registry {
    kinds: &'static [Kind],
    by_resource: HashMap<(&'static str, &'static str, &'static str), &'static Kind>,
    by_kind: HashMap<(&'static str, &'static str, &'static str), &'static Kind>,
    by_store_resource: HashMap<Arc<str>, &'static Kind>,
}

static REGISTRY: LazyLock<Registry> = LazyLock::new(|| Registry::new(KINDS));

/// The one registry of this binary.
pub fn registry() -> &'static Registry {
    &REGISTRY
}

impl Registry {
    fn new(kinds: &'static [Kind]) -> Self {
        Self {
            kinds,
            by_resource: kinds.iter().map(|k| ((k.group, k.version, k.plural), k)).collect(),
            by_kind: kinds.iter().map(|k| ((k.group, k.version, k.kind), k)).collect(),
            by_store_resource: kinds.iter().map(|k| (k.store_resource(), k)).collect(),
        }
    }

    /// Every kind, in the order `kubectl api-resources` groups them.
    pub fn all(&self) -> &'static [Kind] {
        self.kinds
    }

    /// By group, version and plural, as URLs name it.
    pub fn by_resource(&self, group: &str, version: &str, plural: &str) -> Option<&'static Kind> {
        self.by_resource.get(&(group, version, plural)).copied()
    }

    /// By group, version and kind, as manifests name it.
    pub fn by_kind(&self, group: &str, version: &str, kind: &str) -> Option<&'static Kind> {
        self.by_kind.get(&(group, version, kind)).copied()
    }

    /// By `apiVersion` and kind.
    pub fn by_api_version(&self, api_version: &str, kind: &str) -> Option<&'static Kind> {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        self.by_kind(group, version, kind)
    }

    /// By [`Kind::store_resource`].
    pub fn by_store_resource(&self, resource: &str) -> Option<&'static Kind> {
        self.by_store_resource.get(resource).copied()
    }

    /// The kind of a Rust type.
    ///
    /// # Panics
    /// When the type is not in the table of kinds: a mistake in the code that asks, which the
    /// first use shows.
    pub fn of<T: Resource>(&self) -> &'static Kind {
        match self.by_kind(T::GROUP, T::VERSION, T::KIND) {
            Some(kind) => kind,
            None => panic!("{} {} is not a served kind", T::API_VERSION, T::KIND),
        }
    }
}
