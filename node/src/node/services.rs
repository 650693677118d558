//! What a node does for the cluster: it serves the API, runs pods, and decides when it leads.

use std::{net::SocketAddr, sync::Arc};

use anyhow::{Context, Result};
use skein_agent::{Agent, AgentConfig, PodNetwork, SimulatedNetwork};
use skein_api::{Server, ServerConfig, TlsConfig};
use skein_cli::{Runtime, Strategy, UpOptions};
use skein_controllers::{ControllerConfig, LeaderContext, PodCidr};
use skein_dataplane::{HostNetwork, Ipv4Cidr, NetworkConfig};
use skein_net::{Protocol, Transport};
use skein_runtime::{ContainerRuntime, DockerRuntime, SimulatedRuntime};
use skein_storage::EventRecorder;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{foundation::Foundation, pumps};
use crate::{
    bootstrap::VERSION,
    cluster_view::View,
    hosts::{HostServer, Hosts, LocalAgent, Serves},
    leader::while_leading,
    pod_network::HostPodNetwork,
};

/// Name of the bridge that the pods of a host are on.
const BRIDGE: &str = "skein0";

/// Pods' packets travel unwrapped over plain routes, so they may be as large as Ethernet's.
const POD_MTU: u32 = 1500;

/// The running services of a node.
pub(super) struct Services {
    server: Server,
    agent: LocalAgent,
    runtime: Arc<dyn ContainerRuntime>,
    tasks: TaskTracker,
    cancel: CancellationToken,
}

impl Services {
    /// Starts everything; the API answers when this returns.
    pub(super) async fn start(foundation: &Foundation, options: &UpOptions) -> Result<Self> {
        let (tasks, cancel) = (TaskTracker::new(), CancellationToken::new());
        let agent = LocalAgent::default();
        for (protocol, serves) in
            [(Protocol::Proxy, Serves::Logs), (Protocol::Blob, Serves::Images)]
        {
            let node_name = options.name.clone();
            let server = HostServer { node_name, agent: agent.clone(), serves };
            foundation.transport.register(protocol, Arc::new(server));
        }
        let server = serve_api(foundation, options, &agent, cancel.clone()).await?;
        foundation.publish_api(server.local_addr()).await?;
        let runtime: Arc<dyn ContainerRuntime> = match options.runtime {
            Runtime::Docker => Arc::new(DockerRuntime::connect(&options.docker_socket)),
            Runtime::Simulated => Arc::new(SimulatedRuntime::new(jiff::Timestamp::now())),
        };
        let started = start_agent(foundation, options, runtime.clone(), &tasks, cancel.clone())?;
        // The cell is empty: this is the one place that fills it.
        drop(agent.set(started));
        lead(foundation, options, &tasks, cancel.clone())?;
        tasks.close();
        Ok(Self { server, agent, runtime, tasks, cancel })
    }

    /// Where the API answers.
    pub(super) fn api_address(&self) -> SocketAddr {
        self.server.local_addr()
    }

    /// Ends everything; containers run on.
    pub(super) async fn stop(self) {
        self.cancel.cancel();
        self.server.stopped().await;
        if let Some(agent) = self.agent.get() {
            agent.stopped().await;
        }
        self.tasks.wait().await;
    }

    /// Ends everything and every pod of this host: another host runs them now.
    pub(super) async fn stop_and_end_pods(self) {
        let runtime = self.runtime.clone();
        self.stop().await;
        match runtime.list_sandboxes().await {
            Err(error) => tracing::error!(%error, "the pods of this host were not ended"),
            Ok(sandboxes) => {
                for sandbox in sandboxes {
                    if let Err(error) = runtime.remove_sandbox(&sandbox.id).await {
                        let pod = format!("{}/{}", sandbox.namespace, sandbox.name);
                        tracing::error!(pod, %error, "a pod of this host was not ended");
                    }
                }
            }
        }
    }
}

async fn serve_api(
    foundation: &Foundation,
    options: &UpOptions,
    agent: &LocalAgent,
    cancel: CancellationToken,
) -> Result<Server> {
    let tls = TlsConfig {
        resolver: foundation.identity.server_resolver(),
        client_ca_der: foundation.identity.ca_der().clone(),
    };
    let hosts = Hosts {
        node_name: options.name.clone(),
        transport: foundation.transport.clone(),
        liveness: foundation.liveness.clone(),
        agent: agent.clone(),
    };
    let view = View {
        cluster_id: foundation.cluster_id.clone(),
        raft: foundation.replica.status(),
        members: foundation.membership.members(),
        liveness: foundation.liveness.clone(),
        authority: foundation.authority.clone(),
    };
    let config = ServerConfig::new(options.api);
    let storage = foundation.storage.clone();
    Ok(skein_api::serve(config, storage, tls, Arc::new(hosts), Arc::new(view), cancel).await?)
}

fn start_agent(
    foundation: &Foundation,
    options: &UpOptions,
    runtime: Arc<dyn ContainerRuntime>,
    tasks: &TaskTracker,
    cancel: CancellationToken,
) -> Result<Agent> {
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
    let storage = foundation.storage.clone();
    let recorder =
        EventRecorder::start(&storage, "skein-agent", &options.name, tasks, cancel.clone());
    let config = AgentConfig {
        labels: options.labels.clone(),
        version: format!("v{VERSION}"),
        ..AgentConfig::new(&options.name, foundation.advertise.ip(), options.data_dir.join("agent"))
    };
    Ok(Agent::start(config, storage, runtime, network, recorder, cancel))
}

/// Decides for the cluster whenever this node leads.
fn lead(
    foundation: &Foundation,
    options: &UpOptions,
    tasks: &TaskTracker,
    cancel: CancellationToken,
) -> Result<()> {
    let config = ControllerConfig {
        pod_cidr: pod_cidr(&options.pod_cidr)?,
        strategy: match options.strategy {
            Strategy::Spread => skein_scheduler::Strategy::Spread,
            Strategy::Binpack => skein_scheduler::Strategy::Binpack,
            Strategy::Random => skein_scheduler::Strategy::Random { seed: rand::random() },
        },
        ..ControllerConfig::default()
    };
    let liveness = pumps::node_liveness(&foundation.liveness, tasks, cancel.clone());
    let store = foundation.store.clone();
    let node_name = options.name.clone();
    let work = move |reign| {
        let context = LeaderContext {
            store: store.clone(),
            node_name: node_name.clone(),
            liveness: liveness.clone(),
            config: config.clone(),
        };
        skein_controllers::run(context, reign)
    };
    tasks.spawn(while_leading(foundation.replica.status(), cancel, work));
    Ok(())
}

/// The pod range, a /24 of it for each node.
fn pod_cidr(text: &str) -> Result<PodCidr> {
    let cidr: Ipv4Cidr = text.parse()?;
    Ok(PodCidr { network: cidr.network(), prefix: cidr.prefix(), ..PodCidr::default() })
}
