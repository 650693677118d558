//! Server-side apply, and who owns which fields of an object.
//!
//! An applied configuration says what its manager wants and no more: fields that others own are a
//! conflict, fields the manager no longer mentions go, all else stays. Owners are noted in
//! `metadata.managedFields` from an object's first apply on, as in Kubernetes before 1.18: objects
//! that nobody applies do not pay for it. What was there before then belongs to
//! `before-first-apply`, or, where `kubectl apply` of old has written down what it applied, to
//! `kubectl`.

mod field_set;
mod managers;
#[cfg(test)]
mod tests;
mod topology;
mod walk;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::kind::Kind;
use crate::lifecycle::{EPHEMERAL_CONTAINERS, Part, prune_nulls, remove, retain_sizes};
use crate::status::{Cause, StatusError};
use field_set::FieldSet;
use managers::{Manager, Managers, Operation};
pub(crate) use topology::{Topology, topology};
use walk::Place;

/// Who owns what was there before anybody applied.
const BEFORE: &str = "before-first-apply";

/// The name under which `kubectl` applies on the server.
const KUBECTL: &str = "kubectl";

/// Where `kubectl apply` of old wrote down what it applied.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// What of the metadata nobody owns: it says which object it is, or is the server's.
const UNOWNED: [&str; 9] = [
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "generation",
    "managedFields",
    "name",
    "namespace",
    "resourceVersion",
    "uid",
];

/// Who applies, and how.
#[derive(Clone, Copy, Debug)]
pub struct Applier<'a> {
    /// The field manager.
    pub manager: &'a str,
    /// Whether it takes what it wants from others.
    pub force: bool,
    /// The time of the request.
    pub now: Timestamp,
}

/// The object that a configuration makes where there is none yet, with its manager noted.
///
/// # Errors
/// 400 when the configuration has `managedFields` or two items of one key.
pub fn apply_new(kind: &Kind, config: &Value, by: &Applier<'_>) -> Result<Value, StatusError> {
    let config = admitted(kind, config, Part::Main)?;
    let mut managers = Managers::default();
    managers.set(applier(kind, Part::Main, by, owned_fields(kind, &config)));
    let mut object = config;
    object["metadata"]["managedFields"] = managers.write(&Managers::default(), by.now);
    Ok(object)
}

/// The object that a configuration makes of the one there is, with its managers noted; unchecked
/// like the outcome of any patch.
///
/// # Errors
/// 400 when the configuration has `managedFields` or two items of one key; 409 when it wants
/// another value for a field that somebody else owns, unless by force.
pub fn apply(
    kind: &Kind,
    live: &Value,
    config: &Value,
    part: Part,
    by: &Applier<'_>,
) -> Result<Value, StatusError> {
    let config = admitted(kind, config, part)?;
    let place = Place::of(kind);
    let noted = Managers::read(&live["metadata"]["managedFields"]).filter(|all| !all.0.is_empty());
    let before = noted.unwrap_or_else(|| first_managers(kind, live));
    let mut managers = before.clone();
    let own = applier(kind, part, by, owned_fields(kind, &config));
    let former = managers.find(&own).map(|manager| manager.fields.clone()).unwrap_or_default();
    managers.set(own.clone());

    let merged = walk::merge(place, live, &config);
    let mut owned = managers.owned();
    owned.unite(walk::fields(place, &config));
    let mut object = walk::prune(place, &merged, &former, &owned);
    let difference = walk::compare(place, live, &object);
    let conflicts: Vec<(Manager, FieldSet)> = managers
        .others_mut(&own)
        .map(|other| (other.clone(), other.fields.common(&difference.changed)))
        .filter(|(_, fields)| !fields.is_empty())
        .collect();
    if !by.force && !conflicts.is_empty() {
        return Err(conflict(kind, live, &conflicts));
    }
    for other in managers.others_mut(&own) {
        other.fields.subtract(&difference.changed);
        other.fields.subtract(&difference.gone);
    }
    object["metadata"]["managedFields"] = managers.write(&before, by.now);
    if part == Part::Main && by.manager == KUBECTL {
        note_last_applied(&mut object, &config);
    }
    Ok(object)
}

/// Notes what a write other than an apply has changed, where owners are noted at all. A writer may
/// replace the notes themselves, and end them with an empty list.
pub(crate) fn track(
    kind: &Kind,
    old: &Value,
    new: &mut Value,
    part: Part,
    manager: &str,
    now: Timestamp,
) {
    let noted = &old["metadata"]["managedFields"];
    let given = &new["metadata"]["managedFields"];
    if noted.is_null() && given.is_null() {
        return;
    }
    let is_end = given.as_array().is_some_and(|all| all.iter().all(|one| *one == json!({})));
    let before = Managers::read(given).or_else(|| Managers::read(noted));
    let Some(before) = before.filter(|all| !is_end && !all.0.is_empty()) else {
        remove(&mut new["metadata"], "managedFields");
        return;
    };
    let mut difference = walk::compare(Place::of(kind), old, new);
    disown(&mut difference.changed);
    let mut managers = before.clone();
    let mut own = writer(kind, part, manager, Operation::Update);
    own.fields = managers.find(&own).map(|known| known.fields.clone()).unwrap_or_default();
    for other in managers.others_mut(&own) {
        other.fields.subtract(&difference.changed);
        other.fields.subtract(&difference.gone);
    }
    own.fields.subtract(&difference.gone);
    own.fields.unite(difference.changed);
    managers.set(own);
    new["metadata"]["managedFields"] = managers.write(&before, now);
}

fn writer(kind: &Kind, part: Part, name: &str, operation: Operation) -> Manager {
    let subresource = match part {
        Part::Main => "",
        Part::Status => "status",
        Part::Scale => "scale",
        Part::EphemeralContainers => "ephemeralcontainers",
        Part::Resize => "resize",
    };
    Manager {
        name: name.to_owned(),
        operation,
        api_version: kind.api_version(),
        time: String::new(),
        subresource: subresource.to_owned(),
        fields: FieldSet::default(),
    }
}

fn applier(kind: &Kind, part: Part, by: &Applier<'_>, fields: FieldSet) -> Manager {
    Manager { fields, ..writer(kind, part, by.manager, Operation::Apply) }
}

/// The configuration as it counts: without nulls and, for a part alone, without the rest.
fn admitted(kind: &Kind, config: &Value, part: Part) -> Result<Value, StatusError> {
    let mut config = config.clone();
    if !config["metadata"]["managedFields"].is_null() {
        return Err(StatusError::bad_request("metadata.managedFields must be nil"));
    }
    prune_nulls(&mut config);
    if let Some(found) = walk::duplicate(Place::of(kind), &config) {
        return Err(StatusError::bad_request(format!(
            "failed to create typed patch object ({}): {found}: duplicate entries for one key",
            kind.kind
        )));
    }
    if let Some(members) = config.as_object_mut() {
        members.retain(|name, _| match part {
            Part::Status => matches!(name.as_str(), "apiVersion" | "kind" | "metadata" | "status"),
            Part::EphemeralContainers | Part::Resize => {
                matches!(name.as_str(), "apiVersion" | "kind" | "metadata" | "spec")
            }
            Part::Main | Part::Scale => !(kind.status && name == "status"),
        });
    }
    if part == Part::EphemeralContainers
        && let Some(spec) = config.get_mut("spec").and_then(Value::as_object_mut)
    {
        spec.retain(|name, _| name == EPHEMERAL_CONTAINERS);
    }
    if part == Part::Resize {
        retain_sizes(&mut config);
    }
    if let Some(metadata) = config.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("creationTimestamp");
        if matches!(part, Part::Status | Part::EphemeralContainers | Part::Resize) {
            metadata.retain(|name, _| UNOWNED.contains(&name.as_str()));
        }
    }
    Ok(config)
}

/// The fields of an object that can have an owner.
fn owned_fields(kind: &Kind, object: &Value) -> FieldSet {
    let mut fields = walk::fields(Place::of(kind), object);
    disown(&mut fields);
    fields
}

/// Takes out what nobody owns.
fn disown(fields: &mut FieldSet) {
    for name in ["f:apiVersion", "f:kind"] {
        fields.take(name);
    }
    if let Some(mut metadata) = fields.take("f:metadata") {
        for name in UNOWNED {
            metadata.take(&format!("f:{name}"));
        }
        fields.add("f:metadata", metadata);
    }
}

/// Who owns what in an object that was never applied.
fn first_managers(kind: &Kind, live: &Value) -> Managers {
    let mut rest = owned_fields(kind, live);
    let mut managers = Managers::default();
    let annotation = live["metadata"]["annotations"][LAST_APPLIED].as_str();
    let last: Option<Value> = annotation.and_then(|text| serde_json::from_str(text).ok());
    if let Some(last) = last.and_then(|last| admitted(kind, &last, Part::Main).ok()) {
        let fields = owned_fields(kind, &last).common(&rest);
        rest.subtract(&fields);
        managers.0.push(Manager { fields, ..writer(kind, Part::Main, KUBECTL, Operation::Apply) });
    }
    managers
        .0
        .push(Manager { fields: rest, ..writer(kind, Part::Main, BEFORE, Operation::Update) });
    managers
}

/// Keeps the note of `kubectl apply` of old true, where there is one, so that it can be used again.
fn note_last_applied(object: &mut Value, config: &Value) {
    let annotations = object.pointer_mut("/metadata/annotations");
    if let Some(note) = annotations.and_then(|all| all.get_mut(LAST_APPLIED)) {
        let mut config = config.clone();
        if let Some(annotations) = config.pointer_mut("/metadata/annotations") {
            remove(annotations, LAST_APPLIED);
        }
        *note = json!(config.to_string());
    }
}

/// The refusal, in Kubernetes' words.
fn conflict(kind: &Kind, live: &Value, conflicts: &[(Manager, FieldSet)]) -> StatusError {
    let mut causes = Vec::new();
    let mut lines = Vec::new();
    for (manager, fields) in conflicts {
        let manager = manager.display();
        lines.push(format!("conflicts with {manager}:"));
        for path in fields.leaves() {
            lines.push(format!("- {path}"));
            causes.push(Cause {
                reason: "FieldManagerConflict",
                message: format!("conflict with {manager}"),
                field: path,
            });
        }
    }
    let message = match causes.as_slice() {
        [one] => format!("Apply failed with 1 conflict: {}: {}", one.message, one.field),
        _ => format!("Apply failed with {} conflicts: {}", causes.len(), lines.join("\n")),
    };
    let name = live["metadata"]["name"].as_str().unwrap_or("");
    StatusError::apply_conflict(kind, name, message, causes)
}
