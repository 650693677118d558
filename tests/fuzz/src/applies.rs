//! Server-side apply: an object in the first line, if there is one already, then the configurations
//! of two managers.

use serde_json::{Value, json};
use skein_objects::{
    Applier, FieldValidation, Kind, MediaType, Part, Reason, StatusError, apply as apply_to,
    apply_new, decode, parse,
};

use crate::{input, objects};

/// What was applied can be applied again and changes nothing; whoever insists meets no conflict.
pub(crate) fn apply(bytes: &[u8]) {
    let [live, first, second] = input::lines(bytes);
    let Ok(config) = parse(first, MediaType::Yaml) else { return };
    let kind = input::kind_of(&config);
    let Some(config) = configuration(kind, first) else { return };
    let live = input::json(live).and_then(|live| objects::create(kind, named(live)?));
    let Some(applied) = applied(kind, live.as_ref(), &config, "first", false).ok().flatten() else {
        return;
    };
    settled(kind, &applied, &config, "first");

    let Some(config) = configuration(kind, second) else { return };
    match self::applied(kind, Some(&applied), &config, "second", true) {
        Err(error) => assert_ne!(error.reason, Reason::Conflict, "{}", error.message),
        Ok(None) => {}
        Ok(Some(applied)) => settled(kind, &applied, &config, "second"),
    }
}

/// A configuration, as the API admits it.
fn configuration(kind: &Kind, line: &[u8]) -> Option<Value> {
    decode(kind, line, MediaType::Yaml, FieldValidation::Strict).ok()?;
    named(parse(line, MediaType::Yaml).ok()?)
}

/// The object under the one name of all of them.
fn named(mut object: Value) -> Option<Value> {
    let members = object.as_object_mut()?;
    let metadata = members.entry("metadata").or_insert_with(|| json!({}));
    if metadata.is_null() {
        *metadata = json!({});
    }
    metadata.as_object_mut()?.insert("name".to_owned(), json!("name"));
    Some(object)
}

/// What a configuration makes of an object; nothing, if that is not valid.
fn applied(
    kind: &Kind,
    live: Option<&Value>,
    config: &Value,
    manager: &str,
    force: bool,
) -> Result<Option<Value>, StatusError> {
    let by = Applier { manager, force, now: objects::now() };
    Ok(match live {
        Some(live) => {
            objects::update(kind, live, apply_to(kind, live, config, Part::Main, &by)?, None)
        }
        None => objects::create_as(kind, apply_new(kind, config, &by)?, None),
    })
}

/// Applying again changes nothing but the notes of an object that has none: who owns what was there
/// before counts from then on.
fn settled(kind: &Kind, object: &Value, config: &Value, manager: &str) {
    let apply = |object: &Value| match applied(kind, Some(object), config, manager, false) {
        Ok(again) => again.expect("what is valid is valid again"),
        Err(error) => panic!("what was applied cannot be applied again: {}", error.message),
    };
    let again = apply(object);
    assert_eq!(without_owners(&again), without_owners(object), "applying again changes it");
    let is_noted = !object["metadata"]["managedFields"].is_null();
    assert!(!is_noted || again == *object, "applying again changes who owns what");
    assert_eq!(apply(&again), again, "applying again and again changes it");
}

fn without_owners(object: &Value) -> Value {
    let mut object = object.clone();
    object["metadata"]["managedFields"] = Value::Null;
    object
}
