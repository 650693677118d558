//! SPDY/3.1 as Kubernetes clients speak it (`kubectl`, client-go): many streams of bytes over one
//! connection, each opened with headers.
//!
//! Written after draft-mbelshe-httpbis-spdy-00 and its successor 3.1, and after what
//! moby/spdystream does with them. It neither keeps to windows nor tells of any, so neither does
//! this: who does not read is felt through the connection. Settings, priorities and associated
//! streams are read and mean nothing.

mod codec;
mod connection;
mod dictionary;
mod headers;
mod limits;
mod stream;
#[cfg(test)]
mod tests;

pub use codec::{Codec, Frame, SpdyError};
pub use connection::{Connection, Role, connect};
pub use headers::Headers;
pub use stream::Stream;
