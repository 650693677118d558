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

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hasher};
use std::sync::LazyLock;

use bytes::Bytes;
use serde_json::{Value, json};

use crate::kind::Kind;
use crate::kinds::KINDS;

/// The dialect of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dialect {
    V2,
    V3,
}

static DOCUMENTS: LazyLock<BTreeMap<String, Bytes>> = LazyLock::new(|| {
    let names: std::collections::BTreeSet<String> = KINDS.iter().map(group_version).collect();
    names.into_iter().map(|name| (name.clone(), text(&v3_document(&name)))).collect()
});

static INDEX: LazyLock<Bytes> = LazyLock::new(|| {
    let entry = |(name, document): (&String, &Bytes)| {
        let mut hasher = DefaultHasher::new();
        hasher.write(document);
        let url = format!("/openapi/v3/{name}?hash={:016X}", hasher.finish());
        (name.clone(), json!({"serverRelativeURL": url}))
    };
    let paths: serde_json::Map<String, Value> = DOCUMENTS.iter().map(entry).collect();
    text(&json!({"paths": paths}))
});

static V2: LazyLock<Bytes> = LazyLock::new(|| text(&v2_document()));

static V2_PROTOBUF: LazyLock<Bytes> =
    LazyLock::new(|| Bytes::from(protobuf::document(&v2_document())));

/// The index at `/openapi/v3`.
pub fn v3_index() -> Bytes {
    INDEX.clone()
}

/// The document at `/openapi/v3/NAME`, where `NAME` is `api/v1` or `apis/GROUP/VERSION`.
pub fn v3(name: &str) -> Option<Bytes> {
    DOCUMENTS.get(name).cloned()
}

/// The one document at `/openapi/v2`, in JSON.
pub fn v2() -> Bytes {
    V2.clone()
}

/// The one document at `/openapi/v2`, as the protobuf message `openapi.v2.Document`.
pub fn v2_protobuf() -> Bytes {
    V2_PROTOBUF.clone()
}

/// `api/v1` or `apis/apps/v1`.
fn group_version(kind: &Kind) -> String {
    let prefix = if kind.group.is_empty() { "api" } else { "apis" };
    format!("{prefix}/{}", kind.api_version())
}

fn v2_document() -> Value {
    let kinds: Vec<&Kind> = KINDS.iter().collect();
    json!({
        "swagger": "2.0",
        "info": info(),
        "paths": paths::of(&kinds, Dialect::V2),
        "definitions": schemas::of(&kinds, Dialect::V2),
    })
}

fn v3_document(name: &str) -> Value {
    let kinds: Vec<&Kind> = KINDS.iter().filter(|kind| group_version(kind) == name).collect();
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
