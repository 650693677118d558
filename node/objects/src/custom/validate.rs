//! Whether a value is as its schema says, in Kubernetes' words.

use std::collections::HashSet;

use serde_json::Value;

use super::OUTLINE;
use super::schema::{Additional, Bound, Range, Rules, Schema, Type, Unique};
use crate::field::{Errors, Field};

/// Checks an object, apart from some of its members. What is as it was in `old` is not checked.
pub(super) fn root(
    schema: &Schema,
    object: &Field<'_>,
    old: Option<&Value>,
    skipped: &[&str],
    errors: &mut Errors,
) {
    if old == Some(object.value) {
        return;
    }
    check_rules(schema, object, errors);
    for (name, property) in &schema.properties {
        let member = object.get(name);
        if !skipped.contains(&name.as_str()) && member.is_set() {
            check(property, &member, old.and_then(|old| old.get(name)), errors);
        }
    }
}

fn check(schema: &Schema, field: &Field<'_>, old: Option<&Value>, errors: &mut Errors) {
    if old == Some(field.value) {
        return;
    }
    if field.value.is_null() {
        if !schema.nullable {
            wrong_type(schema, field, errors);
        }
        return;
    }
    if !has_type(schema, field.value) {
        return wrong_type(schema, field, errors);
    }
    check_rules(schema, field, errors);
    match field.value {
        Value::Object(_) => check_members(schema, field, old, errors),
        Value::Array(_) => check_items(schema, field, old, errors),
        _ => {}
    }
}

fn check_members(schema: &Schema, field: &Field<'_>, old: Option<&Value>, errors: &mut Errors) {
    for (name, entry) in field.entries() {
        let old = old.and_then(|old| old.get(name));
        match (schema.properties.get(name), &schema.additional) {
            (Some(property), _) => check(property, &field.get(name), old, errors),
            (None, Additional::Of(of)) => check(of, &entry, old, errors),
            _ => {}
        }
    }
    if schema.embedded {
        for name in OUTLINE.iter().filter(|name| **name != "metadata") {
            let member = field.get(name);
            if member.text().is_empty() {
                errors.required(&member, "must not be empty");
            }
        }
    }
}

fn check_items(schema: &Schema, field: &Field<'_>, old: Option<&Value>, errors: &mut Errors) {
    if let Some(of) = &schema.items {
        for (index, item) in field.items().enumerate() {
            check(of, &item, old.and_then(|old| old.get(index)), errors);
        }
    }
    let key = |item: &Value| match &schema.unique {
        Unique::No => None,
        Unique::Whole => Some(item.to_string()),
        Unique::By(keys) => {
            Some(keys.iter().map(|key| item[key].to_string()).collect::<Vec<_>>().join("\0"))
        }
    };
    let mut seen = HashSet::new();
    for item in field.items() {
        if key(item.value).is_some_and(|key| !seen.insert(key)) {
            errors.duplicate(&item);
        }
    }
}

fn has_type(schema: &Schema, value: &Value) -> bool {
    if schema.int_or_string {
        return value.is_string() || is_integer(value);
    }
    match schema.of {
        None => true,
        Some(Type::Object) => value.is_object(),
        Some(Type::Array) => value.is_array(),
        Some(Type::String) => value.is_string(),
        Some(Type::Integer) => is_integer(value),
        Some(Type::Number) => value.is_number(),
        Some(Type::Boolean) => value.is_boolean(),
    }
}

fn is_integer(value: &Value) -> bool {
    value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|number| number.fract() == 0.0)
}

fn wrong_type(schema: &Schema, field: &Field<'_>, errors: &mut Errors) {
    let wanted = if schema.int_or_string {
        "integer,string"
    } else {
        schema.of.map_or("object", Type::name)
    };
    let is = match field.value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) if is_integer(field.value) => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let said = format!("{} in body must be of type {wanted}: {is:?}", field.path());
    errors.invalid_value(field, is, said);
}

/// Checks what must hold of a value by itself.
fn check_rules(schema: &Schema, field: &Field<'_>, errors: &mut Errors) {
    let rules = &schema.rules;
    if let Some(values) = &rules.values
        && !values.contains(field.value)
    {
        let allowed: Vec<String> = values.iter().map(plain).collect();
        let allowed: Vec<&str> = allowed.iter().map(String::as_str).collect();
        errors.not_supported(field, &allowed);
    }
    match field.value {
        Value::String(text) => check_text(rules, field, text, errors),
        Value::Number(_) => check_number(rules, field, errors),
        Value::Array(items) => check_count(&rules.items, field, items.len(), "items", errors),
        Value::Object(members) => {
            check_count(&rules.properties, field, members.len(), "properties", errors);
            for name in rules.required.iter().filter(|name| !members.contains_key(*name)) {
                errors.required(&field.get(name), "");
            }
        }
        _ => {}
    }
    check_combinations(rules, field, errors);
}

/// A value as a list of allowed ones shows it.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn should(field: &Field<'_>, what: &str, errors: &mut Errors) {
    let path = field.path();
    let path = if path.is_empty() { "<nil>" } else { &path };
    errors.invalid(field, format!("{path} in body should {what}"));
}

fn check_text(rules: &Rules, field: &Field<'_>, text: &str, errors: &mut Errors) {
    let length = text.chars().count() as u64;
    if rules.length.most.is_some_and(|most| length > most) {
        let most = rules.length.most.unwrap_or_default();
        errors.too_long(field, usize::try_from(most).unwrap_or(usize::MAX));
    }
    if let Some(least) = rules.length.least.filter(|least| length < *least) {
        should(field, &format!("be at least {least} chars long"), errors);
    }
    if let Some(pattern) = rules.pattern.as_ref().filter(|pattern| !pattern.is_match(text)) {
        should(field, &format!("match '{pattern}'"), errors);
    }
    if let Some(format) = rules.format.as_deref().filter(|format| !has_format(format, text)) {
        let said = format!("{} in body must be of type {format}: {text:?}", field.path());
        errors.invalid(field, said);
    }
}

/// Whether a text is of a format; formats that are not known hold of everything, as in Kubernetes.
fn has_format(format: &str, text: &str) -> bool {
    match format {
        "date-time" | "datetime" => text.parse::<jiff::Timestamp>().is_ok(),
        "date" => text.parse::<jiff::civil::Date>().is_ok(),
        "ipv4" => text.parse::<std::net::Ipv4Addr>().is_ok(),
        "ipv6" => text.parse::<std::net::Ipv6Addr>().is_ok(),
        "uuid" | "uuid3" | "uuid4" | "uuid5" => text.parse::<uuid::Uuid>().is_ok(),
        "byte" => {
            use base64::Engine;
            base64::engine::general_purpose::STANDARD.decode(text).is_ok()
        }
        "cidr" => text.split_once('/').is_some_and(|(address, bits)| {
            let most = match address.parse() {
                Ok(std::net::IpAddr::V4(_)) => 32,
                Ok(std::net::IpAddr::V6(_)) => 128,
                Err(_) => return false,
            };
            bits.parse::<u8>().is_ok_and(|bits| bits <= most)
        }),
        _ => true,
    }
}

fn check_number(rules: &Rules, field: &Field<'_>, errors: &mut Errors) {
    let Some(number) = field.value.as_f64() else { return };
    let value = |bound: &Bound| bound.value.as_f64().unwrap_or_default();
    if let Some(bound) = &rules.minimum
        && (number < value(bound) || (bound.exclusive && number <= value(bound)))
    {
        let or_equal = if bound.exclusive { "" } else { "or equal to " };
        should(field, &format!("be greater than {or_equal}{}", bound.value), errors);
    }
    if let Some(bound) = &rules.maximum
        && (number > value(bound) || (bound.exclusive && number >= value(bound)))
    {
        let or_equal = if bound.exclusive { "" } else { "or equal to " };
        should(field, &format!("be less than {or_equal}{}", bound.value), errors);
    }
    if let Some(step) = rules.multiple_of.filter(|step| (number / step).fract() != 0.0) {
        should(field, &format!("be a multiple of {step}"), errors);
    }
    let fits = match rules.format.as_deref() {
        Some("int32") => (f64::from(i32::MIN)..=f64::from(i32::MAX)).contains(&number),
        _ => true,
    };
    if !fits {
        let said = format!("{} in body must be of type int32: \"integer\"", field.path());
        errors.invalid(field, said);
    }
}

fn check_count(range: &Range, field: &Field<'_>, count: usize, what: &str, errors: &mut Errors) {
    let number = count as u64;
    if let Some(most) = range.most.filter(|most| number > *most) {
        if what == "items" {
            errors.too_many(field, usize::try_from(most).unwrap_or(usize::MAX));
        } else {
            should(field, &format!("have at most {most} {what}"), errors);
        }
    }
    if let Some(least) = range.least.filter(|least| number < *least) {
        should(field, &format!("have at least {least} {what}"), errors);
    }
}

fn check_combinations(rules: &Rules, field: &Field<'_>, errors: &mut Errors) {
    for schema in &rules.all_of {
        check(schema, field, None, errors);
    }
    let holds = |schema: &&Schema| {
        let mut errors = Errors::default();
        check(schema, field, None, &mut errors);
        errors.into_vec().is_empty()
    };
    if !rules.any_of.is_empty() && !rules.any_of.iter().any(|schema| holds(&schema)) {
        must(field, "validate at least one schema (anyOf)", errors);
    }
    if !rules.one_of.is_empty() {
        match rules.one_of.iter().filter(holds).count() {
            1 => {}
            0 => {
                must(field, "validate one and only one schema (oneOf). Found none valid", errors);
            }
            count => {
                let said = format!(
                    "validate one and only one schema (oneOf). Found {count} valid alternatives"
                );
                must(field, &said, errors);
            }
        }
    }
    if rules.not.as_deref().is_some_and(|schema| holds(&schema)) {
        must(field, "not validate the schema (not)", errors);
    }
}

fn must(field: &Field<'_>, what: &str, errors: &mut Errors) {
    let path = field.path();
    let path = if path.is_empty() { "<nil>" } else { &path };
    errors.invalid(field, format!("{path:?} must {what}"));
}

/// Whether a value is as a schema says, and if not, why.
pub(super) fn problems(schema: &Schema, value: &Value) -> Vec<String> {
    let mut errors = Errors::default();
    check(schema, &Field::root(value), None, &mut errors);
    errors.into_vec().iter().map(crate::field::FieldError::body).collect()
}
