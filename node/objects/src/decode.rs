//! From a request body to an object whose types are checked.
//!
//! Three steps: [`parse`] makes a JSON value of the text and notes duplicate keys; the value's
//! `apiVersion` and `kind` are compared with the kind asked for; [`check`] sends it through the
//! k8s-openapi type, which drops nulls and unknown fields and notes the latter.

mod document;
#[cfg(test)]
mod tests;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::kind::Kind;
use crate::limits;
use crate::status::StatusError;

pub use document::MediaType;

/// What happens to unknown and duplicate fields (`fieldValidation` in the query).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FieldValidation {
    /// They are dropped silently.
    Ignore,
    /// They are dropped and the answer carries warnings: the server's default.
    #[default]
    Warn,
    /// They fail the request: `kubectl`'s default.
    Strict,
}

impl std::str::FromStr for FieldValidation {
    type Err = StatusError;

    fn from_str(text: &str) -> Result<Self, StatusError> {
        match text {
            "Ignore" => Ok(Self::Ignore),
            "" | "Warn" => Ok(Self::Warn),
            "Strict" => Ok(Self::Strict),
            other => Err(StatusError::bad_request(format!(
                "fieldValidation: Unsupported value: {other:?}: supported values: \"\", \"Ignore\", \"Warn\", \"Strict\""
            ))),
        }
    }
}

/// An object whose types are checked, with what the client should be warned of.
#[derive(Clone, Debug, PartialEq)]
pub struct Decoded {
    /// The object, with its `apiVersion` and `kind`.
    pub object: Value,
    /// Sentences for `Warning` headers.
    pub warnings: Vec<String>,
}

/// Decodes the body of a create or an update.
///
/// # Errors
/// 413 when it is too large; 400 when it is no YAML or JSON object, is of another kind, has a
/// field of a wrong type, or (Strict) unknown or duplicate fields.
pub fn decode(
    kind: &Kind,
    body: &[u8],
    media: MediaType,
    validation: FieldValidation,
) -> Result<Decoded, StatusError> {
    let (value, duplicates) = document::read(body, media)?;
    check_noting(kind, value, validation, duplicates)
}

/// Parses a body that is not an object of a kind, such as a patch or delete options.
///
/// # Errors
/// 413 when it is too large, 400 when it does not parse.
pub fn parse(body: &[u8], media: MediaType) -> Result<Value, StatusError> {
    document::read(body, media).map(|(value, _)| value)
}

/// Checks a value that is parsed already, such as the outcome of a patch.
///
/// # Errors
/// As [`decode`].
pub fn check(
    kind: &Kind,
    object: Value,
    validation: FieldValidation,
) -> Result<Decoded, StatusError> {
    check_noting(kind, object, validation, Vec::new())
}

fn check_noting(
    kind: &Kind,
    value: Value,
    validation: FieldValidation,
    mut noted: Vec<String>,
) -> Result<Decoded, StatusError> {
    let Value::Object(mut map) = value else {
        return Err(StatusError::bad_request(format!(
            "the object provided is unrecognized (must be of type {}): the body is not a map",
            kind.kind
        )));
    };
    settle_type(kind, &mut map)?;
    fill_nulls(&mut map);
    let object = kind
        .check(&Value::Object(map), &mut noted)
        .map_err(|error| cannot_be_handled(kind, &error))?;
    noted.truncate(limits::STRICT_ERRORS);
    match validation {
        FieldValidation::Strict if !noted.is_empty() => {
            Err(cannot_be_handled(kind, &format!("strict decoding error: {}", noted.join(", "))))
        }
        FieldValidation::Ignore => Ok(Decoded { object, warnings: Vec::new() }),
        _ => Ok(Decoded { object, warnings: noted }),
    }
}

fn cannot_be_handled(kind: &Kind, detail: &str) -> StatusError {
    StatusError::bad_request(format!(
        "{} in version {:?} cannot be handled as a {}: {detail}",
        kind.kind, kind.version, kind.kind
    ))
}

/// Fills an absent `apiVersion` and `kind`; another one is an error.
fn settle_type(kind: &Kind, map: &mut Map<String, Value>) -> Result<(), StatusError> {
    let text = |key: &str| map.get(key).and_then(Value::as_str).unwrap_or("").to_owned();
    let (api_version, name) = (text("apiVersion"), text("kind"));
    let expected = kind.api_version();
    let matches = (api_version.is_empty() || api_version == expected)
        && (name.is_empty() || name == kind.kind);
    if !matches {
        return Err(StatusError::bad_request(format!(
            "the object provided is {name} in {api_version:?}, and the request is for {} in {expected:?}",
            kind.kind
        )));
    }
    map.insert("apiVersion".to_owned(), Value::from(expected));
    map.insert("kind".to_owned(), Value::from(&*kind.kind));
    Ok(())
}

/// The maps of text at the top of an object.
const TEXT_MAPS: [&str; 3] = ["data", "binaryData", "stringData"];

/// A null entry of a config map or secret is an empty one: so a Go server reads it, and manifests
/// rely on it (`key:` with nothing behind it).
fn fill_nulls(object: &mut Map<String, Value>) {
    for name in TEXT_MAPS {
        let Some(Value::Object(entries)) = object.get_mut(name) else { continue };
        for entry in entries.values_mut().filter(|entry| entry.is_null()) {
            *entry = Value::from("");
        }
    }
}

/// Sends a value through its Rust type, noting unknown fields; an error says where it is.
pub(crate) fn check_as<T: Serialize + DeserializeOwned>(
    value: &Value,
    noted: &mut Vec<String>,
) -> Result<Value, String> {
    let typed: Result<T, serde_json::Error> = serde_ignored::deserialize(value, |path| {
        noted.push(format!("unknown field {:?}", document::field_path(&path)));
    });
    match typed {
        Ok(typed) => serde_json::to_value(typed).map_err(|error| error.to_string()),
        // Only a failure pays for knowing the place.
        Err(error) => match serde_path_to_error::deserialize::<_, T>(value) {
            Err(placed) => Err(format!("{}: {error}", placed.path())),
            Ok(_) => Err(error.to_string()),
        },
    }
}
