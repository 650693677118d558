//! The agent's pod network over the data plane of this host.

use std::net::IpAddr;

use async_trait::async_trait;
use skein_agent::{NetworkError, PodNetwork, Route};
use skein_dataplane::{HostNetwork, Ipv4Cidr};
use tokio::net::TcpStream;

/// Gives the agent the data plane.
pub(crate) struct HostPodNetwork(pub(crate) HostNetwork);

#[async_trait]
impl PodNetwork for HostPodNetwork {
    async fn set_range(&self, pod_cidr: &str) -> Result<(), NetworkError> {
        self.0.set_range(parse(pod_cidr)?).await.map_err(translate)
    }

    async fn set_routes(&self, routes: &[Route]) -> Result<(), NetworkError> {
        // A peer that cannot be routed to must not cost the routes to the others.
        let mut invalid = Ok(());
        let mut valid = Vec::new();
        for route in routes {
            match (parse(&route.cidr), route.via) {
                (Ok(cidr), IpAddr::V4(via)) => valid.push((cidr, via)),
                (Ok(_), IpAddr::V6(via)) => {
                    invalid = Err(NetworkError::Invalid(format!("{via} is not IPv4")));
                }
                (Err(error), _) => invalid = Err(error),
            }
        }
        self.0.set_routes(&valid).await.map_err(translate)?;
        invalid
    }

    async fn attach(&self, pod_uid: &str, pid: u32) -> Result<IpAddr, NetworkError> {
        self.0.attach(pod_uid, pid).await.map(IpAddr::V4).map_err(translate)
    }

    async fn connect(&self, pid: u32, port: u16) -> Result<TcpStream, NetworkError> {
        let connected = self.0.connect(pid, port).await;
        connected.map_err(|error| NetworkError::Unconnected(in_words(error)))
    }

    async fn detach(&self, pod_uid: &str) -> Result<(), NetworkError> {
        self.0.detach(pod_uid).await.map_err(translate)
    }

    async fn adopt(
        &self,
        pod_uid: &str,
        pid: u32,
        told: Option<IpAddr>,
    ) -> Result<Option<IpAddr>, NetworkError> {
        let told = match told {
            Some(IpAddr::V4(ip)) => Some(ip),
            Some(IpAddr::V6(ip)) => {
                return Err(NetworkError::Invalid(format!("{ip} is not IPv4")));
            }
            None => None,
        };
        let adopted = self.0.adopt(pod_uid, pid, told).await.map_err(translate)?;
        Ok(adopted.map(IpAddr::V4))
    }
}

fn parse(cidr: &str) -> Result<Ipv4Cidr, NetworkError> {
    cidr.parse()
        .map_err(|error: skein_dataplane::CidrError| NetworkError::Invalid(error.to_string()))
}

/// The agent's words for what went wrong, with every cause: they end up on the pod.
fn translate(error: skein_dataplane::NetworkError) -> NetworkError {
    match error {
        skein_dataplane::NetworkError::NoRange => NetworkError::NoRange,
        other => NetworkError::Failed(in_words(other)),
    }
}

/// What went wrong and every cause.
fn in_words(error: skein_dataplane::NetworkError) -> String {
    format!("{:#}", anyhow::Error::from(error))
}
