//! Rules of custom resource definitions. What their schemas may say is in [`crate::custom`].

mod conversion;

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::custom::{JsonPath, validate_structural};
use crate::field::{Errors, Field};
use crate::kinds::KINDS;
use crate::lifecycle::{Part, Stamp};
use crate::names;
use crate::podspec::{made_member, member, set, set_text};
use crate::strategy::Strategy;

const SCOPES: [&str; 2] = ["Cluster", "Namespaced"];
const COLUMN_TYPES: [&str; 5] = ["boolean", "date", "integer", "number", "string"];

/// What a definition in a group of the Kubernetes project must carry.
const APPROVAL: &str = "api-approved.kubernetes.io";

/// The condition that says how far the end of a definition is, and what it says last.
pub(crate) const TERMINATING: &str = "Terminating";
const EMPTIED: &str = "InstanceDeletionCompleted";

/// Custom resource definitions.
pub(crate) struct DefinitionStrategy;

impl Strategy for DefinitionStrategy {
    fn default(&self, object: &mut Value) {
        let Some(spec) = object["spec"].as_object_mut() else { return };
        conversion::default(spec);
        spec.get_mut("versions").map(write_whole_numbers);
        let Some(names) = member(spec, "names") else { return };
        let kind = names.get("kind").and_then(Value::as_str).unwrap_or("").to_owned();
        set_text(names, "singular", &kind.to_lowercase());
        set_text(names, "listKind", &format!("{kind}List"));
    }

    fn start(&self, object: &mut Value, _stamp: &Stamp) {
        object["status"] = json!({
            "acceptedNames": {"kind": "", "plural": ""},
            "conditions": [],
            "storedVersions": storage_versions(object),
        });
    }

    fn observe(&self, object: &mut Value, _old: &Value, part: Part, _now: Timestamp) {
        if part == Part::Status {
            return;
        }
        let stored = storage_versions(object);
        let Some(known) = status_list(object, "storedVersions") else { return };
        for version in stored {
            if !known.contains(&version) {
                known.push(version);
            }
        }
    }

    fn validate(&self, object: &Field<'_>, errors: &mut Errors) {
        let spec = object.get("spec");
        validate_group(object, &spec.get("group"), errors);
        let scope = spec.get("scope");
        match scope.text() {
            "" => errors.required(&scope, ""),
            text if !SCOPES.contains(&text) => errors.not_supported(&scope, &SCOPES),
            _ => {}
        }
        validate_names(&spec.get("names"), errors);
        let preserve = spec.get("preserveUnknownFields");
        if preserve.is_true() {
            errors.invalid(
                &preserve,
                "must be false: set x-kubernetes-preserve-unknown-fields in the schema instead",
            );
        }
        conversion::validate(&spec.get("conversion"), errors);
        validate_versions(&spec.get("versions"), errors);
    }

    fn validate_change(&self, part: Part, new: &Field<'_>, old: &Field<'_>, errors: &mut Errors) {
        if part != Part::Status {
            self.validate(new, errors);
            self.validate_update(new, old, errors);
        }
        validate_stored(new, errors);
    }

    fn validate_update(&self, new: &Field<'_>, old: &Field<'_>, errors: &mut Errors) {
        let (spec, before) = (new.get("spec"), old.get("spec"));
        errors.immutable(&spec.get("group"), &before.get("group"));
        errors.immutable(&spec.get("scope"), &before.get("scope"));
        let (names, former) = (spec.get("names"), before.get("names"));
        errors.immutable(&names.get("plural"), &former.get("plural"));
        errors.immutable(&names.get("kind"), &former.get("kind"));
        conversion::validate_update(new, old, errors);
    }

    fn warnings(&self, object: &Value) -> Vec<String> {
        let versions = object["spec"]["versions"].as_array().into_iter().flatten();
        let has_rules = |version: &&Value| says_rules(&version["schema"]["openAPIV3Schema"]);
        let warn = |version: &Value| {
            format!(
                "spec.versions[{}].schema: x-kubernetes-validations are kept and published, and \
                 not enforced by this server",
                version["name"].as_str().unwrap_or("")
            )
        };
        versions.filter(has_rules).map(warn).collect()
    }

    fn terminate(&self, object: &mut Value) {
        let now = object["metadata"]["deletionTimestamp"].clone();
        let Some(conditions) = status_list(object, "conditions") else { return };
        if conditions.iter().any(|condition| condition["type"] == TERMINATING) {
            return;
        }
        conditions.push(json!({
            "type": TERMINATING,
            "status": "True",
            "reason": "InstanceDeletionPending",
            "message": "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon",
            "lastTransitionTime": now,
        }));
    }

    /// Its objects go before it does.
    fn is_held(&self, object: &Value) -> bool {
        let conditions = object["status"]["conditions"].as_array().into_iter().flatten();
        !conditions.into_iter().any(|condition| {
            condition["type"] == TERMINATING
                && condition["status"] == "False"
                && condition["reason"] == EMPTIED
        })
    }
}

/// A list in the status, made where there is none.
fn status_list<'v>(object: &'v mut Value, name: &str) -> Option<&'v mut Vec<Value>> {
    let status = made_member(object.as_object_mut()?, "status")?;
    set(status, name, json!([]));
    status.get_mut(name)?.as_array_mut()
}

/// Writes numbers without a fraction as the whole numbers they are, as everybody else does: `10`
/// that came back as `10.0` would look like a change.
fn write_whole_numbers(value: &mut Value) {
    match value {
        Value::Object(members) => members.values_mut().for_each(write_whole_numbers),
        Value::Array(items) => items.iter_mut().for_each(write_whole_numbers),
        Value::Number(number) if number.is_f64() => {
            // What a double holds exactly, an integer of 53 bits does.
            let whole = number.as_f64().filter(|number| number.fract() == 0.0);
            if let Some(whole) = whole.filter(|number| number.abs() < 9.0e15) {
                *value = json!(whole as i64);
            }
        }
        _ => {}
    }
}

fn storage_versions(object: &Value) -> Vec<Value> {
    let versions = object["spec"]["versions"].as_array().into_iter().flatten();
    versions
        .filter(|version| version["storage"] == true)
        .map(|version| version["name"].clone())
        .collect()
}

fn says_rules(schema: &Value) -> bool {
    match schema {
        Value::Object(members) => {
            members.contains_key("x-kubernetes-validations") || members.values().any(says_rules)
        }
        Value::Array(items) => items.iter().any(says_rules),
        _ => false,
    }
}

fn validate_group(object: &Field<'_>, group: &Field<'_>, errors: &mut Errors) {
    let text = group.text();
    if text.is_empty() {
        return errors.required(group, "");
    }
    if let Err(rule) = names::subdomain(text) {
        errors.invalid(group, rule);
    } else if !text.contains('.') {
        errors.invalid(group, "should be a domain with at least one dot");
    } else if KINDS.iter().any(|kind| kind.group == text) {
        errors.invalid(group, "is a group of the server itself");
    }
    let spec = object.get("spec");
    let expected = format!("{}.{text}", spec.get("names").get("plural").text());
    let metadata = object.get("metadata");
    let name = metadata.get("name");
    if name.text() != expected {
        errors.invalid(&name, format!("must be spec.names.plural+\".\"+spec.group: {expected:?}"));
    }
    let is_of_project = ["k8s.io", "kubernetes.io"].iter().any(|domain| {
        text == *domain || text.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'))
    });
    let annotations = metadata.get("annotations");
    let approval = annotations.key(APPROVAL);
    if is_of_project && approval.text().is_empty() {
        errors.required(
            &approval,
            "protected groups must have approval annotation \"api-approved.kubernetes.io\"",
        );
    }
}

fn validate_names(all: &Field<'_>, errors: &mut Errors) {
    for name in ["plural", "singular", "kind", "listKind"] {
        let field = all.get(name);
        let is_kind = matches!(name, "kind" | "listKind");
        let checked = if is_kind {
            names::service(&field.text().to_lowercase())
        } else {
            names::service(field.text())
        };
        match (field.text().is_empty(), checked) {
            (true, _) => errors.required(&field, ""),
            (false, Err(rule)) => errors.invalid(&field, rule),
            _ => {}
        }
    }
    let (kind, list_kind) = (all.get("kind"), all.get("listKind"));
    if !kind.is_empty() && kind.value == list_kind.value {
        errors.invalid(&list_kind, "kind and listKind may not be the same");
    }
    for list in ["shortNames", "categories"] {
        let list = all.get(list);
        for name in list.items() {
            if let Err(rule) = names::service(name.text()) {
                errors.invalid(&name, rule);
            }
        }
    }
}

fn validate_versions(versions: &Field<'_>, errors: &mut Errors) {
    let mut seen = BTreeSet::new();
    for version in versions.items() {
        let name = version.get("name");
        if let Err(rule) = names::service(name.text()) {
            errors.invalid(&name, rule);
        }
        if !seen.insert(name.text().to_owned()) {
            errors.duplicate(&name);
        }
        validate_version(&version, errors);
    }
    let stored = versions.items().filter(|version| version.get("storage").is_true()).count();
    if stored != 1 {
        errors.invalid_value(
            versions,
            "storage",
            "must have exactly one version marked as storage version",
        );
    }
}

fn validate_version(version: &Field<'_>, errors: &mut Errors) {
    let outer = version.get("schema");
    let schema = outer.get("openAPIV3Schema");
    if schema.is_set() {
        validate_structural(&schema, errors);
    } else {
        errors.required(&schema, "schemas are required");
    }
    let columns = version.get("additionalPrinterColumns");
    for column in columns.items() {
        validate_column(&column, errors);
    }
    let subresources = version.get("subresources");
    let scale = subresources.get("scale");
    if scale.is_set() {
        for (name, root) in [("specReplicasPath", ".spec."), ("statusReplicasPath", ".status.")] {
            validate_simple_path(&scale.get(name), &[root], true, errors);
        }
        let selector = scale.get("labelSelectorPath");
        validate_simple_path(&selector, &[".spec.", ".status."], false, errors);
    }
    let selectable = version.get("selectableFields");
    for field in selectable.items() {
        validate_simple_path(&field.get("jsonPath"), &["."], true, errors);
    }
}

fn validate_column(column: &Field<'_>, errors: &mut Errors) {
    let (name, kind, path) = (column.get("name"), column.get("type"), column.get("jsonPath"));
    if name.is_empty() {
        errors.required(&name, "");
    }
    if kind.is_empty() {
        errors.required(&kind, "");
    } else if !COLUMN_TYPES.contains(&kind.text()) {
        errors.not_supported(&kind, &COLUMN_TYPES);
    }
    if path.is_empty() {
        errors.required(&path, "");
    } else if let Err(why) = JsonPath::parse(path.text()) {
        errors.invalid(&path, why);
    }
}

/// A path of names alone, below one of some roots.
fn validate_simple_path(path: &Field<'_>, roots: &[&str], required: bool, errors: &mut Errors) {
    let text = path.text();
    if text.is_empty() {
        if required {
            errors.required(path, "");
        }
        return;
    }
    if text.contains(['[', ']', '\\', '*', '/', '~', '\'', '"']) || text.contains("..") {
        errors.invalid(path, "must be a path of names without lists");
    } else if !roots.iter().any(|root| text.starts_with(root) && text.len() > root.len()) {
        errors.invalid(path, format!("should be a json path under {}", roots.join(" or ")));
    }
}

/// Versions that objects are stored in cannot go.
fn validate_stored(object: &Field<'_>, errors: &mut Errors) {
    let status = object.get("status");
    let stored = status.get("storedVersions");
    let versions = &object.value["spec"]["versions"];
    let all = versions.as_array().map_or(&[][..], Vec::as_slice);
    for version in stored.items() {
        if !all.iter().any(|one| one["name"] == *version.value) {
            errors.invalid(&version, "missing from spec.versions; objects may be stored in it");
        }
    }
    for storage in storage_versions(object.value) {
        if !stored.items().any(|version| *version.value == storage) {
            errors.invalid(&stored, format!("must have the storage version {storage}"));
        }
    }
}
