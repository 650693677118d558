//! All controllers together on the in-memory store, with hosts that are simulated: a paused clock
//! and conditions to wait for, never a pause of its own.

mod custom;
mod scenarios;
mod store_faults;
mod take_over;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use k8s_openapi::{
    api::{
        apps::v1::{Deployment, ReplicaSet},
        core::v1::{Node, NodeCondition, Pod, PodCondition},
    },
    jiff::Timestamp,
};
use prometheus_client::{encoding::text::encode, registry::Registry};
use serde_json::json;
use skein_consensus::{MemoryStore, SharedStore};
use skein_storage::{DeleteOptions, Storage};
use tokio::{sync::watch, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{
    ControllerConfig, LeaderContext, Liveness, Metrics, NodeLiveness, Standby, pod::seen, run,
};

/// How long, in simulated time, a condition may take to come true.
const DEADLINE: Duration = Duration::from_secs(60);

/// How often, in simulated time, hosts act and conditions are looked at.
const STEP: Duration = Duration::from_millis(5);

/// A cluster whose hosts are simulated.
struct World {
    store: SharedStore,
    storage: Storage,
    liveness: watch::Sender<Liveness>,
    leader: CancellationToken,
    tasks: JoinSet<()>,
    metrics: Metrics,
}

impl World {
    /// Starts a leader and these hosts.
    async fn with_hosts(names: &[&str]) -> Self {
        Self::over(MemoryStore::new(), names).await
    }

    /// The same over a store of the test's own.
    async fn over(store: SharedStore, names: &[&str]) -> Self {
        let storage = Storage::new(store.clone());
        let (liveness, _) = watch::channel(Liveness::default());
        let leader = CancellationToken::new();
        let (tasks, metrics) = (JoinSet::new(), Metrics::default());
        let mut world = Self { store, storage, liveness, leader, tasks, metrics };
        for name in names {
            world.set_alive(name, true);
        }
        world.lead("h1");
        let hosts = Hosts { storage: world.storage.clone(), liveness: world.liveness.subscribe() };
        world.tasks.spawn(hosts.run());
        for name in names {
            world.storage.typed::<Node>().create(&node(name)).await.unwrap();
        }
        world
            .until("the default namespace is there", async |world| {
                let accounts = world.storage.typed::<k8s_openapi::api::core::v1::ServiceAccount>();
                accounts.get("default", "default").await.unwrap().is_some()
            })
            .await;
        world
    }

    /// Starts the work of a leader beside any other that may be there.
    fn lead(&mut self, node_name: &str) {
        self.lead_over(self.store.clone(), Standby::start(&self.store), node_name);
    }

    /// The same with a store of its own and what is known of it already.
    fn lead_over(&mut self, store: SharedStore, standby: Standby, node_name: &str) {
        let context = LeaderContext {
            store,
            standby,
            node_name: node_name.to_owned(),
            liveness: self.liveness.subscribe(),
            config: ControllerConfig::default(),
            metrics: self.metrics.clone(),
        };
        self.leader = CancellationToken::new();
        self.tasks.spawn(run(context, self.leader.clone()));
    }

    fn set_alive(&self, name: &str, alive: bool) {
        self.liveness.send_modify(|liveness| {
            let mut changed = BTreeMap::clone(liveness);
            changed.insert(name.to_owned(), NodeLiveness { alive, since: Timestamp::now() });
            *liveness = Arc::new(changed);
        });
    }

    /// What Prometheus would read.
    fn scraped(&self) -> String {
        let mut registry = Registry::default();
        self.metrics.register(&mut registry);
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        text
    }

    /// Waits until the condition holds.
    async fn until(&self, what: &str, condition: impl AsyncFn(&Self) -> bool) {
        let reached = tokio::time::timeout(DEADLINE, async {
            while !condition(self).await {
                tokio::time::sleep(STEP).await;
            }
        });
        if reached.await.is_err() {
            for pod in self.pods().await {
                eprintln!("{}", serde_json::to_string(&pod).unwrap());
            }
            for node in self.storage.typed::<Node>().list(None).await.unwrap() {
                eprintln!("{}", serde_json::to_string(&node).unwrap());
            }
            for set in self.storage.typed::<ReplicaSet>().list(None).await.unwrap() {
                eprintln!("{}", serde_json::to_string(&set).unwrap());
            }
            panic!("never came true: {what}");
        }
    }

    async fn pods(&self) -> Vec<Pod> {
        self.storage.typed().list(Some("default")).await.unwrap()
    }

    /// The pods that count, by node.
    async fn running(&self) -> BTreeMap<String, usize> {
        let mut running = BTreeMap::new();
        for pod in self.pods().await.iter().map(seen).filter(|pod| pod.is_active()) {
            if pod.ready_since.is_some() {
                *running.entry(pod.node.unwrap().to_string()).or_default() += 1;
            }
        }
        running
    }

    async fn deploy(&self, name: &str, replicas: i32, image: &str) {
        self.storage.typed().create(&deployment(name, replicas, image)).await.unwrap();
    }

    async fn deployment(&self, name: &str) -> Deployment {
        self.storage.typed().get("default", name).await.unwrap().unwrap()
    }

    async fn change(&self, name: &str, change: impl FnMut(&mut Deployment) + Send) {
        self.storage.typed::<Deployment>().modify("default", name, change).await.unwrap();
    }

    /// Waits until the deployment says of itself what `kubectl rollout status` waits for.
    async fn until_rolled_out(&self, name: &str) {
        self.until("the rollout is complete", async |world| {
            let deployment = world.deployment(name).await;
            let wanted = deployment.spec.as_ref().unwrap().replicas;
            let status = deployment.status.unwrap_or_default();
            status.observed_generation == deployment.metadata.generation
                && status.updated_replicas == wanted
                && status.replicas == wanted
                && status.available_replicas == wanted
        })
        .await;
    }
}

/// The agents of all hosts: living ones run their pods, end them when told to and say that they
/// are ready.
struct Hosts {
    storage: Storage,
    liveness: watch::Receiver<Liveness>,
}

impl Hosts {
    async fn run(self) {
        loop {
            self.step().await;
            tokio::time::sleep(STEP).await;
        }
    }

    async fn step(&self) {
        let liveness = self.liveness.borrow().clone();
        let lives = |name: &str| liveness.get(name).is_some_and(|node| node.alive);
        let nodes = self.storage.typed::<Node>();
        for node in nodes.list(None).await.unwrap() {
            let name = node.metadata.name.clone().unwrap();
            if lives(&name) && !is_ready(&node) {
                nodes.modify_status("", &name, make_ready).await.unwrap();
            }
        }
        let pods = self.storage.typed::<Pod>();
        for pod in pods.list(None).await.unwrap() {
            let known = seen(&pod);
            if !known.node.as_deref().is_some_and(lives) {
                continue;
            }
            let (namespace, name) = (&known.namespace, &known.name);
            if known.is_terminating {
                let options =
                    DeleteOptions { grace_period_seconds: Some(0), ..DeleteOptions::default() };
                pods.delete(namespace, name, &options).await.unwrap();
            } else if known.ready_since.is_none() && !is_broken(&pod) {
                pods.modify_status(namespace, name, run_pod).await.unwrap();
            }
        }
    }
}

/// An image that never becomes ready.
const BROKEN: &str = "example.com/broken:1";

fn is_broken(pod: &Pod) -> bool {
    pod.spec.as_ref().unwrap().containers[0].image.as_deref() == Some(BROKEN)
}

fn run_pod(pod: &mut Pod) {
    let status = pod.status.get_or_insert_default();
    status.phase = Some("Running".into());
    let conditions = status.conditions.get_or_insert_default();
    conditions.retain(|condition| condition.type_ != "Ready");
    conditions.push(PodCondition {
        type_: "Ready".into(),
        status: "True".into(),
        last_transition_time: Some(Timestamp::now().into()),
        ..PodCondition::default()
    });
}

fn is_ready(node: &Node) -> bool {
    let conditions = node.status.as_ref().and_then(|status| status.conditions.as_ref());
    conditions.into_iter().flatten().any(|one| one.type_ == "Ready" && one.status == "True")
}

fn make_ready(node: &mut Node) {
    let conditions = node.status.get_or_insert_default().conditions.get_or_insert_default();
    conditions.retain(|condition| condition.type_ != "Ready");
    conditions.push(NodeCondition {
        type_: "Ready".into(),
        status: "True".into(),
        last_transition_time: Some(Timestamp::now().into()),
        ..NodeCondition::default()
    });
}

fn node(name: &str) -> Node {
    let node = json!({
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}},
        "status": {"allocatable": {"cpu": "4", "memory": "8Gi", "pods": "110"}},
    });
    let mut node: Node = serde_json::from_value(node).unwrap();
    make_ready(&mut node);
    node
}

fn deployment(name: &str, replicas: i32, image: &str) -> Deployment {
    serde_json::from_value(json!({
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "web", "image": image}]},
            },
        },
    }))
    .unwrap()
}
