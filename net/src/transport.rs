//! What every transport offers: requests with a deadline and streams, to peers named by their id.
//!
//! Two implementations, QUIC and in-memory, pass one contract suite.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::broadcast,
};

use crate::NodeId;

/// The first byte of every stream: which protocol speaks on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Protocol {
    /// Raft append, vote and snapshot messages.
    Raft = 1,
    /// Membership gossip.
    Gossip = 2,
    /// Requests to a peer's store.
    Store = 3,
    /// Requests about a pod's insides: logs and other streams of one host.
    Proxy = 4,
    /// Bulk bytes: image archives.
    Blob = 5,
    /// A node asking for a certificate: a new one, for whom this is the only protocol and which is
    /// answered by the [`JoinHandler`](crate::JoinHandler), or a peer that renews its own, which is
    /// answered by the handler registered here.
    Join = 6,
    /// Is this peer alive, do you reach that one, that one is dead, I leave.
    Probe = 7,
}

/// A byte stream in both directions.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl Protocol {
    /// Every protocol, in the order of their tags.
    pub const ALL: [Self; 7] =
        [Self::Raft, Self::Gossip, Self::Store, Self::Proxy, Self::Blob, Self::Join, Self::Probe];

    /// The byte on the wire.
    pub fn tag(self) -> u8 {
        self as u8
    }

    /// The protocol of a byte from the wire; a newer peer may know more than this build.
    pub fn from_tag(tag: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|protocol| protocol.tag() == tag)
    }
}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// An owned stream to or from a peer. Shutting the write half down ends the peer's reads.
pub type BoxedStream = Box<dyn Duplex>;

/// Why a request to a peer did not succeed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RpcError {
    /// No address is known for the peer.
    #[error("no address is known for node {0}")]
    UnknownPeer(NodeId),
    /// No connection could be made or it broke; the request may or may not have been carried out.
    #[error("node {peer} is unreachable: {reason}")]
    Unreachable {
        /// The peer asked.
        peer: NodeId,
        /// What the transport saw.
        reason: String,
    },
    /// No answer in time; the request may or may not have been carried out.
    #[error("node {peer} did not answer within {after:?}")]
    DeadlineExceeded {
        /// The peer asked.
        peer: NodeId,
        /// The deadline given.
        after: Duration,
    },
    /// The peer is there but does not serve this protocol (yet).
    #[error("node {peer} does not serve protocol {protocol:?}")]
    NotServed {
        /// The peer asked.
        peer: NodeId,
        /// The protocol asked for.
        protocol: Protocol,
    },
    /// A message over the limit, to send or received.
    #[error("message of {size} bytes is over the limit of {limit}")]
    TooLarge {
        /// Bytes of the message.
        size: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// The peer already serves as many requests of this protocol as it allows one peer.
    #[error("node {peer} is overloaded")]
    Overloaded {
        /// The peer asked.
        peer: NodeId,
    },
    /// No node of this cluster was found at an address.
    #[error("no node of this cluster answers at {address}: {reason}")]
    NoPeerAt {
        /// The address asked.
        address: SocketAddr,
        /// What the transport saw.
        reason: String,
    },
    /// The peer carried the request out and answered with an error of its own.
    #[error("node {peer}: {message}")]
    Remote {
        /// The peer asked.
        peer: NodeId,
        /// Its message.
        message: String,
    },
}

/// Serves one protocol. `from` is the id in the peer's verified certificate, never a claim.
#[async_trait]
pub trait Handler: Send + Sync + 'static {
    /// Answers one request. An `Err` reaches the peer as [`RpcError::Remote`] with this message.
    async fn request(&self, from: NodeId, body: Bytes) -> Result<Bytes, String>;

    /// Serves one stream until it ends. Protocols without streams keep the default, which hangs up.
    async fn stream(&self, _from: NodeId, _header: Bytes, _stream: BoxedStream) {}
}

/// Connects this node to its peers.
#[async_trait]
pub trait Transport: Send + Sync + 'static {
    /// The id in this node's own certificate.
    fn local_id(&self) -> NodeId;

    /// Serves `protocol` by `handler` from now on, replacing any before.
    fn register(&self, protocol: Protocol, handler: Arc<dyn Handler>);

    /// Remembers where `peer` is; the next new connection goes there.
    fn set_address(&self, peer: NodeId, address: SocketAddr);

    /// Where `peer` is, as far as known.
    fn address(&self, peer: NodeId) -> Option<SocketAddr>;

    /// Which node of this cluster answers at `address`; remembers it.
    async fn identify(&self, address: SocketAddr, deadline: Duration) -> Result<NodeId, RpcError>;

    /// Sends one request and waits for its answer, at most `deadline`.
    async fn request(
        &self,
        to: NodeId,
        protocol: Protocol,
        body: Bytes,
        deadline: Duration,
    ) -> Result<Bytes, RpcError>;

    /// Sends `peer` a few bytes that it ignores while its process runs. If nobody listens at its
    /// port any more, its host says so and the refusal comes to [`Transport::refusals`]. Costs
    /// next to nothing, promises nothing, returns at once.
    fn knock(&self, peer: NodeId);

    /// Peers whose host says, from now on, that nobody listens at their port: their process has
    /// ended, or something on the way turns this node's messages away. A hint to be confirmed.
    fn refusals(&self) -> broadcast::Receiver<NodeId>;

    /// Opens a stream that starts with `header`; `deadline` covers opening it only.
    async fn open(
        &self,
        to: NodeId,
        protocol: Protocol,
        header: Bytes,
        deadline: Duration,
    ) -> Result<BoxedStream, RpcError>;
}
