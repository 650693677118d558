//! The v2 document as protobuf: the only form in which `kubectl` asks for `/openapi/v2`.
//!
//! The messages are those of gnostic's `openapiv2/OpenAPIv2.proto`
//! (<https://github.com/google/gnostic>). They follow the JSON document member for member, so a
//! table says for each message which member becomes which field, and one walk writes them all.
//! The tables name what the documents of this crate hold; a test keeps the two in step.

mod encode;
mod messages;
#[cfg(test)]
mod tests;

use serde_json::Value;

/// Writes a v2 document as an `openapi.v2.Document`.
pub(super) fn document(json: &Value) -> Vec<u8> {
    encode::message(json, &messages::DOCUMENT)
}
