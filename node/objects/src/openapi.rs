//! The OpenAPI documents: what `kubectl` asks before it explains, validates or patches.
//!
//! Made from the schemas of the k8s-openapi types and the table of kinds, each document once,
//! when somebody first asks for it. Paths list what clients look for (the operations of each
//! kind, their patch formats, `fieldValidation`), not every query parameter.

mod paths;
mod protobuf;
mod schemas;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hasher};
use std::sync::LazyLock;

use bytes::Bytes;
use serde_json::{Value, json};

use crate::kind::Kind;
use crate::kinds::KINDS;
use crate::registry::{Registry, registry};

/// The dialect of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dialect {
    V2,
    V3,
}

/// The documents of this binary's kinds.
static DOCUMENTS: LazyLock<BTreeMap<String, Bytes>> = LazyLock::new(|| {
    let names: BTreeSet<String> = KINDS.iter().map(|kind| group_version(kind)).collect();
    let document = |name: &String| text(&v3_document(registry(), name));
    names.into_iter().map(|name| (name.clone(), document(&name))).collect()
});

/// The index at `/openapi/v3`.
pub fn v3_index(registry: &Registry) -> Bytes {
    let entry = |(name, document): (String, Bytes)| {
        let mut hasher = DefaultHasher::new();
        hasher.write(&document);
        let url = format!("/openapi/v3/{name}?hash={:016X}", hasher.finish());
        (name, json!({"serverRelativeURL": url}))
    };
    let custom: BTreeSet<String> = custom(registry).map(group_version).collect();
    let custom = custom.into_iter().filter_map(|name| Some((name.clone(), v3(registry, &name)?)));
    let known = DOCUMENTS.iter().map(|(name, document)| (name.clone(), document.clone()));
    let paths: serde_json::Map<String, Value> = known.chain(custom).map(entry).collect();
    text(&json!({"paths": paths}))
}

/// The document at `/openapi/v3/NAME`, where `NAME` is `api/v1` or `apis/GROUP/VERSION`.
pub fn v3(registry: &Registry, name: &str) -> Option<Bytes> {
    if let Some(document) = DOCUMENTS.get(name) {
        return Some(document.clone());
    }
    let is_served = custom(registry).any(|kind| group_version(kind) == name);
    is_served.then(|| text(&v3_document(registry, name)))
}

/// The one document at `/openapi/v2`, in JSON.
pub fn v2(registry: &Registry) -> Bytes {
    registry.openapi_v2.get_or_init(|| text(&v2_document(registry))).clone()
}

/// The one document at `/openapi/v2`, as the protobuf message `openapi.v2.Document`.
pub fn v2_protobuf(registry: &Registry) -> Bytes {
    let make = || Bytes::from(protobuf::document(&v2_document(registry)));
    registry.openapi_v2_protobuf.get_or_init(make).clone()
}

/// The kinds whose groups are not of this binary.
fn custom(registry: &Registry) -> impl Iterator<Item = &Kind> {
    registry.all().iter().map(|kind| &**kind).filter(|kind| kind.is_custom())
}

/// `api/v1` or `apis/apps/v1`.
fn group_version(kind: &Kind) -> String {
    let prefix = if kind.group.is_empty() { "api" } else { "apis" };
    format!("{prefix}/{}", kind.api_version())
}

fn v2_document(registry: &Registry) -> Value {
    let kinds: Vec<&Kind> = registry.all().iter().map(|kind| &**kind).collect();
    json!({
        "swagger": "2.0",
        "info": info(),
        "paths": paths::of(&kinds, Dialect::V2),
        "definitions": schemas::of(&kinds, Dialect::V2),
    })
}

fn v3_document(registry: &Registry, name: &str) -> Value {
    let all = registry.all().iter().map(|kind| &**kind);
    let kinds: Vec<&Kind> = all.filter(|kind| group_version(kind) == name).collect();
    json!({
        "openapi": "3.0.0",
        "info": info(),
        "paths": paths::of(&kinds, Dialect::V3),
        "components": {"schemas": schemas::of(&kinds, Dialect::V3)},
    })
}

fn info() -> Value {
    json!({"title": "Skein", "version": concat!("v", env!("CARGO_PKG_VERSION"))})
}

fn text(document: &Value) -> Bytes {
    Bytes::from(document.to_string())
}
