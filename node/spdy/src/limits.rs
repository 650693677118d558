//! Every bound of this crate, with its reason.

/// Bytes of a control frame: a stream's headers take a few hundred.
pub(crate) const CONTROL_BYTES: usize = 32 * 1024;

/// Bytes of one frame's headers once they are inflated.
pub(crate) const HEADER_BYTES: usize = 16 * 1024;

/// Headers of one frame.
pub(crate) const HEADERS: usize = 256;

/// Bytes of data handed on or sent at once: a larger frame, which may have 16 MiB, comes in parts.
pub(crate) const CHUNK_BYTES: usize = 16 * 1024;

/// Chunks that wait in a stream for its reader; then the connection is not read on.
pub(crate) const STREAM_CHUNKS: usize = 4;

/// Chunks of a stream that wait to be sent.
pub(crate) const SEND_CHUNKS: usize = 4;

/// Streams open at once; a forwarded connection takes two. Further ones are refused.
pub(crate) const STREAMS: usize = 512;

/// Streams that wait to be taken by whoever serves them.
pub(crate) const INCOMING: usize = 16;

/// Answers to pings, and refusals, that wait to be sent; then the connection is not read on.
pub(crate) const ANSWERS: usize = 16;
