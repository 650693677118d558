//! The paths of a document: the operations on each kind.

use serde_json::{Map, Value, json};

use super::schemas::{gvk, list_name, reference};
use super::{Dialect, group_version};
use crate::kind::Kind;
use crate::schema::{DELETE_OPTIONS, SCALE, STATUS};

/// Patch formats, as content types; the last is for kinds with lists that merge by key.
const PATCHES: [&str; 4] = [
    "application/apply-patch+yaml",
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
];

/// Formats of whole objects, as content types.
const OBJECTS: [&str; 2] = ["application/json", "application/yaml"];

/// Query parameters of every write.
const WRITE_PARAMETERS: [(&str, &str); 4] = [
    ("dryRun", "All: go through every step but the write."),
    ("fieldManager", "Who makes the change."),
    ("fieldValidation", "What to do with unknown and duplicate fields: Ignore, Warn or Strict."),
    ("pretty", "Whether to indent the answer."),
];

/// Query parameters of patches.
const PATCH_PARAMETERS: [(&str, &str); 5] = [
    ("dryRun", "All: go through every step but the write."),
    ("fieldManager", "Who makes the change; an apply must say it."),
    ("fieldValidation", "What to do with unknown and duplicate fields: Ignore, Warn or Strict."),
    ("force", "Whether an apply takes fields from other managers."),
    ("pretty", "Whether to indent the answer."),
];

/// Query parameters of lists and watches.
const LIST_PARAMETERS: [(&str, &str); 6] = [
    ("labelSelector", "Only objects with these labels."),
    ("fieldSelector", "Only objects with these field values."),
    ("limit", "At most so many objects; the answer says how to go on."),
    ("continue", "Where the page before ended."),
    ("resourceVersion", "From which version on."),
    ("watch", "Whether to stream changes instead."),
];

/// The paths of some kinds.
pub(super) fn of(kinds: &[&Kind], dialect: Dialect) -> Map<String, Value> {
    let mut paths = Map::new();
    for kind in kinds {
        let write = Writer { kind, dialect };
        let root = format!("/{}", group_version(kind));
        let collection = if kind.is_namespaced() {
            format!("{root}/namespaces/{{namespace}}/{}", kind.plural)
        } else {
            format!("{root}/{}", kind.plural)
        };
        if kind.is_namespaced() {
            paths.insert(format!("{root}/{}", kind.plural), json!({"get": write.list()}));
        }
        let item = format!("{collection}/{{name}}");
        paths.insert(collection, write.collection());
        paths.insert(item.clone(), write.item());
        let schema = kind.schema_name();
        if kind.status {
            paths.insert(format!("{item}/status"), write.subresource(&schema));
        }
        if kind.strategy().has_ephemeral_containers() {
            paths.insert(format!("{item}/ephemeralcontainers"), write.subresource(&schema));
        }
        if kind.strategy().can_be_resized() {
            paths.insert(format!("{item}/resize"), write.subresource(&schema));
        }
        if kind.scale.is_some() {
            paths.insert(format!("{item}/scale"), write.subresource(SCALE));
        }
    }
    paths
}

struct Writer<'k> {
    kind: &'k Kind,
    dialect: Dialect,
}

impl Writer<'_> {
    fn collection(&self) -> Value {
        let schema = self.kind.schema_name();
        json!({
            "parameters": self.path_parameters(false),
            "get": self.list(),
            "post": self.operation("post", &schema, Some((&OBJECTS, &schema)), &WRITE_PARAMETERS),
            "delete": self.operation("deletecollection", STATUS, Some((&OBJECTS, DELETE_OPTIONS)), &LIST_PARAMETERS),
        })
    }

    fn list(&self) -> Value {
        self.operation("list", &list_name(self.kind), None, &LIST_PARAMETERS)
    }

    fn item(&self) -> Value {
        let schema = self.kind.schema_name();
        let mut item = self.subresource(&schema);
        let answer = if self.kind.returns_deleted { &schema } else { STATUS };
        item["delete"] =
            self.operation("delete", answer, Some((&OBJECTS, DELETE_OPTIONS)), &WRITE_PARAMETERS);
        item
    }

    fn subresource(&self, schema: &str) -> Value {
        json!({
            "parameters": self.path_parameters(true),
            "get": self.operation("get", schema, None, &[]),
            "put": self.operation("put", schema, Some((&OBJECTS, schema)), &WRITE_PARAMETERS),
            "patch": self.operation("patch", schema, Some((self.patches(), "")), &PATCH_PARAMETERS),
        })
    }

    /// The patch formats: clients send a strategic merge patch where it is among them, and custom
    /// kinds have nothing to merge by.
    fn patches(&self) -> &'static [&'static str] {
        if self.kind.is_custom() {
            PATCHES.split_last().map_or(&[], |(_, most)| most)
        } else {
            &PATCHES
        }
    }

    fn path_parameters(&self, named: bool) -> Vec<Value> {
        let name = named.then_some("name");
        let namespace = self.kind.is_namespaced().then_some("namespace");
        let names = name.into_iter().chain(namespace);
        names.map(|name| self.parameter("path", name, "", true)).collect()
    }

    fn parameter(&self, place: &str, name: &str, description: &str, required: bool) -> Value {
        let mut parameter =
            json!({"name": name, "in": place, "description": description, "required": required});
        match self.dialect {
            Dialect::V2 => parameter["type"] = json!("string"),
            Dialect::V3 => parameter["schema"] = json!({"type": "string"}),
        }
        parameter
    }

    fn operation(
        &self,
        action: &str,
        answer: &str,
        body: Option<(&[&str], &str)>,
        query: &[(&str, &str)],
    ) -> Value {
        let mut parameters: Vec<Value> = query
            .iter()
            .map(|(name, description)| self.parameter("query", name, description, false))
            .collect();
        let mut operation = json!({
            "tags": [group_version(self.kind)],
            "x-kubernetes-action": action,
            "x-kubernetes-group-version-kind": gvk(self.kind, ""),
            "responses": {"200": self.answer(answer)},
        });
        if let Some((formats, schema)) = body {
            // A patch has no schema but "some object".
            let schema = match schema {
                "" => json!({"type": "object"}),
                name => reference(name, self.dialect),
            };
            match self.dialect {
                Dialect::V2 => {
                    operation["consumes"] = json!(formats);
                    parameters.push(
                        json!({"name": "body", "in": "body", "required": true, "schema": schema}),
                    );
                }
                Dialect::V3 => {
                    operation["requestBody"] = json!({"content": content(formats, &schema)});
                }
            }
        }
        operation["parameters"] = Value::Array(parameters);
        operation
    }

    fn answer(&self, schema: &str) -> Value {
        let schema = reference(schema, self.dialect);
        match self.dialect {
            Dialect::V2 => json!({"description": "OK", "schema": schema}),
            Dialect::V3 => json!({"description": "OK", "content": content(&OBJECTS, &schema)}),
        }
    }
}

fn content(formats: &[&str], schema: &Value) -> Map<String, Value> {
    formats.iter().map(|format| ((*format).to_owned(), json!({"schema": schema}))).collect()
}
