//! Discovery: which groups, versions and resources there are, made from the registry of kinds.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use bytes::Bytes;
use serde_json::{Value, json};
use skein_objects::{Kind, Registry, Scope};

use crate::{
    reviews::{REVIEWS, Review, VERSION},
    subresource::Subresource,
};

/// What can be done to every kind.
const VERBS: [&str; 8] =
    ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];

/// All discovery documents, made once for the kinds there are.
pub(crate) struct Discovery {
    pub(crate) registry: Arc<Registry>,
    pub(crate) core_versions: Bytes,
    pub(crate) core_aggregated: Bytes,
    pub(crate) groups: Bytes,
    pub(crate) groups_aggregated: Bytes,
    group: BTreeMap<String, Bytes>,
    resources: BTreeMap<(String, String), Bytes>,
}

impl Discovery {
    pub(crate) fn new(registry: Arc<Registry>) -> Self {
        let all = All::of(&registry);
        let named: Vec<&str> = all.groups().filter(|name| !name.is_empty()).collect();
        let groups: Vec<Value> = named.iter().map(|name| all.group_document(name)).collect();
        let aggregated = |names: &[&str]| {
            let items: Vec<Value> = names.iter().map(|name| all.aggregated_group(name)).collect();
            text(&json!({
                "kind": "APIGroupDiscoveryList",
                "apiVersion": "apidiscovery.k8s.io/v2",
                "metadata": {},
                "items": items,
            }))
        };
        Self {
            core_versions: text(&json!({
                "kind": "APIVersions",
                "versions": ["v1"],
                "serverAddressByClientCIDRs": [],
            })),
            core_aggregated: aggregated(&[""]),
            groups: text(
                &json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups.clone()}),
            ),
            groups_aggregated: aggregated(&named),
            group: named
                .iter()
                .zip(&groups)
                .map(|(name, document)| ((*name).to_owned(), text(document)))
                .collect(),
            resources: all
                .versions
                .iter()
                .map(|(group, version)| {
                    let document = text(&all.resource_list(group, version));
                    (((*group).to_owned(), (*version).to_owned()), document)
                })
                .collect(),
            registry,
        }
    }

    /// The `APIGroup` of a group.
    pub(crate) fn group(&self, group: &str) -> Option<Bytes> {
        self.group.get(group).cloned()
    }

    /// The `APIResourceList` of a version of a group.
    pub(crate) fn resources(&self, group: &str, version: &str) -> Option<Bytes> {
        self.resources.get(&(group.to_owned(), version.to_owned())).cloned()
    }
}

fn text(document: &Value) -> Bytes {
    document.to_string().into()
}

/// The kinds there are and their groups and versions, each once: in the order of the registry,
/// then those of reviews.
struct All<'r> {
    registry: &'r Registry,
    versions: Vec<(&'r str, &'r str)>,
}

impl<'r> All<'r> {
    fn of(registry: &'r Registry) -> Self {
        let mut versions: Vec<(&str, &str)> = Vec::new();
        let kinds = registry.all().iter().map(|kind| (&*kind.group, &*kind.version));
        for one in kinds.chain(REVIEWS.iter().map(|review| (review.group, VERSION))) {
            if !versions.contains(&one) {
                versions.push(one);
            }
        }
        Self { registry, versions }
    }

    fn groups(&self) -> impl Iterator<Item = &'r str> {
        let mut seen = BTreeSet::new();
        self.versions.iter().map(|(group, _)| *group).filter(move |group| seen.insert(*group))
    }

    fn kinds_of(&self, group: &str, version: &str) -> impl Iterator<Item = &'r Kind> {
        let all = self.registry.all().iter().map(|kind| &**kind);
        all.filter(move |kind| kind.group == group && kind.version == version)
    }

    fn versions_of(&self, group: &str) -> Vec<&'r str> {
        let all = self.versions.iter();
        all.filter(|(name, _)| *name == group).map(|(_, version)| *version).collect()
    }

    fn group_document(&self, group: &str) -> Value {
        let version = |version: &&str| json!({"groupVersion": format!("{group}/{version}"), "version": version});
        let versions: Vec<Value> = self.versions_of(group).iter().map(version).collect();
        json!({
            "kind": "APIGroup",
            "apiVersion": "v1",
            "name": group,
            "preferredVersion": versions.first(),
            "versions": versions,
        })
    }

    fn resource_list(&self, group: &str, version: &str) -> Value {
        let mut resources = Vec::new();
        for kind in self.kinds_of(group, version) {
            resources.push(json!({
                "name": kind.plural,
                "singularName": kind.singular,
                "namespaced": kind.scope == Scope::Namespaced,
                "kind": kind.kind,
                "verbs": VERBS,
                "shortNames": kind.short_names,
                "categories": kind.categories,
            }));
            resources.extend(Subresource::all_of(kind).map(|part| subresource(kind, part)));
        }
        resources.extend(Review::of_group(group, version).map(|review| {
            json!({
                "name": review.plural,
                "singularName": review.singular,
                "namespaced": review.namespaced,
                "kind": review.kind,
                "verbs": ["create"],
            })
        }));
        let group_version =
            if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
        json!({
            "kind": "APIResourceList",
            "apiVersion": "v1",
            "groupVersion": group_version,
            "resources": resources,
        })
    }

    fn aggregated_group(&self, group: &str) -> Value {
        let version = |version: &&str| {
            let kinds = self.kinds_of(group, version).map(aggregated_resource);
            let reviews = Review::of_group(group, version).map(aggregated_review);
            let resources: Vec<Value> = kinds.chain(reviews).collect();
            json!({"version": version, "freshness": "Current", "resources": resources})
        };
        let versions: Vec<Value> = self.versions_of(group).iter().map(version).collect();
        let metadata = if group.is_empty() { json!({}) } else { json!({"name": group}) };
        json!({"metadata": metadata, "versions": versions})
    }
}

fn subresource(kind: &Kind, part: Subresource) -> Value {
    let (group, version, name) = part.response_kind(kind);
    let mut resource = json!({
        "name": format!("{}/{}", kind.plural, part.name()),
        "singularName": "",
        "namespaced": kind.scope == Scope::Namespaced,
        "kind": name,
        "verbs": part.verbs(),
    });
    if group != kind.group {
        resource["group"] = json!(group);
        resource["version"] = json!(version);
    }
    resource
}

fn aggregated_review(review: &Review) -> Value {
    json!({
        "resource": review.plural,
        "responseKind": {"group": review.group, "version": VERSION, "kind": review.kind},
        "scope": if review.namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": review.singular,
        "verbs": ["create"],
    })
}

fn aggregated_resource(kind: &Kind) -> Value {
    let response_kind = |group: &str, version: &str, kind: &str| json!({"group": group, "version": version, "kind": kind});
    let parts = Subresource::all_of(kind).map(|part| {
        let (group, version, name) = part.response_kind(kind);
        json!({
            "subresource": part.name(),
            "responseKind": response_kind(group, version, name),
            "verbs": part.verbs(),
        })
    });
    let scope = match kind.scope {
        Scope::Namespaced => "Namespaced",
        Scope::Cluster => "Cluster",
    };
    json!({
        "resource": kind.plural,
        "responseKind": response_kind(&kind.group, &kind.version, &kind.kind),
        "scope": scope,
        "singularResource": kind.singular,
        "shortNames": kind.short_names,
        "categories": kind.categories,
        "verbs": VERBS,
        "subresources": parts.collect::<Vec<_>>(),
    })
}
