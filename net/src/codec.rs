//! The one place where messages between nodes become bytes and bytes become messages.
//!
//! A frame is a version byte and the bincode encoding of one serde value. The format is private to
//! the cluster; ADR 002 says why it is bincode. Enums only ever grow at their end, and whatever
//! must outlive a rolling upgrade (Kubernetes objects) travels inside as JSON bytes.
//!
//! Decoding is total: any bytes give a value or a [`CodecError`], never a panic, and never more
//! memory than [`MAX_MESSAGE_BYTES`] allows.

use bincode::config::{Configuration, Limit, LittleEndian, Varint};
use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};

use crate::limits::MAX_MESSAGE_BYTES;

/// The version byte of every frame this build writes.
pub const FRAME_VERSION: u8 = 1;

const CONFIG: Configuration<LittleEndian, Varint, Limit<MAX_MESSAGE_BYTES>> =
    bincode::config::standard().with_limit::<MAX_MESSAGE_BYTES>();

/// Why a value did not become a frame, or bytes not a value.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// A frame over [`MAX_MESSAGE_BYTES`].
    #[error("a frame of {0} bytes is over the limit of {MAX_MESSAGE_BYTES}")]
    TooLarge(usize),
    /// Nothing at all.
    #[error("an empty frame")]
    Empty,
    /// A version byte this build does not read.
    #[error("frame version {0}, this build reads {FRAME_VERSION}")]
    Version(u8),
    /// More bytes than the value takes.
    #[error("{0} bytes follow the value")]
    Trailing(usize),
    /// A type that bincode cannot write.
    #[error("the value cannot be encoded")]
    Encode(#[source] bincode::error::EncodeError),
    /// Bytes that are not the expected type.
    #[error("the bytes are not the expected message")]
    Decode(#[source] bincode::error::DecodeError),
}

/// Encodes `value` as one frame.
///
/// # Errors
/// [`CodecError::TooLarge`] over the limit, [`CodecError::Encode`] for types without a length.
pub fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Bytes, CodecError> {
    let mut frame = vec![FRAME_VERSION];
    bincode::serde::encode_into_std_write(value, &mut frame, CONFIG).map_err(CodecError::Encode)?;
    if frame.len() > MAX_MESSAGE_BYTES {
        return Err(CodecError::TooLarge(frame.len()));
    }
    Ok(frame.into())
}

/// Decodes one frame, all of it.
///
/// # Errors
/// Anything that is not exactly one frame of `T` in a version this build reads.
pub fn decode<T: DeserializeOwned>(frame: &[u8]) -> Result<T, CodecError> {
    if frame.len() > MAX_MESSAGE_BYTES {
        return Err(CodecError::TooLarge(frame.len()));
    }
    let (&version, body) = frame.split_first().ok_or(CodecError::Empty)?;
    if version != FRAME_VERSION {
        return Err(CodecError::Version(version));
    }
    let (value, read) =
        bincode::serde::decode_from_slice(body, CONFIG).map_err(CodecError::Decode)?;
    match body.len() - read {
        0 => Ok(value),
        trailing => Err(CodecError::Trailing(trailing)),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use serde::Deserialize;

    use super::*;

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    enum Message {
        Empty,
        Pair(u64, Option<String>),
        Map { values: BTreeMap<String, Vec<u8>> },
    }

    fn message() -> impl Strategy<Value = Message> {
        prop_oneof![
            Just(Message::Empty),
            (any::<u64>(), proptest::option::of(".*")).prop_map(|(n, s)| Message::Pair(n, s)),
            proptest::collection::btree_map(".*", any::<Vec<u8>>(), 0..4)
                .prop_map(|values| Message::Map { values }),
        ]
    }

    proptest! {
        #[test]
        fn what_was_encoded_is_decoded(sent in message()) {
            let frame = encode(&sent).unwrap();
            prop_assert_eq!(decode::<Message>(&frame).unwrap(), sent);
        }

        #[test]
        fn garbage_is_an_error_or_a_value_but_never_a_panic(bytes in any::<Vec<u8>>()) {
            let _ = decode::<Message>(&bytes);
        }

        #[test]
        fn a_cut_frame_is_an_error(sent in message(), cut in any::<prop::sample::Index>()) {
            let frame = encode(&sent).unwrap();
            let cut = cut.index(frame.len());
            prop_assert!(decode::<Message>(&frame[..cut]).is_err());
        }
    }

    #[test]
    fn another_version_is_refused_by_its_number() {
        let mut frame = encode(&7u64).unwrap().to_vec();
        frame[0] = 9;
        assert!(matches!(decode::<u64>(&frame), Err(CodecError::Version(9))));
    }

    #[test]
    fn bytes_after_the_value_are_refused() {
        let mut frame = encode(&7u64).unwrap().to_vec();
        frame.push(0);
        assert!(matches!(decode::<u64>(&frame), Err(CodecError::Trailing(1))));
    }

    #[test]
    fn a_claimed_length_over_the_limit_allocates_nothing() {
        let frame = [FRAME_VERSION, 253, 255, 255, 255, 255, 255, 255, 255, 127];
        assert!(matches!(decode::<Vec<u8>>(&frame), Err(CodecError::Decode(_))));
    }
}
