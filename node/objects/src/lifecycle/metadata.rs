//! The rules of `metadata`, the same for every kind.

use serde_json::{Map, Value, json};

use super::{Stamp, metadata_mut, rfc3339};
use crate::field::{Errors, Field};
use crate::kind::{Kind, Scope};
use crate::limits;
use crate::names;
use crate::status::StatusError;
use crate::strategy::NameRule;

/// Longest base that leaves room for a five character suffix in a 63 character label.
const GENERATE_NAME_BASE: usize = 58;

/// What only the server writes.
const SERVER_FIELDS: [&str; 5] =
    ["uid", "creationTimestamp", "generation", "deletionTimestamp", "deletionGracePeriodSeconds"];

/// Settles namespace and name and stamps a new object.
pub(super) fn admit_new(
    kind: &Kind,
    object: &mut Value,
    namespace: &str,
    stamp: &Stamp,
) -> Result<(), StatusError> {
    if !object["metadata"].is_object() {
        object["metadata"] = json!({});
    }
    let Some(metadata) = metadata_mut(object) else {
        return Err(StatusError::bad_request("the object provided is not a map"));
    };
    let text = |metadata: &Map<String, Value>, key: &str| {
        metadata.get(key).and_then(Value::as_str).unwrap_or("").to_owned()
    };
    if !text(metadata, "resourceVersion").is_empty() {
        return Err(StatusError::bad_request(
            "resourceVersion should not be set on objects to be created",
        ));
    }
    if kind.scope == Scope::Namespaced {
        let own = text(metadata, "namespace");
        if !own.is_empty() && own != namespace {
            return Err(StatusError::bad_request(format!(
                "the namespace of the provided object does not match the namespace sent on the request ({own} instead of {namespace})"
            )));
        }
        metadata.insert("namespace".to_owned(), json!(namespace));
    } else if text(metadata, "namespace").is_empty() {
        metadata.remove("namespace");
    }
    let base = text(metadata, "generateName");
    if text(metadata, "name").is_empty() && !base.is_empty() {
        let base: String = base.chars().take(GENERATE_NAME_BASE).collect();
        metadata.insert("name".to_owned(), json!(format!("{base}{}", stamp.suffix)));
    }
    for key in SERVER_FIELDS.iter().chain(&["selfLink", "resourceVersion"]) {
        metadata.remove(*key);
    }
    metadata.insert("uid".to_owned(), json!(stamp.uid.to_string()));
    metadata.insert("creationTimestamp".to_owned(), json!(rfc3339(stamp.now)));
    if kind.generation {
        metadata.insert("generation".to_owned(), json!(1));
    }
    Ok(())
}

/// Refuses an update that is about another object.
pub(super) fn admit_changed(kind: &Kind, new: &Value, old: &Value) -> Result<(), StatusError> {
    let text = |object: &Value, key: &str| -> String {
        object["metadata"][key].as_str().unwrap_or("").to_owned()
    };
    let name = text(old, "name");
    for (key, word) in [("name", "name"), ("namespace", "namespace")] {
        let (asked, is) = (text(new, key), text(old, key));
        if !asked.is_empty() && asked != is {
            return Err(StatusError::bad_request(format!(
                "the {word} of the object ({asked}) does not match the {word} on the URL ({is})"
            )));
        }
    }
    let (asked, is) = (text(new, "uid"), text(old, "uid"));
    if !asked.is_empty() && asked != is {
        return Err(StatusError::conflict(
            kind,
            &name,
            format!("Precondition failed: UID in precondition: {asked}, UID in object meta: {is}"),
        ));
    }
    Ok(())
}

/// Keeps what only the server writes.
pub(super) fn carry_over(new: &mut Value, old: &Value) {
    if !new["metadata"].is_object() {
        new["metadata"] = json!({});
    }
    let Some(metadata) = metadata_mut(new) else { return };
    metadata.remove("selfLink");
    metadata.remove("resourceVersion");
    for key in SERVER_FIELDS.iter().chain(&["name", "namespace", "generateName"]) {
        match old["metadata"].get(key) {
            Some(value) => metadata.insert((*key).to_owned(), value.clone()),
            None => metadata.remove(*key),
        };
    }
}

/// Checks name, namespace, labels, annotations, owners and finalizers.
pub(super) fn validate(kind: &Kind, metadata: &Field<'_>, errors: &mut Errors) {
    let name = metadata.get("name");
    if name.text().is_empty() {
        errors.required(&name, "name or generateName is required");
    } else {
        let verdict = match kind.strategy().name_rule() {
            NameRule::Label => names::label(name.text()),
            NameRule::Subdomain => names::subdomain(name.text()),
            NameRule::ServiceLabel => names::service(name.text()),
            NameRule::PathSegment => names::path_segment(name.text()),
        };
        if let Err(rule) = verdict {
            errors.invalid(&name, rule);
        }
    }
    let namespace = metadata.get("namespace");
    if kind.scope == Scope::Cluster && namespace.is_set() {
        errors.forbidden(&namespace, "not allowed on this type");
    }
    let labels = metadata.get("labels");
    validate_labels(&labels, errors);
    validate_annotations(&metadata.get("annotations"), errors);
    let owners = metadata.get("ownerReferences");
    validate_owners(&owners, errors);
    let finalizers = metadata.get("finalizers");
    for finalizer in finalizers.items() {
        if let Err(rule) = names::qualified(finalizer.text()) {
            errors.invalid(&finalizer, rule);
        }
    }
}

/// Checks label keys and values.
pub(crate) fn validate_labels(labels: &Field<'_>, errors: &mut Errors) {
    for (key, value) in labels.entries() {
        if let Err(rule) = names::qualified(key) {
            errors.invalid_value(labels, key, rule);
        }
        if let Err(rule) = names::label_value(value.text()) {
            errors.invalid_value(labels, value.text(), rule);
        }
    }
}

/// Checks annotation keys, and how long all annotations are together.
pub(crate) fn validate_annotations(annotations: &Field<'_>, errors: &mut Errors) {
    let mut total = 0;
    for (key, value) in annotations.entries() {
        total += key.len() + value.text().len();
        if let Err(rule) = names::qualified(&key.to_ascii_lowercase()) {
            errors.invalid_value(annotations, key, rule);
        }
    }
    if total > limits::ANNOTATION_BYTES {
        errors.too_long(annotations, limits::ANNOTATION_BYTES);
    }
}

fn validate_owners(owners: &Field<'_>, errors: &mut Errors) {
    let mut controllers = 0;
    for owner in owners.items() {
        for member in ["apiVersion", "kind", "name", "uid"] {
            let field = owner.get(member);
            if field.text().is_empty() {
                errors.invalid(&field, "must not be empty");
            }
        }
        controllers += usize::from(owner.get("controller").is_true());
    }
    if controllers > 1 {
        errors.invalid(owners, "Only one reference can have Controller set to true");
    }
}

/// Refuses new finalizers on an object that is being deleted.
pub(super) fn validate_update(new: &Field<'_>, old: &Field<'_>, errors: &mut Errors) {
    if !old.get("deletionTimestamp").is_set() {
        return;
    }
    let before = old.get("finalizers");
    let finalizers = new.get("finalizers");
    for finalizer in finalizers.items() {
        if !before.items().any(|known| known.value == finalizer.value) {
            errors.forbidden(
                &finalizers,
                format!(
                    "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
                    finalizer.value
                ),
            );
        }
    }
}
