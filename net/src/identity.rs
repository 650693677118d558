//! Who a node is and how it proves it.
//!
//! A node's key is made once per data directory and its id is derived from that key. The cluster's
//! authority signs short-lived certificates over it: `O=system:nodes` makes a holder a peer, any
//! other organisation makes it a user of the API. A joiner trusts nothing but the fingerprint of
//! the authority, which its join token carries.

mod authority;
mod certificate;
mod key;
mod live;
mod request;
mod subject;
mod token;

pub use authority::{ClusterCa, IssueError, NodeSubject, UserCertificate};
pub use certificate::{CertificateError, CertificateInfo};
pub(crate) use certificate::{der_of_pem, fingerprint};
pub use key::{KeyError, NodeKey};
pub use live::{Identity, IdentityError};
pub use request::{CertificateRequest, RequestError};
pub use token::{JoinToken, ParseTokenError, secret_hash, secret_matches};

/// Organisation in the certificate of every node.
pub const NODES_ORGANIZATION: &str = "system:nodes";

/// What comes before a node's name in the common name of its certificate.
pub const NODE_NAME_PREFIX: &str = "system:node:";
