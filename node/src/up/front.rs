//! The services of a real host: Docker, its network, and the HTTPS listener before the API.

use std::{net::SocketAddr, sync::Arc};

use anyhow::{Context, Result};
use skein_agent::{AgentConfig, PodNetwork, SimulatedNetwork};
use skein_api::{Audit, Server, ServerConfig, TlsConfig};
use skein_cli::{Runtime, Strategy, UpOptions};
use skein_controllers::{ControllerConfig, PodCidr};
use skein_dataplane::{HostNetwork, Ipv4Cidr, NetworkConfig};
use skein_runtime::{ContainerRuntime, DockerRuntime, SimulatedRuntime};
use tokio_util::sync::CancellationToken;

use super::foundation::Foundation;
use crate::{
    core::VERSION,
    pod_network::HostPodNetwork,
    services::{Services, ServicesConfig, Workload},
};

/// Name of the bridge that the pods of a host are on.
const BRIDGE: &str = "skein0";

/// Pods' packets travel unwrapped over plain routes, so they may be as large as Ethernet's.
const POD_MTU: u32 = 1500;

/// The services of a node and the listener before its API.
pub(super) struct Front {
    server: Server,
    listening: CancellationToken,
    services: Services,
}

impl Front {
    /// Starts everything; the API answers when this returns.
    pub(super) async fn start(
        foundation: &Foundation,
        options: &UpOptions,
        audit: Option<Arc<Audit>>,
    ) -> Result<Self> {
        let config = ServicesConfig {
            controllers: controllers(options)?,
            workload: match options.witness {
                true => None,
                false => Some(workload(foundation, options)?),
            },
            audit,
        };
        let services = Services::start(&foundation.core, config);
        match listen(foundation, options, &services).await {
            Ok((server, listening)) => Ok(Self { server, listening, services }),
            Err(error) => {
                services.stop().await;
                Err(error)
            }
        }
    }

    /// Where the API answers.
    pub(super) fn api_address(&self) -> SocketAddr {
        self.server.local_addr()
    }

    /// Ends everything; containers run on.
    pub(super) async fn stop(self) {
        self.close().await.stop().await;
    }

    /// Ends everything and every pod of this host.
    pub(super) async fn stop_and_end_pods(self) {
        self.close().await.stop_and_end_pods().await;
    }

    /// Lets open requests end, and takes no more.
    async fn close(self) -> Services {
        self.listening.cancel();
        self.services.begin_stop();
        self.server.stopped().await;
        self.services
    }
}

async fn listen(
    foundation: &Foundation,
    options: &UpOptions,
    services: &Services,
) -> Result<(Server, CancellationToken)> {
    let tls = TlsConfig {
        resolver: foundation.identity.server_resolver(),
        client_ca_der: foundation.identity.ca_der().clone(),
    };
    let listening = CancellationToken::new();
    let config = ServerConfig::new(options.api);
    let server = skein_api::serve(config, services.api().clone(), tls, listening.clone()).await?;
    foundation.publish_api(server.local_addr()).await?;
    Ok((server, listening))
}

fn workload(foundation: &Foundation, options: &UpOptions) -> Result<Workload> {
    let runtime: Arc<dyn ContainerRuntime> = match options.runtime {
        Runtime::Docker => Arc::new(DockerRuntime::connect(&options.docker_socket)),
        Runtime::Simulated => Arc::new(SimulatedRuntime::new(jiff::Timestamp::now())),
    };
    let network: Arc<dyn PodNetwork> = match options.runtime {
        Runtime::Docker => {
            let network = HostNetwork::open(NetworkConfig {
                bridge: BRIDGE.to_owned(),
                cluster_cidr: options.pod_cidr.parse()?,
                mtu: POD_MTU,
            })
            .context("the pod network of this host cannot be set up")?;
            Arc::new(HostPodNetwork(network))
        }
        Runtime::Simulated => Arc::new(SimulatedNetwork::default()),
    };
    let agent = AgentConfig {
        labels: options.labels.clone(),
        version: format!("v{VERSION}"),
        ..AgentConfig::new(&options.name, foundation.advertise.ip(), options.data_dir.join("agent"))
    };
    Ok(Workload { agent, runtime, network })
}

fn controllers(options: &UpOptions) -> Result<ControllerConfig> {
    Ok(ControllerConfig {
        pod_cidr: pod_cidr(&options.pod_cidr)?,
        strategy: match options.strategy {
            Strategy::Spread => skein_scheduler::Strategy::Spread,
            Strategy::Binpack => skein_scheduler::Strategy::Binpack,
            Strategy::Random => skein_scheduler::Strategy::Random { seed: rand::random() },
        },
        ..ControllerConfig::default()
    })
}

/// The pod range, a /24 of it for each node.
fn pod_cidr(text: &str) -> Result<PodCidr> {
    let cidr: Ipv4Cidr = text.parse()?;
    Ok(PodCidr { network: cidr.network(), prefix: cidr.prefix(), ..PodCidr::default() })
}
