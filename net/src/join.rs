//! How a new node gets its certificate.
//!
//! The joiner has a token and the addresses of some nodes. It connects without a certificate of
//! its own, under an ALPN name that serves nothing but this, checks that the other side shows the
//! authority whose fingerprint is in the token, and only then sends the token's secret and its
//! certificate request. A node whose certificate has expired comes back the same way without a
//! token: it proves its key, and the cluster remembers whose it is.

mod client;
mod gate;

use std::{net::SocketAddr, time::Duration};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

pub use client::{JoinError, JoinParts, SeedError, join, renew};
pub(crate) use gate::JoinGate;

use crate::NodeId;

/// What a joiner sends.
#[derive(Clone, Serialize, Deserialize)]
pub struct JoinRequest {
    /// What the joiner may be let in for.
    pub credential: Credential,
    /// Its certificate request (PKCS #10, DER).
    pub csr_der: Vec<u8>,
    /// The name it wants.
    pub node_name: String,
    /// Where peers will reach it.
    pub advertise: SocketAddr,
    /// Its version of Skein.
    pub version: String,
    /// The cluster its data directory belongs to, if any.
    pub cluster_id: Option<String>,
}

/// What a joiner may be let in for.
#[derive(Clone, Serialize, Deserialize)]
pub enum Credential {
    /// A join token.
    Token {
        /// Names the token in the store.
        id: String,
        /// Proves that the joiner was given it.
        secret: String,
    },
    /// Nothing but the key in the request, which the cluster knows from before.
    KnownKey,
}

/// What a joiner gets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinResponse {
    /// Its certificate.
    pub cert_pem: String,
    /// The authority's certificate.
    pub ca_pem: String,
    /// The cluster it is now in.
    pub cluster_id: String,
    /// Nodes to talk to.
    pub peers: Vec<PeerAddress>,
}

/// Where a node is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerAddress {
    /// Its id.
    pub id: NodeId,
    /// Its name.
    pub name: String,
    /// Its UDP address.
    pub addr: SocketAddr,
}

/// Why a joiner is not let in. The sentence reaches the person at the joining host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum JoinRefusal {
    /// No token of this id.
    #[error("the cluster knows no join token {0}; see `skein token list` on one of its nodes")]
    UnknownToken(String),
    /// Too old a token.
    #[error("the join token has expired; make a new one with `skein token create`")]
    Expired,
    /// A token that was taken back.
    #[error("the join token has been revoked; make a new one with `skein token create`")]
    Revoked,
    /// A token with the right id and a wrong secret.
    #[error("the join token's secret is wrong; is it a complete copy?")]
    WrongSecret,
    /// Another node has the name.
    #[error("the name {name:?} belongs to node {by}; choose another with --name")]
    NameTaken {
        /// The name asked for.
        name: String,
        /// Whose it is.
        by: NodeId,
    },
    /// A name that cannot be a node's, a damaged certificate request and the like.
    #[error("the join request is not acceptable: {0}")]
    Invalid(String),
    /// A key nobody here remembers.
    #[error("the cluster does not know this node; join with a token")]
    UnknownNode,
    /// Versions that cannot work together.
    #[error("this host runs skein {joiner}, the cluster runs {cluster}")]
    VersionMismatch {
        /// The joiner's.
        joiner: String,
        /// The cluster's.
        cluster: String,
    },
    /// A data directory of another cluster.
    #[error("the data directory belongs to cluster {theirs}, this is cluster {ours}")]
    AnotherCluster {
        /// The cluster in the joiner's data directory.
        theirs: String,
        /// The cluster asked.
        ours: String,
    },
    /// Not now: no leader, still starting, too many at once.
    #[error("not ready: {reason}")]
    NotReady {
        /// What is missing.
        reason: String,
        /// When to ask again.
        retry_after: Duration,
    },
}

/// Decides who is let in. Registered with [`QuicTransport::set_join_handler`].
///
/// [`QuicTransport::set_join_handler`]: crate::QuicTransport::set_join_handler
#[async_trait]
pub trait JoinHandler: Send + Sync + 'static {
    /// Answers a join request that came from `remote`, whose sender is not authenticated.
    async fn join(
        &self,
        request: JoinRequest,
        remote: SocketAddr,
    ) -> Result<JoinResponse, JoinRefusal>;
}
