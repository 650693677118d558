//! The envelope: four bytes, then `runtime.Unknown`, which names the kind of what is in it.

use serde_json::Value;

use crate::{
    error::{DecodeError, Problem},
    fields::Decoder,
    limits,
    schema::Schema,
    wire::Fields,
};

/// The bytes with which every body begins.
const MAGIC: &[u8] = b"k8s\0";

/// The content types with which the object in the envelope can be marked.
const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";
const JSON: &str = "application/json";

/// `runtime.Unknown`.
#[derive(Default)]
struct Envelope<'a> {
    api_version: &'a str,
    kind: &'a str,
    raw: &'a [u8],
    content_encoding: &'a str,
    content_type: &'a str,
}

impl<'a> Envelope<'a> {
    fn parse(bytes: &'a [u8]) -> Result<Self, Problem> {
        let mut envelope = Self::default();
        for field in Fields::of(bytes) {
            match field? {
                (1, type_meta) => envelope.parse_type(type_meta.bytes("a type")?)?,
                (2, raw) => envelope.raw = raw.bytes("an object")?,
                (3, encoding) => envelope.content_encoding = encoding.text()?,
                (4, content_type) => envelope.content_type = content_type.text()?,
                _ => {}
            }
        }
        Ok(envelope)
    }

    fn parse_type(&mut self, bytes: &'a [u8]) -> Result<(), Problem> {
        for field in Fields::of(bytes) {
            match field? {
                (1, api_version) => self.api_version = api_version.text()?,
                (2, kind) => self.kind = kind.text()?,
                _ => {}
            }
        }
        Ok(())
    }
}

/// Decodes a body into the object it holds, with `apiVersion` and `kind` as the envelope has them.
///
/// Fields that are not in the schema are skipped, as protobuf wants it. Zero values are left out
/// where Kubernetes' own JSON leaves them out.
///
/// # Errors
/// The body is too large, is not of this format, holds a kind that is not in the schema, or is
/// broken; the error names the field.
pub fn decode(body: &[u8]) -> Result<Value, DecodeError> {
    if body.len() > limits::BODY_BYTES {
        return Err(DecodeError::TooLarge);
    }
    let bytes = body.strip_prefix(MAGIC).ok_or(DecodeError::NotKubernetes)?;
    let envelope = Envelope::parse(bytes).map_err(DecodeError::Envelope)?;
    if !matches!(envelope.content_encoding, "" | "identity") {
        return Err(DecodeError::ContentEncoding(envelope.content_encoding.to_owned()));
    }
    match envelope.content_type {
        "" | PROTOBUF => object(&envelope),
        JSON => serde_json::from_slice(envelope.raw)
            .map_err(|error| DecodeError::Envelope(Problem::NotJson(error.to_string()))),
        other => Err(DecodeError::ContentType(other.to_owned())),
    }
}

fn object(envelope: &Envelope<'_>) -> Result<Value, DecodeError> {
    let Envelope { api_version, kind, raw, .. } = *envelope;
    let schema = Schema::get();
    let message = schema.kind(api_version, kind).ok_or_else(|| DecodeError::UnknownKind {
        api_version: api_version.to_owned(),
        kind: kind.to_owned(),
    })?;
    let mut object = Decoder::new(schema).decode(message, raw).map_err(|fault| {
        let (path, problem) = fault.into_parts();
        DecodeError::Malformed { kind: kind.to_owned(), path, problem }
    })?;
    object.insert("apiVersion".to_owned(), api_version.into());
    object.insert("kind".to_owned(), kind.into());
    Ok(Value::Object(object))
}
