//! What must hold of an object of whichever kind from its arrival to its row in a table.

use jiff::Timestamp;
use serde_json::Value;
use skein_objects::{
    FieldValidation, Kind, Part, Stamp, check, prepare_create, prepare_update, table, warnings,
};

/// Who writes.
pub(crate) const MANAGER: Option<&str> = Some("fuzz");

/// The parts of an object that can be written apart.
const PARTS: [Part; 5] =
    [Part::Main, Part::Status, Part::Scale, Part::EphemeralContainers, Part::Resize];

/// The time of every request.
pub(crate) fn now() -> Timestamp {
    Timestamp::UNIX_EPOCH
}

/// Makes an object as a request would; nothing, if it is refused.
///
/// What is stored is of its type, and storing it again changes nothing.
pub(crate) fn create(kind: &Kind, value: Value) -> Option<Value> {
    create_as(kind, value, MANAGER)
}

/// [`create`], of the outcome of an apply if there is no manager.
pub(crate) fn create_as(kind: &Kind, value: Value, manager: Option<&str>) -> Option<Value> {
    let checked = check(kind, value, FieldValidation::Ignore).ok()?.object;
    reads_back(kind, &checked);
    let namespace = if kind.is_namespaced() { "default" } else { "" };
    let stamp = Stamp { now: now(), uid: uuid::Uuid::nil(), suffix: "abcde".to_owned() };
    warnings(kind, &checked);
    let object = prepare_create(kind, checked, namespace, &stamp, manager).ok()?;
    holds(kind, &object);
    Some(object)
}

/// Changes every part of an object as requests would, and gives what a change of the main part
/// makes; nothing, if that is refused.
pub(crate) fn update(kind: &Kind, old: &Value, new: Value, manager: Option<&str>) -> Option<Value> {
    let checked = check(kind, new, FieldValidation::Ignore).ok()?.object;
    reads_back(kind, &checked);
    warnings(kind, &checked);
    let mut parts = PARTS.map(|part| {
        let updated = prepare_update(kind, checked.clone(), old, part, now(), manager).ok()?;
        holds(kind, &updated);
        Some(updated)
    });
    parts[0].take()
}

/// What must hold of an object that is stored.
fn holds(kind: &Kind, object: &Value) {
    let again = check(kind, object.clone(), FieldValidation::Strict);
    let again = again.expect("what is stored is read").object;
    let again = prepare_update(kind, again, object, Part::Main, now(), MANAGER);
    let again = again.expect("an object may be written as it is");
    assert_eq!(&again, object, "writing an object as it is changes it");
    let stored = kind.to_stored(object.clone());
    assert_eq!(&kind.to_served(stored.clone()), object, "an object is stored as something else");
    assert_eq!(table::row(kind, stored, now()).len(), table::columns(kind).len());
}

/// What was written is read as the same, and nothing in it is unknown.
fn reads_back(kind: &Kind, object: &Value) {
    let again = check(kind, object.clone(), FieldValidation::Strict);
    let again = again.expect("what was written is read").object;
    assert_eq!(&again, object, "what was written is read as something else");
}
