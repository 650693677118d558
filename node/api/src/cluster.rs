//! What the API asks of the cluster itself.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;
use skein_objects::StatusError;

/// A certificate for a user, as PEM.
#[derive(Clone)]
pub struct UserCertificate {
    /// The certificate.
    pub certificate: String,
    /// Its private key.
    pub key: String,
    /// The certificate of the cluster CA.
    pub ca: String,
}

/// The node's view of its cluster.
#[async_trait]
pub trait ClusterView: Send + Sync + 'static {
    /// Members, leader and quorum, as `GET /skein/v1/status` gives them.
    fn status(&self) -> Value;

    /// Whether this node can serve.
    ///
    /// # Errors
    /// What it waits for.
    fn ready(&self) -> Result<(), String>;

    /// Makes a client certificate signed by the cluster CA.
    ///
    /// # Errors
    /// `ServiceUnavailable` where the CA cannot be reached.
    async fn issue_user(
        &self,
        user: &str,
        groups: &[String],
        lifetime: Duration,
    ) -> Result<UserCertificate, StatusError>;
}
