//! Custom resource definitions: their schemas, and the paths of their columns.

use serde_json::{Value, json};
use skein_objects::{Kind, Registry, custom_kinds, openapi, table};

use crate::{input, objects};

/// The definition of a kind with this schema and a column with this path, accepted.
fn defined(schema: &Value, path: &str) -> Option<Kind> {
    let names = json!({"kind": "Thing", "listKind": "ThingList", "plural": "things",
        "singular": "thing"});
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "things.example.com"},
        "spec": {"group": "example.com", "scope": "Namespaced", "names": names, "versions": [{
            "name": "v1", "served": true, "storage": true,
            "schema": {"openAPIV3Schema": schema},
            "subresources": {"status": {}},
            "additionalPrinterColumns": [{"name": "C", "type": "string", "jsonPath": path}],
        }]},
    });
    let mut definition = objects::create(input::kind_of(&definition), definition)?;
    definition["status"]["acceptedNames"] = names;
    definition["status"]["conditions"] = json!([{"type": "Established", "status": "True"}]);
    let kind = custom_kinds(&definition, 1).pop();
    Some(kind.expect("a definition that was admitted makes a kind"))
}

/// A schema, an object and another one in a line each.
pub(crate) fn definition(bytes: &[u8]) {
    let [schema, old, new] = input::lines(bytes);
    let Some(schema) = input::json(schema) else { return };
    let Some(kind) = defined(&schema, ".spec") else { return };
    let document = openapi::v3(&Registry::with(vec![kind.clone()]), "apis/example.com/v1");
    let document: Option<Value> = document.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    assert!(document.is_some(), "the schema is not published");
    let Some(old) = input::json(old).and_then(|old| objects::create(&kind, old)) else { return };
    let Some(new) = input::json(new) else { return };
    objects::update(&kind, &old, new, objects::MANAGER);
}

/// A path and an object in a line each.
pub(crate) fn json_path(bytes: &[u8]) {
    let [path, object] = input::lines(bytes);
    let (Some(path), Some(object)) = (input::text(path), input::json(object)) else { return };
    let schema = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    let Some(kind) = defined(&schema, path) else { return };
    let columns = table::columns(&kind);
    assert_eq!(columns.len(), 2, "a path that was admitted makes a column");
    if object.is_object() {
        assert_eq!(table::row(&kind, object, objects::now()).len(), 2);
    }
}
