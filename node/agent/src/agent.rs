//! The agent as the rest of the node holds it.

use std::sync::Arc;

use bytes::Bytes;
use futures::stream::BoxStream;
use k8s_openapi::api::core::v1::{Node, Pod};
use prometheus_client::registry::Registry;
use skein_objects::{StatusError, registry};
use skein_runtime::{ContainerRuntime, RuntimeError};
use skein_storage::{EventRecorder, Informer, Storage};
use tokio::{
    io::DuplexStream,
    net::TcpStream,
    sync::{Semaphore, watch},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    AgentConfig, Conversation, ExecRequest, LogError, LogLines, LogRequest, PodNetwork,
    allocation::Room,
    exec,
    host::{Health, Host, NetworkHealth},
    limits, logs,
    metrics::{MeasuredRuntime, Metrics},
    node,
    pods::{Pods, bound_to},
};

/// The agent of this host. Cheap to clone.
#[derive(Clone)]
pub struct Agent {
    host: Arc<Host>,
    tasks: TaskTracker,
    cancel: CancellationToken,
}

impl Agent {
    /// Starts the agent; it runs until `cancel`, and its containers longer.
    pub fn start(
        config: AgentConfig,
        storage: Storage,
        runtime: Arc<dyn ContainerRuntime>,
        network: Arc<dyn PodNetwork>,
        recorder: EventRecorder,
        cancel: CancellationToken,
    ) -> Self {
        let tasks = TaskTracker::new();
        let own = bound_to(config.node_name.clone());
        let kind = registry().of::<Pod>();
        let pods = Informer::start(&storage, kind.clone(), own, &tasks, cancel.clone());
        let nodes = Informer::<Node>::whole(&storage, &tasks, cancel.clone());
        let metrics = Metrics::new();
        let host = Arc::new(Host {
            room: Room::new(),
            starts: Arc::new(Semaphore::new(config.concurrent_starts.max(1))),
            pulls: Semaphore::new(limits::CONCURRENT_PULLS),
            health: watch::Sender::new(Health::Unknown),
            network_health: watch::Sender::new(NetworkHealth::NoRange),
            config,
            storage,
            runtime: Arc::new(MeasuredRuntime::new(runtime, metrics.clone())),
            network,
            recorder,
            metrics,
        });
        let agent = Self { host: Arc::clone(&host), tasks, cancel };
        agent.run({
            let host = Arc::clone(&host);
            async move { host.watch_health().await }
        });
        agent.run(node::run(Arc::clone(&host), nodes));
        agent.run(Pods::new(host, pods).run());
        agent.tasks.close();
        agent
    }

    fn run(&self, task: impl Future<Output = ()> + Send + 'static) {
        let cancel = self.cancel.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                () = cancel.cancelled() => {}
                () = task => {}
            }
        });
    }

    /// Puts what this host counts where Prometheus reads it.
    pub fn register_metrics(&self, registry: &mut Registry) {
        self.host.metrics.register(registry);
    }

    /// The log of a container of a pod on this host.
    ///
    /// # Errors
    /// When there is no such pod here or no such container, or when it has no log yet.
    pub async fn logs(&self, request: LogRequest) -> Result<LogLines, LogError> {
        logs::open(&self.host, request).await
    }

    /// Starts a process in a container of a pod on this host, or attaches to the container's own.
    ///
    /// # Errors
    /// When no such container runs here, or the command cannot be run.
    pub async fn exec(&self, request: ExecRequest) -> Result<Conversation, StatusError> {
        exec::start(&self.host, request).await
    }

    /// The same for somebody on this host, who gets the client's end of the conversation.
    ///
    /// # Errors
    /// As [`Agent::exec`].
    pub async fn converse(&self, request: ExecRequest) -> Result<DuplexStream, StatusError> {
        let conversation = self.exec(request).await?;
        let (near, far) = tokio::io::duplex(limits::CONVERSATION_BYTES);
        self.run(conversation.carry(far));
        Ok(near)
    }

    /// Connects to a port that a pod on this host listens on, as if from inside the pod.
    ///
    /// # Errors
    /// 404 where the pod does not run here, 503 where nothing takes the connection.
    pub async fn connect(&self, pod_uid: &str, port: u16) -> Result<TcpStream, StatusError> {
        exec::connect(&self.host, pod_uid, port).await
    }

    /// Loads an image archive, the format of `docker save`, and returns the names loaded.
    ///
    /// # Errors
    /// When the archive or the runtime is not well.
    pub async fn load_image(
        &self,
        archive: BoxStream<'static, std::io::Result<Bytes>>,
    ) -> Result<Vec<String>, RuntimeError> {
        self.host.runtime.load_image(archive).await
    }

    /// Returns once every task of the agent has ended after it was cancelled.
    pub async fn stopped(&self) {
        self.tasks.wait().await;
    }
}
