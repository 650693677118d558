//! One host with its agent, and the hands that act on it.

use std::{net::IpAddr, sync::Arc, time::Duration};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{
    ContainerState, ContainerStatus, Event, Namespace, Node, NodeCondition, Pod, PodStatus,
};
use serde_json::{Value, json};
use skein_runtime::{ContainerInfo, ContainerRuntime, SimulatedRuntime};
use skein_storage::{Client, DeleteOptions, EventRecorder, Storage};
use tempfile::TempDir;
use tokio::time::{Instant, interval, timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::store::SwitchedStore;
use crate::{Agent, AgentConfig, Clock, SimulatedNetwork};

/// The longest a scenario waits for a condition, in the clock's time.
const DEADLINE: Duration = Duration::from_secs(900);
/// How often a condition is looked at.
const LOOK: Duration = Duration::from_millis(20);

pub(super) struct World {
    pub(super) runtime: SimulatedRuntime,
    pub(super) network: Arc<SimulatedNetwork>,
    pub(super) store: Arc<SwitchedStore>,
    pub(super) storage: Storage,
    pub(super) data: TempDir,
    clock: Clock,
    agent: Option<(Agent, CancellationToken)>,
}

impl World {
    /// A host whose agent runs and whose node is ready.
    pub(super) async fn start() -> Self {
        let mut world = Self::without_agent().await;
        world.start_agent();
        world.assign_range().await;
        world.until("the node is ready", async |world| world.ready().await.status == "True").await;
        world
    }

    pub(super) async fn without_agent() -> Self {
        let epoch: Timestamp = "2026-01-01T00:00:00Z".parse().expect("a time");
        let store = SwitchedStore::new();
        let world = Self {
            runtime: SimulatedRuntime::new(epoch),
            network: Arc::new(SimulatedNetwork::new()),
            storage: Storage::new(store.clone()),
            store,
            data: TempDir::new().expect("a directory"),
            clock: Clock::following_tokio(epoch),
            agent: None,
        };
        let mut namespace = Namespace::default();
        namespace.metadata.name = Some("default".into());
        world.storage.typed::<Namespace>().create(&namespace).await.expect("namespace");
        world
    }

    pub(super) fn start_agent(&mut self) {
        let cancel = CancellationToken::new();
        let ip: IpAddr = "10.77.0.1".parse().expect("an address");
        let mut config = AgentConfig::new("h1", ip, self.data.path().to_owned());
        config.clock = self.clock.clone();
        config.labels.insert("zone".into(), "a".into());
        let tasks = TaskTracker::new();
        let recorder = EventRecorder::start(&self.storage, "agent", "h1", &tasks, cancel.clone());
        let agent = Agent::start(
            config,
            self.storage.clone(),
            Arc::new(self.runtime.clone()),
            self.network.clone(),
            recorder,
            cancel.clone(),
        );
        self.agent = Some((agent, cancel));
    }

    pub(super) async fn stop_agent(&mut self) {
        let (agent, cancel) = self.agent.take().expect("a running agent");
        cancel.cancel();
        agent.stopped().await;
        self.network.forget_process();
    }

    /// The host starts anew: nothing runs, the disk is there.
    pub(super) async fn reboot(&self) {
        for sandbox in self.runtime.list_sandboxes(None).await.expect("sandboxes") {
            self.runtime.kill_sandbox(&sandbox.id);
        }
        for container in self.containers().await {
            self.runtime.exit_container(&container.id, 137);
        }
        self.network.cut_power();
    }

    pub(super) fn agent(&self) -> &Agent {
        &self.agent.as_ref().expect("a running agent").0
    }

    /// Gives the node its range, as the leader does.
    async fn assign_range(&self) {
        self.until("the node is registered", async |world| world.node().await.is_some()).await;
        let assign = |node: &mut Node| {
            node.spec.get_or_insert_default().pod_cidr = Some("10.42.3.0/24".into());
        };
        self.storage.typed::<Node>().modify("", "h1", assign).await.expect("range");
    }

    pub(super) async fn node(&self) -> Option<Node> {
        self.storage.typed::<Node>().get("", "h1").await.expect("node")
    }

    pub(super) async fn ready(&self) -> NodeCondition {
        let status = self.node().await.and_then(|node| node.status).unwrap_or_default();
        let conditions = status.conditions.unwrap_or_default();
        conditions.into_iter().find(|c| c.type_ == "Ready").unwrap_or_default()
    }

    /// Another host joins, with its range and address.
    pub(super) async fn add_peer(&self) {
        let other = json!({"metadata": {"name": "h2"}, "spec": {"podCIDR": "10.42.9.0/24"}});
        let other: Node = serde_json::from_value(other).expect("a node");
        self.storage.typed::<Node>().create(&other).await.expect("created");
        let address = |node: &mut Node| {
            let address = json!([{"type": "InternalIP", "address": "10.77.0.2"}]);
            let addresses = serde_json::from_value(address).expect("addresses");
            node.status.get_or_insert_default().addresses = Some(addresses);
        };
        self.storage.typed::<Node>().modify_status("", "h2", address).await.expect("address");
    }

    /// Says that nothing is known of the node, as the leader does.
    pub(super) async fn doubt(&self) {
        let doubt = |node: &mut Node| {
            let status = node.status.get_or_insert_default();
            for condition in status.conditions.iter_mut().flatten() {
                condition.status = "Unknown".into();
            }
        };
        self.storage.typed::<Node>().modify_status("", "h1", doubt).await.expect("doubt");
    }

    pub(super) fn pods(&self) -> Client<Pod> {
        self.storage.typed()
    }

    /// Makes a pod that is already bound here.
    pub(super) async fn create(&self, name: &str, mut spec: Value) -> Pod {
        spec["nodeName"] = json!("h1");
        let pod = json!({"metadata": {"name": name, "namespace": "default"}, "spec": spec});
        let pod: Pod = serde_json::from_value(pod).expect("a pod");
        self.pods().create(&pod).await.expect("created")
    }

    /// A pod of one container that runs this command.
    pub(super) async fn run(&self, name: &str, command: &[&str]) -> Pod {
        let container = json!({"name": "main", "image": "app:1", "command": command});
        self.create(name, json!({"containers": [container]})).await
    }

    pub(super) async fn pod(&self, name: &str) -> Option<Pod> {
        self.pods().get("default", name).await.expect("pod")
    }

    pub(super) async fn status(&self, name: &str) -> PodStatus {
        self.pod(name).await.and_then(|pod| pod.status).unwrap_or_default()
    }

    pub(super) async fn phase(&self, name: &str) -> String {
        self.status(name).await.phase.unwrap_or_default()
    }

    /// The status of the first container of a pod.
    pub(super) async fn container(&self, name: &str) -> ContainerStatus {
        let statuses = self.status(name).await.container_statuses.unwrap_or_default();
        statuses.into_iter().next().unwrap_or_default()
    }

    /// What the first container of a pod waits for.
    pub(super) async fn waiting(&self, name: &str) -> String {
        let waiting = self.container(name).await.state.and_then(|state| state.waiting);
        waiting.and_then(|waiting| waiting.reason).unwrap_or_default()
    }

    /// Exit code and reason of the first container of a pod, once it has ended.
    pub(super) async fn ended(&self, name: &str) -> Option<(i32, String)> {
        ended(self.container(name).await.state)
    }

    pub(super) async fn is_ready(&self, name: &str) -> bool {
        let conditions = self.status(name).await.conditions.unwrap_or_default();
        conditions.iter().any(|c| c.type_ == "Ready" && c.status == "True")
    }

    pub(super) async fn until_ready(&self, name: &str) {
        self.until("the pod is ready", async |world| world.is_ready(name).await).await;
    }

    pub(super) async fn delete(&self, name: &str, grace_seconds: Option<u64>) {
        let options =
            DeleteOptions { grace_period_seconds: grace_seconds, ..DeleteOptions::default() };
        self.pods().delete("default", name, &options).await.expect("deleted");
    }

    /// How often something was told with this reason.
    pub(super) async fn events(&self, reason: &str) -> i32 {
        let events = self.storage.typed::<Event>().list(None).await.expect("events");
        let told = events.iter().filter(|event| event.reason.as_deref() == Some(reason));
        told.map(|event| event.count.unwrap_or(1)).sum()
    }

    /// Every container the runtime has.
    pub(super) async fn containers(&self) -> Vec<ContainerInfo> {
        self.runtime.list_containers(None).await.expect("containers")
    }

    /// Waits for a condition.
    pub(super) async fn until(&self, what: &str, condition: impl AsyncFn(&Self) -> bool) {
        let wait = async {
            let mut look = interval(LOOK);
            loop {
                look.tick().await;
                if condition(self).await {
                    return;
                }
            }
        };
        assert!(timeout(DEADLINE, wait).await.is_ok(), "never came true: {what}");
    }

    /// Checks that a condition holds for a while.
    pub(super) async fn throughout(
        &self,
        span: Duration,
        what: &str,
        condition: impl AsyncFn(&Self) -> bool,
    ) {
        let end = Instant::now() + span;
        let mut look = interval(LOOK * 10);
        while Instant::now() < end {
            look.tick().await;
            assert!(condition(self).await, "ceased to be true: {what}");
        }
    }
}

/// Exit code and reason of a container that has ended.
pub(super) fn ended(state: Option<ContainerState>) -> Option<(i32, String)> {
    let terminated = state?.terminated?;
    Some((terminated.exit_code, terminated.reason.unwrap_or_default()))
}
