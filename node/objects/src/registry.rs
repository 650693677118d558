//! The kinds the API serves and how to find one.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, LazyLock, OnceLock};

use bytes::Bytes;
use k8s_openapi::Resource;
use serde_json::Value;

use crate::kind::{Kind, Text};
use crate::kinds::KINDS;

/// Kinds, indexed.
#[derive(Debug)]
pub struct Registry {
    kinds: Vec<Arc<Kind>>,
    groups: HashMap<Text, Vec<Arc<Kind>>>,
    by_store_resource: BTreeMap<Arc<str>, Arc<Kind>>,
    /// The OpenAPI document of all kinds, once somebody has asked for it.
    pub(crate) openapi_v2: OnceLock<Bytes>,
    /// The same in protobuf.
    pub(crate) openapi_v2_protobuf: OnceLock<Bytes>,
}

static REGISTRY: LazyLock<Arc<Registry>> = LazyLock::new(|| Arc::new(Registry::with(Vec::new())));

/// The kinds of this binary.
pub fn registry() -> &'static Arc<Registry> {
    &REGISTRY
}

/// What whoever writes an object of a kind should know, as sentences.
pub fn warnings(kind: &Kind, object: &Value) -> Vec<String> {
    kind.strategy().warnings(object)
}

/// How much clients should prefer a version, as Kubernetes has it: releases before betas before
/// alphas, the newest of each first, and names of other forms last.
fn version_order(version: &str) -> (u8, u64, u64) {
    let parse = |text: &str| text.parse::<u64>().ok();
    let Some(rest) = version.strip_prefix('v') else { return (0, 0, 0) };
    if let Some(major) = parse(rest) {
        return (3, major, 0);
    }
    for (word, rank) in [("beta", 2), ("alpha", 1)] {
        if let Some((major, minor)) = rest.split_once(word)
            && let (Some(major), Some(minor)) = (parse(major), parse(minor))
        {
            return (rank, major, minor);
        }
    }
    (0, 0, 0)
}

impl Registry {
    /// The kinds of this binary and some more.
    pub fn with(custom: Vec<Kind>) -> Self {
        let mut custom: Vec<Arc<Kind>> = custom.into_iter().map(Arc::new).collect();
        custom.sort_by(|one, other| {
            let versions = version_order(&other.version).cmp(&version_order(&one.version));
            one.group.cmp(&other.group).then(versions).then(one.plural.cmp(&other.plural))
        });
        let all = KINDS.iter().cloned().chain(custom);
        let (mut kinds, mut groups) = (Vec::new(), HashMap::<Text, Vec<Arc<Kind>>>::new());
        let mut by_store_resource = BTreeMap::new();
        for kind in all {
            if kind.is_storage_version() {
                by_store_resource.insert(kind.store_resource(), kind.clone());
            }
            if kind.served {
                groups.entry(kind.group.clone()).or_default().push(kind.clone());
                kinds.push(kind);
            }
        }
        Self {
            kinds,
            groups,
            by_store_resource,
            openapi_v2: OnceLock::new(),
            openapi_v2_protobuf: OnceLock::new(),
        }
    }

    /// Every kind in every version served, in the order `kubectl api-resources` groups them.
    pub fn all(&self) -> &[Arc<Kind>] {
        &self.kinds
    }

    /// Every kind once, in the version its objects are stored in.
    pub fn stored(&self) -> impl Iterator<Item = &Arc<Kind>> {
        self.by_store_resource.values()
    }

    /// By group, version and plural, as URLs name it.
    pub fn by_resource(&self, group: &str, version: &str, plural: &str) -> Option<&Arc<Kind>> {
        let kinds = self.groups.get(group)?;
        kinds.iter().find(|kind| kind.version == version && kind.plural == plural)
    }

    /// By group, version and kind, as manifests name it.
    pub fn by_kind(&self, group: &str, version: &str, name: &str) -> Option<&Arc<Kind>> {
        let kinds = self.groups.get(group)?;
        kinds.iter().find(|kind| kind.version == version && kind.kind == name)
    }

    /// By `apiVersion` and kind.
    pub fn by_api_version(&self, api_version: &str, kind: &str) -> Option<&Arc<Kind>> {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        self.by_kind(group, version, kind)
    }

    /// The version stored, by [`Kind::store_resource`].
    pub fn by_store_resource(&self, resource: &str) -> Option<&Arc<Kind>> {
        self.by_store_resource.get(resource)
    }

    /// The kind of a Rust type.
    ///
    /// # Panics
    /// When the type is not in the table of kinds: a mistake in the code that asks, which the
    /// first use shows.
    pub fn of<T: Resource>(&self) -> &Arc<Kind> {
        match self.by_kind(T::GROUP, T::VERSION, T::KIND) {
            Some(kind) => kind,
            None => panic!("{} {} is not a served kind", T::API_VERSION, T::KIND),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newer_and_riper_versions_come_first() {
        let mut versions = ["foo1", "v1alpha2", "v1", "v11beta2", "v2", "v1beta1", "v10"];
        versions.sort_by_key(|version| std::cmp::Reverse(version_order(version)));
        assert_eq!(versions, ["v10", "v2", "v1", "v11beta2", "v1beta1", "v1alpha2", "foo1"]);
    }
}
