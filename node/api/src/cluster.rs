//! What the API asks of the cluster itself.

use std::time::Duration;

use async_trait::async_trait;
use prometheus_client::registry::Registry;
use serde_json::Value;
use skein_objects::StatusError;

use crate::metrics::Gauge;

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

/// What is wrong with the cluster, in words for those who use it all the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Impairment {
    /// Said with every read: what it is worth.
    pub reads: String,
    /// Why a write is refused, and what can be done.
    pub writes: String,
}

/// The node's view of its cluster.
#[async_trait]
pub trait ClusterView: Send + Sync + 'static {
    /// Name of this node.
    fn node_name(&self) -> &str;

    /// Members, leader and quorum, as `GET /skein/v1/status` gives them.
    fn status(&self) -> Value;

    /// Numbers about the cluster at this moment, for `/metrics`.
    fn gauges(&self) -> Vec<Gauge>;

    /// What the parts of this node beside the API count, for `/metrics`.
    fn registry(&self) -> &Registry;

    /// Whether this node can serve.
    ///
    /// # Errors
    /// What it waits for.
    fn ready(&self) -> Result<(), String>;

    /// What keeps this node from reading and writing for certain; nothing while a majority of the
    /// voters answers or may soon.
    fn impairment(&self) -> Option<Impairment>;

    /// What every node believes of every other, and since when, as `GET /skein/v1/peers` gives it.
    async fn peers(&self) -> Value;

    /// Takes a node out of the cluster for good; says whether its vote is gone yet.
    ///
    /// # Errors
    /// `NotFound`; `BadRequest` for the node that is asked itself.
    async fn remove_node(&self, name: &str) -> Result<Value, StatusError>;

    /// How far every replica is that can be reached, and what a recovery would do, as
    /// `GET /skein/v1/recovery` gives it. Needs no quorum, as the next two.
    ///
    /// # Errors
    /// `ServiceUnavailable` while the node stops.
    async fn recovery(&self) -> Result<Value, StatusError>;

    /// Lets a cluster that lost its majority for good go on from the replica of `lead`.
    ///
    /// # Errors
    /// `Conflict` where nothing need be recovered, or another replica is fresher.
    async fn recover(&self, lead: &str) -> Result<Value, StatusError>;

    /// Lets this node's replica, which a recovery left behind, start anew.
    ///
    /// # Errors
    /// `Conflict` where it need not.
    async fn rejoin(&self) -> Result<Value, StatusError>;

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

    /// The key that signs the tokens of service accounts, PKCS #8 in DER: the same for all hosts,
    /// for good. Where none is kept yet, the one offered is.
    ///
    /// # Errors
    /// `ServiceUnavailable` where the store cannot be reached.
    async fn token_key(&self, offered: Option<Vec<u8>>) -> Result<Option<Vec<u8>>, StatusError>;
}
