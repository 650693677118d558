//! Node identity, QUIC transport with mutual TLS, peer RPC and membership.
//!
//! This crate moves bytes between nodes that have proven who they are and says which of them are
//! alive. It knows nothing of pods, of Raft entries or of anything else that travels in the bytes.

pub mod codec;
#[cfg(test)]
mod contract;
pub mod durable;
mod handlers;
mod id;
mod identity;
mod join;
pub mod limits;
mod membership;
mod memory;
mod quic;
mod tls;
mod transport;

pub use codec::CodecError;
pub use id::{NodeId, ParseNodeIdError};
pub use identity::{
    CertificateError, CertificateInfo, CertificateRequest, ClusterCa, Identity, IdentityError,
    IssueError, JoinToken, KeyError, NODE_NAME_PREFIX, NODES_ORGANIZATION, NodeKey, NodeSubject,
    ParseTokenError, RequestError, UserCertificate, secret_hash, secret_matches,
};
pub use join::{
    Credential, JoinError, JoinHandler, JoinParts, JoinRefusal, JoinRequest, JoinResponse,
    PeerAddress, SeedError, join, renew,
};
pub use membership::{
    Belief, BeliefState, Member, Membership, MembershipConfig, MembershipError, PeerStore,
    ProbeOutcome,
};
pub use memory::{MemoryNetwork, MemoryTransport, Traffic};
pub use quic::{BindError, QuicConfig, QuicTransport, SettingsError};
pub use transport::{BoxedStream, Duplex, Handler, Protocol, RpcError, Transport};
