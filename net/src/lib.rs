//! Node identity, QUIC transport with mutual TLS, peer RPC and membership.
//!
//! This crate moves bytes between nodes that have proven who they are and says which of them are
//! alive. It knows nothing of pods, of Raft entries or of anything else that travels in the bytes.

pub mod codec;
mod handlers;
mod id;
pub mod limits;
mod memory;
mod transport;

pub use codec::CodecError;
pub use id::NodeId;
pub use memory::{MemoryNetwork, MemoryTransport};
pub use transport::{BoxedStream, Duplex, Handler, Protocol, RpcError, Transport};
