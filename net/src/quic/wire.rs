//! What travels on a stream.
//!
//! The opener sends a head: protocol tag, kind, length (4 bytes, big endian), then that many
//! bytes, a request's body or a stream's header. The acceptor answers a request with a status
//! byte, a length and that many bytes; a stream with a status byte alone, after which both sides
//! send what they like.

use bytes::{Bytes, BytesMut};
use futures::FutureExt;
use quinn::{ReadError, ReadExactError, RecvStream, SendStream, WriteError};

use crate::Protocol;

const HEAD_BYTES: usize = 6;
const REQUEST: u8 = 0;
const STREAM: u8 = 1;

/// Largest piece taken off a stream at once; memory grows as bytes arrive, not as promised.
const CHUNK_BYTES: usize = 256 * 1024;

/// How a stream begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) tag: u8,
    pub(crate) kind: Kind,
    pub(crate) length: u32,
}

/// Whether one answer follows or a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Request,
    Stream,
}

impl Head {
    pub(crate) fn request(protocol: Protocol, length: usize) -> Self {
        Self::new(protocol, Kind::Request, length)
    }

    pub(crate) fn stream(protocol: Protocol, length: usize) -> Self {
        Self::new(protocol, Kind::Stream, length)
    }

    /// Lengths are checked against limits far below 4 GiB before they come here.
    fn new(protocol: Protocol, kind: Kind, length: usize) -> Self {
        Self { tag: protocol.tag(), kind, length: u32::try_from(length).unwrap_or(u32::MAX) }
    }

    fn to_bytes(self) -> [u8; HEAD_BYTES] {
        let [a, b, c, d] = self.length.to_be_bytes();
        let kind = match self.kind {
            Kind::Request => REQUEST,
            Kind::Stream => STREAM,
        };
        [self.tag, kind, a, b, c, d]
    }

    fn from_bytes([tag, kind, a, b, c, d]: [u8; HEAD_BYTES]) -> Result<Self, WireError> {
        let kind = match kind {
            REQUEST => Kind::Request,
            STREAM => Kind::Stream,
            other => return Err(WireError::Kind(other)),
        };
        Ok(Self { tag, kind, length: u32::from_be_bytes([a, b, c, d]) })
    }
}

/// What a request or the opening of a stream came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Carried out; the answer's body, empty for a stream.
    Done(Bytes),
    /// Carried out with an error of the handler.
    Failed(String),
    /// Nobody serves the protocol.
    NotServed,
    /// Too much is running.
    Overloaded,
    /// The request or its answer is over the limit.
    TooLarge {
        /// Bytes of the message.
        size: u32,
    },
}

const DONE: u8 = 0;
const FAILED: u8 = 1;
const NOT_SERVED: u8 = 2;
const OVERLOADED: u8 = 3;
const TOO_LARGE: u8 = 4;

/// Why a stream was not understood.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WireError {
    #[error("the stream ended early: {0}")]
    Short(#[from] ReadExactError),
    #[error("the stream broke: {0}")]
    Read(#[from] ReadError),
    #[error("the stream broke: {0}")]
    Write(#[from] WriteError),
    #[error("unknown kind {0}")]
    Kind(u8),
    #[error("unknown status {0}")]
    Status(u8),
    #[error("{size} bytes are over the limit of {limit}")]
    TooLarge { size: u32, limit: usize },
}

/// Sends a head and its bytes and, for a request, the end of the stream. A peer that stopped
/// listening has an answer ready, so that is no error.
pub(crate) async fn write(
    send: &mut SendStream,
    head: Head,
    bytes: Bytes,
) -> Result<(), WireError> {
    let mut chunks = [Bytes::copy_from_slice(&head.to_bytes()), bytes];
    match send.write_all_chunks(&mut chunks).await {
        Ok(()) | Err(WriteError::Stopped(_)) => {}
        Err(error) => return Err(error.into()),
    }
    if head.kind == Kind::Request {
        // Only a stream that is already closed cannot be finished, which is what is wanted.
        send.finish().ok();
    }
    Ok(())
}

pub(crate) async fn read_head(receive: &mut RecvStream) -> Result<Head, WireError> {
    let mut bytes = [0; HEAD_BYTES];
    receive.read_exact(&mut bytes).await?;
    Head::from_bytes(bytes)
}

/// Reads exactly `length` bytes, unless that is over `limit`.
pub(crate) async fn read_bytes(
    receive: &mut RecvStream,
    length: u32,
    limit: usize,
) -> Result<Bytes, WireError> {
    let wanted = length as usize;
    if wanted > limit {
        return Err(WireError::TooLarge { size: length, limit });
    }
    let mut bytes = BytesMut::new();
    while bytes.len() < wanted {
        let most = CHUNK_BYTES.min(wanted - bytes.len());
        match receive.read_chunk(most, true).await? {
            // The usual message is one chunk and is not copied.
            Some(chunk) if chunk.bytes.len() == wanted => return Ok(chunk.bytes),
            Some(chunk) => bytes.extend_from_slice(&chunk.bytes),
            None => return Err(ReadExactError::FinishedEarly(bytes.len()).into()),
        }
    }
    Ok(bytes.freeze())
}

/// Takes the end of the stream if it came along with the last bytes, as it usually does. Without
/// this quinn would tell the sender to stop what it has long finished.
pub(crate) fn take_end(receive: &mut RecvStream) {
    receive.read_chunk(1, true).now_or_never();
}

pub(crate) async fn write_answer(send: &mut SendStream, answer: Answer) -> Result<(), WireError> {
    let (status, bytes) = match answer {
        Answer::Done(bytes) => (DONE, bytes),
        Answer::Failed(message) => (FAILED, Bytes::from(message)),
        Answer::NotServed => (NOT_SERVED, Bytes::new()),
        Answer::Overloaded => (OVERLOADED, Bytes::new()),
        Answer::TooLarge { size } => (TOO_LARGE, Bytes::copy_from_slice(&size.to_be_bytes())),
    };
    let [a, b, c, d] = u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes();
    let mut chunks = [Bytes::copy_from_slice(&[status, a, b, c, d]), bytes];
    send.write_all_chunks(&mut chunks).await?;
    Ok(())
}

pub(crate) async fn read_answer(
    receive: &mut RecvStream,
    limit: usize,
) -> Result<Answer, WireError> {
    let mut head = [0; 5];
    receive.read_exact(&mut head).await?;
    let [status, a, b, c, d] = head;
    let bytes = read_bytes(receive, u32::from_be_bytes([a, b, c, d]), limit).await?;
    Ok(match status {
        DONE => Answer::Done(bytes),
        FAILED => Answer::Failed(String::from_utf8_lossy(&bytes).into_owned()),
        NOT_SERVED => Answer::NotServed,
        OVERLOADED => Answer::Overloaded,
        TOO_LARGE => {
            let size = bytes.first_chunk().map_or(u32::MAX, |size| u32::from_be_bytes(*size));
            Answer::TooLarge { size }
        }
        other => return Err(WireError::Status(other)),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_head_is_itself_again_or_an_error(bytes in any::<[u8; HEAD_BYTES]>()) {
            match Head::from_bytes(bytes) {
                Ok(head) => prop_assert_eq!(head.to_bytes(), bytes),
                Err(error) => prop_assert!(matches!(error, WireError::Kind(_))),
            }
        }
    }
}
