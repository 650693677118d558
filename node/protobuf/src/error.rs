//! What can be wrong with a body.

use crate::limits;

/// Why a body could not be decoded.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The body is larger than [`limits::BODY_BYTES`].
    #[error("the body is larger than {} bytes", limits::BODY_BYTES)]
    TooLarge,
    /// The four bytes that mark the format are not there.
    #[error("the body does not begin as Kubernetes' protobuf does")]
    NotKubernetes,
    /// The envelope around the object is broken.
    #[error("the envelope of the object is unusable: {0}")]
    Envelope(Problem),
    /// The object inside the envelope is compressed or otherwise encoded.
    #[error("the content encoding {0:?} of the object is not understood")]
    ContentEncoding(String),
    /// The object inside the envelope is neither protobuf nor JSON.
    #[error("the content type {0:?} of the object is not understood")]
    ContentType(String),
    /// The schema has no such kind.
    #[error("{kind:?} of {api_version:?} is not understood as protobuf: send it as JSON")]
    UnknownKind {
        /// The group and version, as the envelope has them.
        api_version: String,
        /// The kind, as the envelope has it.
        kind: String,
    },
    /// A field of the object is broken.
    #[error("{kind}{path}: {problem}")]
    Malformed {
        /// The kind of the object.
        kind: String,
        /// The field, from the object on, as `.spec.containers[0].name`; empty for the object.
        path: String,
        /// What is wrong with it.
        problem: Problem,
    },
}

/// What can be wrong with the bytes of a message or field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The bytes end within a number or before the announced length.
    #[error("the bytes end too early")]
    Truncated,
    /// A variable-length number goes on beyond 64 bits.
    #[error("a number is longer than 64 bits")]
    LongNumber,
    /// A field has the number 0 or one above 2^29 - 1.
    #[error("{0} is no field number")]
    FieldNumber(u64),
    /// A field has a wire type that is not one, or one of the obsolete groups.
    #[error("wire type {0} is not understood")]
    WireType(u8),
    /// A known field is not written in the way its type is.
    #[error("the bytes are not those of {0}")]
    NotA(&'static str),
    /// A string is not UTF-8.
    #[error("the text is not UTF-8")]
    NotUtf8,
    /// A free-form field does not hold JSON.
    #[error("the content is not JSON: {0}")]
    NotJson(String),
    /// A time is outside of the calendar.
    #[error("the time is out of range")]
    TimeOutOfRange,
    /// Messages are nested deeper than [`limits::DEPTH`].
    #[error("messages are nested deeper than {}", limits::DEPTH)]
    TooDeep,
    /// The body holds more than [`limits::VALUES`] values.
    #[error("there are more than {} values", limits::VALUES)]
    TooManyValues,
}
