//! Whether a `JSONSchemaProps` is a structural schema, as every version of a custom resource
//! definition must have one: each value has one type, each member is declared once, and what else
//! must hold of a value says nothing about structure.

use serde_json::Value;

use super::schema::Schema;
use super::{validate as values_valid, values};
use crate::field::{Errors, Field};

const TYPES: [&str; 6] = ["array", "boolean", "integer", "number", "object", "string"];

/// What may not be said at all.
const FORBIDDEN: [&str; 4] = ["$ref", "definitions", "dependencies", "patternProperties"];

/// What only the structure of a value may say, and nothing below `allOf`, `anyOf`, `oneOf`, `not`.
const STRUCTURAL: [&str; 10] = [
    "additionalProperties",
    "default",
    "description",
    "nullable",
    "title",
    "type",
    "x-kubernetes-embedded-resource",
    "x-kubernetes-int-or-string",
    "x-kubernetes-list-type",
    "x-kubernetes-preserve-unknown-fields",
];

/// Where a schema stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Root,
    Member,
    Item,
}

/// Checks the schema of a version.
pub(crate) fn validate(schema: &Field<'_>, errors: &mut Errors) {
    check(schema, Place::Root, errors);
    let metadata = &schema.value["properties"]["metadata"]["properties"];
    let is_known = |name: &String| matches!(name.as_str(), "name" | "generateName");
    if super::members(metadata).any(|(name, _)| !is_known(name)) {
        errors.forbidden(
            &schema.get("properties").key("metadata"),
            "must not specify anything other than name and generateName, but metadata is \
             implicitly specified",
        );
    }
}

fn check(schema: &Field<'_>, place: Place, errors: &mut Errors) {
    for name in FORBIDDEN {
        let said = schema.get(name);
        if !said.is_empty() {
            errors.forbidden(&said, format!("{name} is not supported"));
        }
    }
    if schema.get("uniqueItems").is_true() {
        errors.forbidden(
            &schema.get("uniqueItems"),
            "uniqueItems cannot be set to true since the runtime complexity becomes quadratic",
        );
    }
    check_type(schema, place, errors);
    check_members(schema, errors);
    check_list(schema, errors);
    check_rules(schema, errors);
    // What keeps a schema from being compiled is an error of its own, above.
    if schema.get("default").is_set()
        && let Ok(compiled) = Schema::compile(schema.value)
    {
        check_default(schema, &compiled, errors);
    }
}

fn check_type(schema: &Field<'_>, place: Place, errors: &mut Errors) {
    let of = schema.get("type");
    let int_or_string = schema.get("x-kubernetes-int-or-string").is_true();
    let preserves = schema.get("x-kubernetes-preserve-unknown-fields").is_true();
    match (of.text(), place) {
        ("", Place::Root) => errors.required(&of, "must not be empty at the root"),
        ("", _) if int_or_string || preserves => {}
        ("", Place::Member) => {
            errors.required(&of, "must not be empty for specified object fields");
        }
        ("", Place::Item) => errors.required(&of, "must not be empty for specified array items"),
        (text, Place::Root) if text != "object" => {
            errors.invalid(&of, "must be object at the root");
        }
        (_, _) if int_or_string => {
            errors.forbidden(&of, "must be empty if x-kubernetes-int-or-string is true");
        }
        (text, _) if !TYPES.contains(&text) => errors.not_supported(&of, &TYPES),
        _ => {}
    }
    let embedded = schema.get("x-kubernetes-embedded-resource");
    if embedded.is_true() && of.text() != "object" {
        errors.invalid(&of, "must be object if x-kubernetes-embedded-resource is true");
    }
    if embedded.is_true() && !preserves && schema.get("properties").is_empty() {
        errors.required(
            &schema.get("properties"),
            "must not be empty if x-kubernetes-embedded-resource is true without \
             x-kubernetes-preserve-unknown-fields",
        );
    }
}

fn check_members(schema: &Field<'_>, errors: &mut Errors) {
    let (properties, additional) = (schema.get("properties"), schema.get("additionalProperties"));
    if !properties.is_empty() && additional.is_set() {
        errors.forbidden(&additional, "additionalProperties and properties are mutual exclusive");
    }
    if additional.value == &Value::Bool(false) {
        errors.forbidden(&additional, "additionalProperties cannot be set to false");
    }
    for (_, property) in properties.entries() {
        check(&property, Place::Member, errors);
    }
    if additional.value.is_object() {
        check(&additional, Place::Member, errors);
    }
}

fn check_list(schema: &Field<'_>, errors: &mut Errors) {
    let items = schema.get("items");
    let is_list = schema.get("type").text() == "array";
    if items.value.is_array() {
        errors.forbidden(&items, "items must be a schema object and not an array");
    } else if is_list && !items.is_set() {
        errors.required(&items, "must be specified");
    } else if items.is_set() {
        check(&items, Place::Item, errors);
    }
    let kind = schema.get("x-kubernetes-list-type");
    let keys = schema.get("x-kubernetes-list-map-keys");
    match kind.text() {
        "" => {}
        "atomic" | "set" if is_list => {}
        "map" if is_list => {
            if keys.is_empty() {
                errors.required(&keys, "must not be empty if x-kubernetes-list-type is map");
            }
            for key in keys.items() {
                if items.value["properties"][key.text()].is_null() {
                    errors.invalid(&key, "entries must all be names of item properties");
                }
            }
        }
        "atomic" | "set" | "map" => {
            errors.invalid(
                &schema.get("type"),
                "must be array if x-kubernetes-list-type is specified",
            );
        }
        _ => errors.not_supported(&kind, &["atomic", "map", "set"]),
    }
    if !keys.is_empty() && kind.text() != "map" {
        errors.forbidden(&keys, "must be empty if x-kubernetes-list-type is not map");
    }
}

/// Checks what must hold of values beside their structure.
fn check_rules(schema: &Field<'_>, errors: &mut Errors) {
    let pattern = schema.get("pattern");
    if let Err(error) = regex::Regex::new(pattern.text()) {
        errors.invalid(&pattern, format!("must be a valid regular expression, but isn't: {error}"));
    }
    let int_or_string = schema.get("x-kubernetes-int-or-string").is_true();
    for name in ["allOf", "anyOf", "oneOf"] {
        let list = schema.get(name);
        for one in list.items() {
            check_value_rules(&one, int_or_string, errors);
        }
    }
    let not = schema.get("not");
    if not.is_set() {
        check_value_rules(&not, false, errors);
    }
}

fn check_value_rules(schema: &Field<'_>, may_have_type: bool, errors: &mut Errors) {
    for name in STRUCTURAL {
        let said = schema.get(name);
        let is_said = said.is_set() && said.value != &Value::Bool(false) && !said.is_empty();
        if is_said && !(may_have_type && name == "type") {
            errors.forbidden(&said, "must be empty to be structural");
        }
    }
    let properties = schema.get("properties");
    for (_, property) in properties.entries() {
        check_value_rules(&property, false, errors);
    }
    let items = schema.get("items");
    if items.is_set() {
        check_value_rules(&items, false, errors);
    }
    check_rules(schema, errors);
}

fn check_default(schema: &Field<'_>, compiled: &Schema, errors: &mut Errors) {
    let Some(default) = &compiled.default else { return };
    let at = schema.get("default");
    for unknown in values::unknown_in_default(compiled, default) {
        errors.invalid(&at, format!("must not have {unknown}"));
    }
    let mut completed = default.clone();
    values::complete(compiled, &mut completed);
    for problem in values_valid::problems(compiled, &completed) {
        errors.invalid(&at, problem);
    }
}
