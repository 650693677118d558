//! The network of pods, as the agent needs it.

mod simulated;

use std::net::IpAddr;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio::net::TcpStream;

pub use simulated::SimulatedNetwork;

/// Why the network of a pod could not be set up.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// This host has no range for pods yet.
    #[error("no pod range has been assigned to this node yet")]
    NoRange,
    /// Every address of the range is taken.
    #[error("no free address is left in the pod range {0}")]
    Exhausted(String),
    /// A range or an address was not one.
    #[error("invalid address or range: {0}")]
    Invalid(String),
    /// The kernel refused.
    #[error("network setup failed: {0}")]
    Failed(String),
    /// Nothing in the pod takes the connection.
    #[error("{0}")]
    Unconnected(String),
}

/// The way to the pods of another host.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Route {
    /// Range of the other host's pods, `10.42.1.0/24`.
    pub cidr: String,
    /// Address of the other host.
    pub via: IpAddr,
}

/// Gives pods their addresses. Every call is idempotent.
#[async_trait]
pub trait PodNetwork: Send + Sync + 'static {
    /// Uses `pod_cidr` for the pods of this host.
    async fn set_range(&self, pod_cidr: &str) -> Result<(), NetworkError>;

    /// Replaces the routes to the other hosts' pods as a whole.
    async fn set_routes(&self, routes: &[Route]) -> Result<(), NetworkError>;

    /// Connects the network namespace of process `pid` and returns the pod's address.
    async fn attach(&self, pod_uid: &str, pid: u32) -> Result<IpAddr, NetworkError>;

    /// Connects to a port that the pod of process `pid` listens on at its loopback address.
    async fn connect(&self, pid: u32, port: u16) -> Result<TcpStream, NetworkError>;

    /// Releases the pod's address and its link.
    async fn detach(&self, pod_uid: &str) -> Result<(), NetworkError>;

    /// Takes over a pod that was attached by an earlier run of this process and returns its
    /// address: the one it has, or if its link is gone the one it is `told` to have. `None` for a
    /// pod that never was attached.
    async fn adopt(
        &self,
        pod_uid: &str,
        pid: u32,
        told: Option<IpAddr>,
    ) -> Result<Option<IpAddr>, NetworkError>;
}
