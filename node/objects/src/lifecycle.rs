//! What happens to every object when it is made, changed and deleted.
//!
//! Pure: times, ids and random names come in as a [`Stamp`].

mod delete;
mod metadata;
mod resize;
#[cfg(test)]
mod tests;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::apply::track;
use crate::field::{Errors, Field};
use crate::kind::Kind;
use crate::status::StatusError;

pub use delete::{DeletePlan, Propagation, begin_delete, deletion_complete};
pub(crate) use metadata::{validate_annotations, validate_labels};
pub(crate) use resize::retain_sizes;

/// The impure part of a create, made by the caller.
#[derive(Clone, Debug)]
pub struct Stamp {
    /// The time of the request.
    pub now: Timestamp,
    /// The object's identity over its whole life.
    pub uid: uuid::Uuid,
    /// Five random characters for `generateName`.
    pub suffix: String,
}

/// Which part of an object an update may touch; the rest is taken from the old object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Everything but the status.
    Main,
    /// The status alone.
    Status,
    /// The desired count alone.
    Scale,
    /// A pod's ephemeral containers alone.
    EphemeralContainers,
    /// The resources of a pod's containers alone.
    Resize,
}

/// The member of a pod's spec that [`Part::EphemeralContainers`] is about.
pub(crate) const EPHEMERAL_CONTAINERS: &str = "ephemeralContainers";

/// A time as Kubernetes writes it: RFC 3339, whole seconds, UTC.
pub(crate) fn rfc3339(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Makes a new object ready to be stored: name, stamps, defaults, initial status, validation.
///
/// `object` has been through [`crate::decode()`]; `namespace` is the request's, empty for
/// cluster-scoped kinds. `manager` is who makes it; none for the outcome of an
/// [`crate::apply_new`], which has noted it.
///
/// # Errors
/// 400 when the object contradicts the request, 422 when it breaks a rule.
pub fn prepare_create(
    kind: &Kind,
    mut object: Value,
    namespace: &str,
    stamp: &Stamp,
    manager: Option<&str>,
) -> Result<Value, StatusError> {
    admit_shape(&object)?;
    metadata::admit_new(kind, &mut object, namespace, stamp)?;
    if manager.is_some() {
        remove(&mut object["metadata"], "managedFields");
    }
    if kind.status && !kind.strategy().keeps_status_on_create() {
        remove(&mut object, "status");
    }
    kind.strategy().start(&mut object, stamp);
    kind.strategy().default(&mut object);
    kind.strategy().settle(&mut object);
    tidy(kind, &mut object);
    let mut errors = Errors::default();
    let root = Field::root(&object);
    metadata::validate(kind, &root.get("metadata"), &mut errors);
    kind.strategy().validate_create(&root, &mut errors);
    finish(kind, object, errors)
}

/// Makes a changed object ready to be stored.
///
/// `new` has been through [`crate::decode()`] or [`crate::check`]; a `resourceVersion` in it is
/// the caller's precondition and does not matter here. `now` is for rules that stamp a change.
/// `manager` is who makes it, for `metadata.managedFields`; none for the outcome of an
/// [`crate::apply()`], which has noted it.
///
/// # Errors
/// 400 when the names differ, 409 when the uid differs, 422 when a rule is broken.
pub fn prepare_update(
    kind: &Kind,
    mut new: Value,
    old: &Value,
    part: Part,
    now: Timestamp,
    manager: Option<&str>,
) -> Result<Value, StatusError> {
    admit_shape(&new)?;
    admit_shape(old)?;
    metadata::admit_changed(kind, &new, old)?;
    // Only whoever writes the object itself may replace the notes of who owns what.
    if part != Part::Main
        && manager.is_some()
        && let Some(metadata) = metadata_mut(&mut new)
    {
        metadata.remove("managedFields");
    }
    let mut object = match part {
        Part::Main => main_part(kind, new, old),
        Part::Status => status_part(new, old),
        Part::Scale => scale_part(kind, &new, old)?,
        Part::EphemeralContainers => ephemeral_containers_part(kind, new, old)?,
        Part::Resize => resize::part(kind, new, old)?,
    };
    if part != Part::Status {
        kind.strategy().default(&mut object);
        tidy(kind, &mut object);
        if kind.generation && !wanted(kind, &object).eq(wanted(kind, old)) {
            let generation = old["metadata"]["generation"].as_i64().unwrap_or(0) + 1;
            object["metadata"]["generation"] = json!(generation);
        }
    }
    kind.strategy().observe(&mut object, old, part, now);
    if let Some(manager) = manager {
        track(kind, old, &mut object, part, manager, now);
    }
    let mut errors = Errors::default();
    let (root, before) = (Field::root(&object), Field::root(old));
    metadata::validate(kind, &root.get("metadata"), &mut errors);
    metadata::validate_update(&root.get("metadata"), &before.get("metadata"), &mut errors);
    kind.strategy().validate_change(part, &root, &before, &mut errors);
    finish(kind, object, errors)
}

/// Refuses an object whose outline is wrong, which a decode would have done: what follows
/// writes into these members.
fn admit_shape(object: &Value) -> Result<(), StatusError> {
    for member in ["", "/metadata", "/metadata/labels", "/spec", "/status"] {
        if object.pointer(member).is_some_and(|value| !value.is_object() && !value.is_null()) {
            return Err(StatusError::bad_request(format!("{member:?} of the object is not a map")));
        }
    }
    Ok(())
}

/// The members of an object that say what somebody wants: the spec, where it has one.
fn wanted<'o>(kind: &Kind, object: &'o Value) -> impl Iterator<Item = (&'o String, &'o Value)> {
    let has_status = kind.status;
    let members = object.as_object().into_iter().flatten();
    members.filter(move |(name, _)| match name.as_str() {
        "apiVersion" | "kind" | "metadata" => false,
        "status" => !has_status,
        _ => true,
    })
}

/// Drops nulls, apart from those that a custom kind means.
fn tidy(kind: &Kind, object: &mut Value) {
    if kind.is_custom() {
        prune_nulls(&mut object["metadata"]);
    } else {
        prune_nulls(object);
    }
}

fn main_part(kind: &Kind, mut new: Value, old: &Value) -> Value {
    metadata::carry_over(&mut new, old);
    if kind.status {
        match old.get("status") {
            Some(status) => new["status"] = status.clone(),
            None => remove(&mut new, "status"),
        }
    }
    new
}

/// A status may come with annotations, too, as Kubernetes allows; all else stays.
fn status_part(mut new: Value, old: &Value) -> Value {
    let mut object = old.clone();
    for name in ["annotations", "managedFields"] {
        take_over(&mut object["metadata"], &mut new["metadata"], name);
    }
    match new.get_mut("status").map(Value::take) {
        Some(status) if !status.is_null() => object["status"] = status,
        _ => remove(&mut object, "status"),
    }
    object
}

/// Sets a member to what `new` has, where it has it.
fn take_over(object: &mut Value, new: &mut Value, member: &str) {
    let given = new.get_mut(member).map(Value::take);
    if let Some(given) = given.filter(|given| !given.is_null()) {
        object[member] = given;
    }
}

fn ephemeral_containers_part(
    kind: &Kind,
    mut new: Value,
    old: &Value,
) -> Result<Value, StatusError> {
    if !kind.strategy().has_ephemeral_containers() {
        return Err(StatusError::no_resource());
    }
    let mut object = old.clone();
    take_over(&mut object["metadata"], &mut new["metadata"], "managedFields");
    remove(&mut object["spec"], EPHEMERAL_CONTAINERS);
    take_over(&mut object["spec"], &mut new["spec"], EPHEMERAL_CONTAINERS);
    Ok(object)
}

fn scale_part(kind: &Kind, new: &Value, old: &Value) -> Result<Value, StatusError> {
    let Some(paths) = &kind.scale else {
        return Err(StatusError::no_resource());
    };
    let mut object = old.clone();
    if let Some(replicas) = new.pointer(&paths.spec_replicas) {
        set_at(&mut object, &paths.spec_replicas, replicas.clone())?;
    }
    Ok(object)
}

/// Sets what a JSON pointer of member names leads to; the way to it is made where it is missing.
///
/// # Errors
/// 400 when something that is no map is in the way, as a custom kind may have it.
pub fn set_at(object: &mut Value, pointer: &str, value: Value) -> Result<(), StatusError> {
    let mut place = object;
    for step in pointer.split('/').skip(1) {
        if !(place.is_object() || place.is_null()) {
            return Err(StatusError::bad_request(format!(
                "the object has no place for {pointer}: what is before {step:?} is not a map"
            )));
        }
        place = &mut place[step];
    }
    *place = value;
    Ok(())
}

fn finish(kind: &Kind, mut object: Value, errors: Errors) -> Result<Value, StatusError> {
    // Of an object that nobody owns anything of nothing is noted, as in Kubernetes.
    let metadata = metadata_mut(&mut object);
    if let Some(metadata) = metadata.filter(|all| all.get("managedFields") == Some(&json!([]))) {
        metadata.remove("managedFields");
    }
    let errors = errors.into_vec();
    if errors.is_empty() {
        return Ok(object);
    }
    let name = object["metadata"]["name"].as_str().unwrap_or("");
    Err(StatusError::invalid(kind, name, errors))
}

pub(crate) fn remove(object: &mut Value, member: &str) {
    if let Some(map) = object.as_object_mut() {
        map.remove(member);
    }
}

/// Drops members that are null, which indexing by a missing name leaves behind.
pub(crate) fn prune_nulls(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, member| !member.is_null());
            map.values_mut().for_each(prune_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(prune_nulls),
        _ => {}
    }
}

/// The metadata as a map; objects from a decode always have one.
fn metadata_mut(object: &mut Value) -> Option<&mut Map<String, Value>> {
    object.get_mut("metadata").and_then(Value::as_object_mut)
}
