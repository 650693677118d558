//! Bodies of requests: JSON, YAML and protobuf.

use serde_json::Value;
use skein_objects::{Decoded, FieldValidation, MediaType, decode, limits, parse};

use crate::{input, objects};

/// A JSON body, of the kind it says it is.
pub(crate) fn json(bytes: &[u8]) {
    body(bytes, MediaType::Json);
}

/// A YAML body, of the kind it says it is.
pub(crate) fn yaml(bytes: &[u8]) {
    body(bytes, MediaType::Yaml);
}

fn body(bytes: &[u8], media: MediaType) {
    let Ok(value) = parse(bytes, media) else { return };
    assert!(input::depth(&value) <= limits::DEPTH + 1, "deeper than the bound");
    let written = serde_json::to_vec(&value).expect("a value has a text");
    let read = parse(&written, MediaType::Json).expect("what was written is read");
    assert_eq!(read, value, "what was written is read as something else");

    let kind = input::kind_of(&value);
    let decoded = |validation| decode(kind, bytes, media, validation).ok();
    let warned = decoded(FieldValidation::Warn);
    let ignored = decoded(FieldValidation::Ignore);
    let strict = decoded(FieldValidation::Strict);
    let object = |one: &Option<Decoded>| one.as_ref().map(|one| one.object.clone());
    assert_eq!(object(&warned), object(&ignored), "warnings change the object");
    let is_clean = warned.as_ref().is_some_and(|one| one.warnings.is_empty());
    assert_eq!(strict.is_some(), is_clean, "what is refused is not what is warned of");
    objects::create(kind, value);
}

/// A protobuf body, of the kind its envelope names.
pub(crate) fn protobuf(bytes: &[u8]) {
    let Ok(value) = skein_protobuf::decode(bytes) else { return };
    assert!(input::depth(&value) <= limits::DEPTH + 1, "deeper than the bound");
    let written = serde_json::to_vec(&value).expect("a value has a text");
    let read: Value = serde_json::from_slice(&written).expect("what was written is read");
    assert_eq!(read, value, "what was written is read as something else");
    objects::create(input::kind_of(&value), value);
}
