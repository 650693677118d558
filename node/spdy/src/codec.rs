//! Frames to bytes and back. Any byte from the network is bad until parsed; a large data frame is
//! handed on in parts, so that nothing waits for the whole of it.

mod deflate;
mod parse;
mod write;

use bytes::{Buf, Bytes, BytesMut};
use tokio_util::codec::{Decoder, Encoder};

use crate::{Headers, limits};
use deflate::{Deflater, Inflater};

/// The flag of the last frame of a stream in its direction.
const FIN: u8 = 0x01;

/// One frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// Opens a stream.
    SynStream {
        /// Its id: odd if the client opens it.
        id: u32,
        /// Whether nothing follows from who opens it.
        fin: bool,
        /// Its headers.
        headers: Headers,
    },
    /// Answers one that was opened.
    SynReply {
        /// The stream.
        id: u32,
        /// Whether nothing follows from who answers.
        fin: bool,
        /// The answer's headers.
        headers: Headers,
    },
    /// Ends a stream in both directions.
    RstStream {
        /// The stream.
        id: u32,
        /// Why, as section 2.6.3 numbers it.
        status: u32,
    },
    /// How the other side would like to be treated; not followed.
    Settings,
    /// Asks for the same back.
    Ping {
        /// Odd if the client asks.
        id: u32,
    },
    /// No further streams are taken.
    GoAway {
        /// The last stream that was.
        last_good: u32,
        /// Why, as section 2.6.6 numbers it.
        status: u32,
    },
    /// Headers after the first ones; not used.
    Headers {
        /// The stream.
        id: u32,
        /// Whether nothing follows.
        fin: bool,
        /// The headers.
        headers: Headers,
    },
    /// More may be sent; not followed.
    WindowUpdate {
        /// The stream.
        id: u32,
        /// How many bytes more.
        delta: u32,
    },
    /// Bytes of a stream.
    Data {
        /// The stream.
        id: u32,
        /// Whether they are the last.
        fin: bool,
        /// The bytes.
        data: Bytes,
    },
}

/// Why a connection cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum SpdyError {
    /// It speaks another version.
    #[error("SPDY version {0} instead of 3")]
    Version(u16),
    /// A frame is larger than any that is meant seriously.
    #[error("a control frame of {0} bytes")]
    TooLong(usize),
    /// A frame does not have the length its type has.
    #[error("a frame of type {kind} with {length} bytes")]
    BrokenFrame {
        /// The frame's type.
        kind: u16,
        /// Its length without the first eight bytes.
        length: usize,
    },
    /// A header block is cut off or not text.
    #[error("a broken header block")]
    BrokenHeaders,
    /// A frame has too many headers.
    #[error("{0} headers in one frame")]
    TooManyHeaders(usize),
    /// Header blocks are not compressed as agreed.
    #[error("a header block cannot be inflated: {0}")]
    Inflate(String),
    /// Headers would be larger than any that are meant seriously.
    #[error("headers of more than {} bytes", limits::HEADER_BYTES)]
    HeadersTooLong,
    /// A stream's id is not the other side's next.
    #[error("stream {0} opened out of order")]
    StreamId(u32),
    /// The connection broke.
    #[error("the connection broke")]
    Io(#[from] std::io::Error),
}

/// Reads and writes the frames of one connection. Header blocks depend on the ones before, so both
/// directions keep to one codec for as long as the connection lasts.
pub struct Codec {
    inflater: Inflater,
    deflater: Deflater,
    /// The data frame that is only partly there.
    open: Option<OpenData>,
}

#[derive(Clone, Copy, Debug)]
struct OpenData {
    id: u32,
    fin: bool,
    remaining: usize,
}

impl Codec {
    /// A codec for a new connection.
    ///
    /// # Errors
    /// Where zlib does not take the dictionary.
    pub fn new() -> Result<Self, SpdyError> {
        Ok(Self { inflater: Inflater::new(), deflater: Deflater::new()?, open: None })
    }

    fn data(&mut self, open: OpenData, bytes: &mut BytesMut) -> Option<Frame> {
        let count = open.remaining.min(bytes.len()).min(limits::CHUNK_BYTES);
        if count == 0 && open.remaining > 0 {
            self.open = Some(open);
            return None;
        }
        let remaining = open.remaining - count;
        self.open = (remaining > 0).then_some(OpenData { remaining, ..open });
        let fin = open.fin && remaining == 0;
        Some(Frame::Data { id: open.id, fin, data: bytes.split_to(count).freeze() })
    }
}

impl Decoder for Codec {
    type Item = Frame;
    type Error = SpdyError;

    fn decode(&mut self, bytes: &mut BytesMut) -> Result<Option<Frame>, SpdyError> {
        if let Some(open) = self.open.take() {
            return Ok(self.data(open, bytes));
        }
        // A type that is not known is to be ignored; a loop, as there may be any number of them.
        loop {
            let Some(head) = bytes.first_chunk::<8>() else { return Ok(None) };
            match parse::Head::read(*head) {
                parse::Head::Data { id, flags, length } => {
                    bytes.advance(8);
                    let open = OpenData { id, fin: flags & FIN != 0, remaining: length };
                    return Ok(self.data(open, bytes));
                }
                parse::Head::Control { version, kind, flags, length } => {
                    if version != 3 {
                        return Err(SpdyError::Version(version));
                    }
                    if length > limits::CONTROL_BYTES {
                        return Err(SpdyError::TooLong(length));
                    }
                    if bytes.len() < 8 + length {
                        bytes.reserve(8 + length - bytes.len());
                        return Ok(None);
                    }
                    bytes.advance(8);
                    let payload = bytes.split_to(length).freeze();
                    let frame = parse::control(kind, flags, payload, &mut self.inflater)?;
                    if frame.is_some() {
                        return Ok(frame);
                    }
                }
            }
        }
    }

    fn decode_eof(&mut self, bytes: &mut BytesMut) -> Result<Option<Frame>, SpdyError> {
        let frame = self.decode(bytes)?;
        if frame.is_none() && (self.open.is_some() || !bytes.is_empty()) {
            return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into());
        }
        Ok(frame)
    }
}

impl Encoder<Frame> for Codec {
    type Error = SpdyError;

    fn encode(&mut self, frame: Frame, bytes: &mut BytesMut) -> Result<(), SpdyError> {
        write::frame(&frame, &mut self.deflater, bytes)
    }
}
