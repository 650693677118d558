//! What a node does for the cluster on top of its core: it answers the API, runs pods, and decides
//! when it leads. Over any container runtime and any pod network; the listener before the API is
//! not its business.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use k8s_openapi::api::core::v1::Node;
use prometheus_client::registry::Registry;
use skein_agent::{Agent, AgentConfig, PodNetwork};
use skein_api::{Api, ApiConfig, Audit};
use skein_controllers::{ControllerConfig, LeaderContext, Metrics};
use skein_net::{Handler, NodeId, Protocol, Transport};
use skein_objects::Reason;
use skein_runtime::ContainerRuntime;
use skein_storage::{DeleteOptions, EventRecorder, Storage};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    authority::Authority,
    cluster_view::View,
    core::Core,
    decisions,
    hosts::{HostServer, Hosts, Serves},
    leader::stand_by,
};

/// In whose name the decisions about voters are told.
const AUTOPILOT: &str = "autopilot";

/// Pause between two attempts to delete the Node object of a node that runs no pods.
const FORGET_PAUSE: Duration = Duration::from_secs(1);

/// What a node needs to run pods.
pub struct Workload {
    /// The agent's choices.
    pub agent: AgentConfig,
    /// What runs containers.
    pub runtime: Arc<dyn ContainerRuntime>,
    /// What connects them.
    pub network: Arc<dyn PodNetwork>,
}

/// What the services of a node are told.
pub struct ServicesConfig {
    /// How the leader decides.
    pub controllers: ControllerConfig,
    /// What runs pods; a node without runs none.
    pub workload: Option<Workload>,
    /// Where requests to the API are noted.
    pub audit: Option<Arc<Audit>>,
}

/// The running services of a node.
pub struct Services {
    api: Api,
    agent: Option<Agent>,
    runtime: Option<Arc<dyn ContainerRuntime>>,
    transport: Arc<dyn Transport>,
    tasks: TaskTracker,
    cancel: CancellationToken,
}

impl Services {
    /// Starts everything on top of `core`.
    pub fn start(core: &Core, config: ServicesConfig) -> Self {
        let (tasks, cancel) = (TaskTracker::new(), CancellationToken::new());
        if config.workload.is_none() {
            let forgetting = forget_own_node(core.storage.clone(), core.name.clone());
            tasks.spawn(cancel.clone().run_until_cancelled_owned(forgetting));
        }
        let runtime = config.workload.as_ref().map(|workload| workload.runtime.clone());
        let agent =
            config.workload.map(|workload| start_agent(core, workload, &tasks, cancel.clone()));
        let (metrics, mut registry) = (Metrics::default(), Registry::default());
        metrics.register(&mut registry);
        if let Some(agent) = &agent {
            agent.register_metrics(&mut registry);
        }
        let api = api(core, agent.clone(), registry, config.audit, cancel.clone());
        for (protocol, serves) in
            [(Protocol::Proxy, Serves::Logs), (Protocol::Blob, Serves::Images)]
        {
            let server = HostServer {
                node_name: core.name.clone(),
                agent: agent.clone(),
                membership: core.membership.clone(),
                api: api.clone(),
                serves,
            };
            core.transport.register(protocol, Arc::new(server));
        }
        lead(core, config.controllers, metrics, &tasks, cancel.clone());
        tasks.close();
        Self { api, agent, runtime, transport: core.transport.clone(), tasks, cancel }
    }

    /// The API of this node.
    pub fn api(&self) -> &Api {
        &self.api
    }

    /// Lets everything begin to end, the streams of the API among it.
    pub fn begin_stop(&self) {
        self.cancel.cancel();
    }

    /// Ends everything; containers run on.
    pub async fn stop(self) {
        self.begin_stop();
        if let Some(agent) = &self.agent {
            agent.stopped().await;
        }
        self.tasks.wait().await;
        for protocol in [Protocol::Proxy, Protocol::Blob] {
            self.transport.register(protocol, Arc::new(Stopped));
        }
    }

    /// Ends everything and every pod of this host: it is no longer part of the cluster.
    pub async fn stop_and_end_pods(self) {
        let runtime = self.runtime.clone();
        self.stop().await;
        if let Some(runtime) = runtime {
            end_pods(&*runtime).await;
        }
    }
}

/// Deletes the Node object of a node that runs no pods: it may have run some before, and while the
/// object is there pods would be given to it.
async fn forget_own_node(storage: Storage, name: String) {
    let nodes = storage.typed::<Node>();
    loop {
        match nodes.delete("", &name, &DeleteOptions::default()).await {
            Ok(_) => return tracing::info!("this node runs no pods any more"),
            Err(error) if error.reason == Reason::NotFound => return,
            Err(error) => tracing::debug!(%error, "the Node object is not deleted yet"),
        }
        tokio::time::sleep(FORGET_PAUSE).await;
    }
}

/// Answers for services that have stopped: what served before holds the store, which must close.
struct Stopped;

#[async_trait]
impl Handler for Stopped {
    async fn request(&self, _from: NodeId, _body: Bytes) -> Result<Bytes, String> {
        Err("this node has stopped".to_owned())
    }
}

async fn end_pods(runtime: &dyn ContainerRuntime) {
    let sandboxes = match runtime.list_sandboxes(None).await {
        Ok(sandboxes) => sandboxes,
        Err(error) => {
            tracing::error!(%error, "the pods of this host were not ended");
            return;
        }
    };
    for sandbox in sandboxes {
        if let Err(error) = runtime.remove_sandbox(&sandbox.id).await {
            let pod = format!("{}/{}", sandbox.namespace, sandbox.name);
            tracing::error!(pod, %error, "a pod of this host was not ended");
        }
    }
}

fn api(
    core: &Core,
    agent: Option<Agent>,
    registry: Registry,
    audit: Option<Arc<Audit>>,
    cancel: CancellationToken,
) -> Api {
    let hosts = Arc::new(Hosts {
        node_name: core.name.clone(),
        transport: core.transport.clone(),
        liveness: core.liveness.clone(),
        membership: core.membership.clone(),
        agent,
    });
    let view = View {
        node_name: core.name.clone(),
        cluster_id: core.cluster_id.clone(),
        raft: core.raft.clone(),
        replica: core.replica.clone(),
        membership: core.membership.clone(),
        sides: core.sides.clone(),
        liveness: core.liveness.clone(),
        registrations: core.registrations.clone(),
        authority: Authority::new(core.store.clone()),
        storage: core.storage.clone(),
        hosts: hosts.clone(),
        registry,
    };
    let config = ApiConfig { audit, ..ApiConfig::default() };
    Api::new(core.storage.clone(), hosts, Arc::new(view), config, cancel)
}

fn start_agent(
    core: &Core,
    workload: Workload,
    tasks: &TaskTracker,
    cancel: CancellationToken,
) -> Agent {
    let storage = core.storage.clone();
    let recorder = EventRecorder::start(&storage, "skein-agent", &core.name, tasks, cancel.clone());
    Agent::start(workload.agent, storage, workload.runtime, workload.network, recorder, cancel)
}

/// Decides for the cluster whenever this node leads, and is ready to while it holds a replica.
fn lead(
    core: &Core,
    config: ControllerConfig,
    metrics: Metrics,
    tasks: &TaskTracker,
    cancel: CancellationToken,
) {
    let liveness = core.node_liveness(tasks, cancel.clone());
    let store = core.store.clone();
    let node_name = core.name.clone();
    let work = move |standby, reign| {
        let context = LeaderContext {
            store: store.clone(),
            standby,
            node_name: node_name.clone(),
            liveness: liveness.clone(),
            config: config.clone(),
            metrics: metrics.clone(),
        };
        skein_controllers::run(context, reign)
    };
    let (store, raft) = (core.store.clone(), core.raft.clone());
    tasks.spawn(stand_by(store, raft, cancel.clone(), work));
    let events = EventRecorder::start(&core.storage, AUTOPILOT, &core.name, tasks, cancel.clone());
    let recording =
        decisions::record(core.decisions(), core.liveness.clone(), core.storage.clone(), events);
    tasks.spawn(cancel.run_until_cancelled_owned(recording));
}
