//! The schemas of a document: those its kinds reach, in the form Kubernetes publishes.

use std::collections::{BTreeSet, HashMap};

use serde_json::{Map, Value, json};

use super::Dialect;
use crate::apply::{Topology, topology};
use crate::kind::{Kind, Text};
use crate::patch::merge_rule;
use crate::schema::{self, LIST_META, SHARED, TypeRef};

/// Everything the kinds and their operations refer to.
pub(super) fn of(kinds: &[&Kind], dialect: Dialect) -> Map<String, Value> {
    let mut wanted: Vec<String> =
        kinds.iter().map(|kind| kind.schema_name().into_owned()).collect();
    wanted.extend(SHARED.iter().map(|(name, _)| name().into_owned()));
    let mut seen: BTreeSet<String> = wanted.iter().cloned().collect();
    let mut out = Map::new();
    let custom: HashMap<Text, &Kind> = kinds
        .iter()
        .filter(|kind| kind.is_custom())
        .map(|kind| (kind.schema_name(), *kind))
        .collect();
    while let Some(name) = wanted.pop() {
        let published = match custom.get(name.as_str()) {
            Some(kind) => Some(TypeRef::of(kind).schema().clone()),
            None => schema::definitions().get(&name).map(|known| with_merge_keys(&name, known)),
        };
        let Some(mut published) = published else { continue };
        if dialect == Dialect::V2 {
            simplify(&mut published);
        }
        rewrite(&mut published, dialect, &mut |reference| {
            if seen.insert(reference.to_owned()) {
                wanted.push(reference.to_owned());
            }
        });
        out.insert(name, published);
    }
    for kind in kinds {
        name_kind(&mut out, kind);
        out.insert(list_name(kind), list(kind, dialect));
    }
    out
}

/// The OpenAPI name of a kind's list.
pub(super) fn list_name(kind: &Kind) -> String {
    format!("{}List", kind.schema_name())
}

/// A reference in a dialect.
pub(super) fn reference(name: &str, dialect: Dialect) -> Value {
    let prefix = match dialect {
        Dialect::V2 => "#/definitions/",
        Dialect::V3 => "#/components/schemas/",
    };
    json!({"$ref": format!("{prefix}{name}")})
}

/// Says which kind a schema is of. Metadata is not required of a client: the server completes it.
fn name_kind(schemas: &mut Map<String, Value>, kind: &Kind) {
    let Some(schema) = schemas.get_mut(kind.schema_name().as_ref()) else { return };
    schema["x-kubernetes-group-version-kind"] = json!([gvk(kind, "")]);
    if let Some(required) = schema.get_mut("required").and_then(Value::as_array_mut) {
        required.retain(|member| member != "metadata");
        if required.is_empty() {
            crate::lifecycle::remove(schema, "required");
        }
    }
}

/// `{"group", "version", "kind"}` of a kind or, with the suffix `List`, of its list.
pub(super) fn gvk(kind: &Kind, suffix: &str) -> Value {
    json!({
        "group": kind.group,
        "version": kind.version,
        "kind": format!("{}{suffix}", kind.kind),
    })
}

fn list(kind: &Kind, dialect: Dialect) -> Value {
    json!({
        "description": format!("{0}List is a list of {0} objects.", kind.kind),
        "type": "object",
        "required": ["items"],
        "properties": {
            "apiVersion": {"type": "string", "description": "The version of this list's schema."},
            "kind": {"type": "string", "description": "The kind of this list."},
            "metadata": reference(LIST_META, dialect),
            "items": {
                "type": "array",
                "description": "The objects.",
                "items": reference(&kind.schema_name(), dialect),
            },
        },
        "x-kubernetes-group-version-kind": [gvk(kind, "List")],
    })
}

/// A type with what says how patches merge its fields, and which parts have owners of their own.
fn with_merge_keys(type_name: &str, schema: &Value) -> Value {
    let mut schema = schema.clone();
    if let Some(topology) = topology(type_name, "") {
        extend(&mut schema, topology);
    }
    let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) else {
        return schema;
    };
    for (field, property) in properties {
        match topology(type_name, field) {
            Some(topology) => extend(property, topology),
            None if property["type"] == "array" => extend(property, Topology::Atomic),
            None => {}
        }
        let Some(rule) = merge_rule(type_name, field) else { continue };
        property["x-kubernetes-patch-strategy"] = json!(rule.strategy);
        if !rule.key.is_empty() {
            property["x-kubernetes-patch-merge-key"] = json!(rule.key);
        }
    }
    schema
}

fn extend(schema: &mut Value, topology: Topology) {
    for (name, value) in topology.extensions(schema["type"] == "array") {
        schema[name] = value;
    }
}

/// Takes out of a schema what v2 documents have no words for.
fn simplify(schema: &mut Value) {
    let Some(members) = schema.as_object_mut() else { return };
    if members.remove("nullable") == Some(Value::Bool(true)) {
        members.remove("type");
    }
    for name in ["allOf", "anyOf", "not", "oneOf"] {
        members.remove(name);
    }
    let properties = members.get_mut("properties").and_then(Value::as_object_mut);
    properties.into_iter().flat_map(|all| all.values_mut()).for_each(simplify);
    for name in ["items", "additionalProperties"] {
        members.get_mut(name).map(simplify);
    }
}

/// Turns references into the dialect's form and reports what they point to.
fn rewrite(value: &mut Value, dialect: Dialect, found: &mut dyn FnMut(&str)) {
    match value {
        Value::Object(map) => {
            map.values_mut().for_each(|member| rewrite(member, dialect, found));
            rewrite_map(map, dialect, found);
        }
        Value::Array(items) => items.iter_mut().for_each(|item| rewrite(item, dialect, found)),
        _ => {}
    }
}

fn rewrite_map(map: &mut Map<String, Value>, dialect: Dialect, found: &mut dyn FnMut(&str)) {
    if map.get("x-kubernetes-int-or-string") == Some(&Value::Bool(true)) {
        int_or_string(map, dialect);
    }
    let Some(pointer) = map.get("$ref").and_then(Value::as_str) else { return };
    let target = schema::target(pointer).to_owned();
    found(&target);
    let reference = reference(&target, dialect);
    // Members beside a `$ref` are ignored by readers of 3.0 documents, so it moves into `allOf`.
    if dialect == Dialect::V3 && map.len() > 1 {
        map.remove("$ref");
        map.insert("allOf".to_owned(), json!([reference]));
    } else {
        map.insert("$ref".to_owned(), reference["$ref"].clone());
    }
}

fn int_or_string(map: &mut Map<String, Value>, dialect: Dialect) {
    match dialect {
        Dialect::V2 => {
            map.insert("type".to_owned(), json!("string"));
        }
        Dialect::V3 => {
            map.insert("oneOf".to_owned(), json!([{"type": "string"}, {"type": "number"}]));
        }
    }
}
