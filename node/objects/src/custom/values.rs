//! What a schema does to values: it prunes what it does not know and completes what is left out.

use serde_json::{Map, Value, json};

use super::OUTLINE;
use super::schema::{Additional, Schema, Type};

/// Takes out of an object what its schema does not know, and notes the fields.
pub(super) fn prune(schema: &Schema, object: &mut Value, noted: &mut Vec<String>) {
    prune_at(schema, object, true, &mut String::new(), noted);
}

fn prune_at(
    schema: &Schema,
    value: &mut Value,
    is_object: bool,
    path: &mut String,
    noted: &mut Vec<String>,
) {
    match value {
        Value::Object(members) => prune_map(schema, members, is_object, path, noted),
        Value::Array(items) => {
            let Some(of) = &schema.items else { return };
            for (index, item) in items.iter_mut().enumerate() {
                within(path, &format!("[{index}]"), |path| {
                    prune_at(of, item, of.embedded, path, noted);
                });
            }
        }
        _ => {}
    }
}

fn prune_map(
    schema: &Schema,
    members: &mut Map<String, Value>,
    is_object: bool,
    path: &mut String,
    noted: &mut Vec<String>,
) {
    members.retain(|name, member| {
        if is_object && OUTLINE.contains(&name.as_str()) {
            return true;
        }
        let step = if path.is_empty() { name.clone() } else { format!(".{name}") };
        within(path, &step, |path| {
            let below = match (schema.properties.get(name), &schema.additional) {
                (Some(property), _) => property,
                (None, Additional::Of(of)) => of,
                (None, Additional::Any) => return true,
                (None, Additional::Pruned) => {
                    // What is no map has no members to prune: its type is wrong, which is said
                    // elsewhere.
                    let stays = schema.preserves || schema.of != Some(Type::Object);
                    if !stays {
                        noted.push(format!("unknown field {path:?}"));
                    }
                    return stays;
                }
            };
            prune_at(below, member, below.embedded, path, noted);
            true
        })
    });
}

/// Runs something with a path that is one step longer.
fn within<T>(path: &mut String, step: &str, run: impl FnOnce(&mut String) -> T) -> T {
    let length = path.len();
    path.push_str(step);
    let result = run(path);
    path.truncate(length);
    result
}

/// Drops nulls where they mean nothing and fills in defaults.
pub(super) fn complete(schema: &Schema, value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|name, member| !(member.is_null() && means_nothing(schema, name)));
            for (name, property) in &schema.properties {
                if let Some(default) =
                    property.default.as_ref().filter(|_| !members.contains_key(name))
                {
                    members.insert(name.clone(), default.clone());
                }
            }
            for (name, member) in members {
                match (schema.properties.get(name), &schema.additional) {
                    (Some(property), _) => complete(property, member),
                    (None, Additional::Of(of)) => complete(of, member),
                    _ => {}
                }
            }
        }
        Value::Array(items) => {
            let Some(of) = &schema.items else { return };
            for item in items {
                if item.is_null()
                    && !of.nullable
                    && let Some(default) = &of.default
                {
                    *item = default.clone();
                }
                complete(of, item);
            }
        }
        _ => {}
    }
}

/// Whether a null member is as none: what a schema does not know is left as it is.
fn means_nothing(schema: &Schema, name: &str) -> bool {
    match (schema.properties.get(name), &schema.additional) {
        (Some(property), _) => !property.nullable,
        (None, Additional::Of(of)) => !of.nullable,
        _ => false,
    }
}

/// Whether a default is as the schema wants it: nothing in it is pruned.
pub(super) fn unknown_in_default(schema: &Schema, default: &Value) -> Vec<String> {
    let mut noted = Vec::new();
    let mut pruned = json!(default);
    prune_at(schema, &mut pruned, schema.embedded, &mut String::new(), &mut noted);
    noted
}
