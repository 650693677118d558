//! Config maps and secrets: small maps of data that may be frozen.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::field::{Errors, Field};
use crate::limits;
use crate::names;
use crate::podspec::set_text;
use crate::strategy::Strategy;

const FROZEN: &str = "field is immutable when `immutable` is set";

/// Secret types and the entries they must have.
const SECRET_KEYS: &[(&str, &[&str])] = &[
    ("kubernetes.io/tls", &["tls.crt", "tls.key"]),
    ("kubernetes.io/ssh-auth", &["ssh-privatekey"]),
    ("kubernetes.io/dockerconfigjson", &[".dockerconfigjson"]),
    ("kubernetes.io/dockercfg", &[".dockercfg"]),
];

pub(crate) struct ConfigMapStrategy;

impl Strategy for ConfigMapStrategy {
    fn validate(&self, object: &Field<'_>, errors: &mut Errors) {
        let (data, binary) = (object.get("data"), object.get("binaryData"));
        let mut total = validate_keys(&data, errors) + validate_keys(&binary, errors);
        for (key, _) in binary.entries().filter(|(key, _)| data.value.get(key).is_some()) {
            errors.invalid_value(&data, key, "duplicate of key present in binaryData");
        }
        total += data.entries().map(|(_, value)| value.text().len()).sum::<usize>();
        total += binary.entries().map(|(_, value)| decoded_len(value.text())).sum::<usize>();
        if total > limits::DATA_BYTES {
            errors.too_long(object, limits::DATA_BYTES);
        }
    }

    fn validate_update(&self, new: &Field<'_>, old: &Field<'_>, errors: &mut Errors) {
        validate_frozen(&["data", "binaryData"], new, old, errors);
    }
}

pub(crate) struct SecretStrategy;

impl Strategy for SecretStrategy {
    fn default(&self, object: &mut Value) {
        let Some(secret) = object.as_object_mut() else { return };
        set_text(secret, "type", "Opaque");
        let Some(Value::Object(plain)) = secret.remove("stringData") else { return };
        let data = secret.entry("data").or_insert_with(|| json!({}));
        if data.is_null() {
            *data = json!({});
        }
        for (key, value) in plain {
            data[key] = json!(STANDARD.encode(value.as_str().unwrap_or("")));
        }
    }

    fn validate(&self, object: &Field<'_>, errors: &mut Errors) {
        let data = object.get("data");
        validate_keys(&data, errors);
        let total: usize = data.entries().map(|(_, value)| decoded_len(value.text())).sum();
        if total > limits::DATA_BYTES {
            errors.too_long(&data, limits::DATA_BYTES);
        }
        let kind = object.get("type");
        let needed = SECRET_KEYS.iter().find(|(of, _)| *of == kind.text());
        for key in needed.into_iter().flat_map(|(_, keys)| keys.iter()) {
            if data.value.get(*key).is_none() {
                errors.required(&data.key(key), "");
            }
        }
    }

    fn validate_update(&self, new: &Field<'_>, old: &Field<'_>, errors: &mut Errors) {
        errors.immutable(&new.get("type"), &old.get("type"));
        validate_frozen(&["data"], new, old, errors);
    }
}

fn validate_keys(map: &Field<'_>, errors: &mut Errors) -> usize {
    let mut total = 0;
    for (key, _) in map.entries() {
        total += key.len();
        if let Err(rule) = names::config_key(key) {
            errors.invalid_value(&map.key(key), key, rule);
        }
    }
    total
}

/// How many bytes a base64 text stands for.
fn decoded_len(text: &str) -> usize {
    text.trim_end_matches('=').len() * 3 / 4
}

fn validate_frozen(members: &[&str], new: &Field<'_>, old: &Field<'_>, errors: &mut Errors) {
    if !old.get("immutable").is_true() {
        return;
    }
    let flag = new.get("immutable");
    if !flag.is_true() {
        errors.forbidden(&flag, FROZEN);
    }
    for member in members {
        let field = new.get(member);
        if field.value != old.get(member).value {
            errors.forbidden(&field, FROZEN);
        }
    }
}
