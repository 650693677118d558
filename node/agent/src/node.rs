//! The node's own object: who this host is, and whether it can run pods.
//!
//! Heartbeats go by gossip. The object is written when something changed, and when somebody said
//! that this node is not ready though it is.

mod object;
mod pace;
mod routes;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use k8s_openapi::api::core::v1::{Node, NodeCondition};
use skein_objects::{Reason, StatusError};
use skein_storage::{EventType, Informer};
use tokio::time::{Instant, interval, sleep_until};

use crate::{
    checkpoint::{self, KeptNetwork},
    host::{Health, Host, NetworkHealth},
    limits,
};
use object::{Facts, MachineIds, with_facts, with_labels};
use pace::{Cause, next_gap};
use routes::routes;

/// Keeps the node's object and this host's range and routes, until dropped.
pub(crate) async fn run(host: Arc<Host>, informer: Informer<Node>) {
    let mut keeper = Keeper::new(host, informer).await;
    let mut changes = keeper.informer.changes();
    let mut health = keeper.host.health.subscribe();
    let mut timer = interval(limits::RESYNC);
    // No write before this; none is due where absent.
    let mut write_at = Some(Instant::now());
    let mut failures = 0_u32;
    let (mut gap, mut written_at) = (limits::NODE_WRITE_GAP, Instant::now());
    loop {
        keeper.keep_network().await;
        if write_at.is_none_or(|at| at <= Instant::now()) {
            write_at = match keeper.keep_object().await {
                Ok(written) => {
                    failures = 0;
                    written.map(|cause| {
                        gap = next_gap(gap, written_at.elapsed(), cause);
                        written_at = Instant::now();
                        written_at + gap
                    })
                }
                Err(error) => {
                    tracing::debug!(%error, "node status not written");
                    let delay = limits::STORE_DELAY * 2_u32.saturating_pow(failures.min(10));
                    failures = failures.saturating_add(1);
                    Some(Instant::now() + delay.min(limits::STORE_DELAY_MAX))
                }
            };
        }
        let retry = keeper.retry_at(write_at);
        tokio::select! {
            change = changes.next() => if change.is_none() { return },
            changed = health.changed() => if changed.is_err() { return },
            _ = timer.tick() => keeper.routes_due = true,
            () = sleep_until(retry.unwrap_or_else(Instant::now)), if retry.is_some() => {}
        }
    }
}

struct Keeper {
    host: Arc<Host>,
    informer: Informer<Node>,
    machine: MachineIds,
    /// What was last given to the host's network.
    given: KeptNetwork,
    /// What is on disk, at first from when this process last ran; serves until the store has
    /// answered.
    kept: KeptNetwork,
    /// The routes given may have been lost since, as when a link goes down and up.
    routes_due: bool,
}

impl Keeper {
    async fn new(host: Arc<Host>, informer: Informer<Node>) -> Self {
        let (data_dir, disk) = (host.config.data_dir.clone(), host.config.disk_work);
        let kept = disk.run(move || checkpoint::network(&data_dir)).await.unwrap_or_default();
        let given = KeptNetwork::default();
        Self { machine: MachineIds::read(), host, informer, given, kept, routes_due: false }
    }

    /// Makes the node's object or brings it up to date; tells why if it was written.
    async fn keep_object(&self) -> Result<Option<Cause>, StatusError> {
        if *self.host.health.borrow() == Health::Unknown {
            return Ok(None);
        }
        let nodes = self.host.storage.typed::<Node>();
        let name = &self.host.config.node_name;
        let Some(known) = self.informer.get("", name) else {
            self.register().await?;
            return Ok(Some(Cause::Change));
        };
        if with_labels(&known, &self.host.config) != *known {
            nodes.modify("", name, |node| *node = with_labels(node, &self.host.config)).await?;
            return Ok(Some(Cause::Change));
        }
        if with_facts(&known, &self.facts()) == *known {
            return Ok(None);
        }
        let written =
            nodes.modify_status("", name, |node| *node = with_facts(node, &self.facts())).await?;
        self.tell(&known, &written);
        // This node itself never says that nothing is known of it.
        let doubted = ready(&known).is_some_and(|condition| condition.status == "Unknown");
        Ok(Some(if doubted { Cause::Doubt } else { Cause::Change }))
    }

    async fn register(&self) -> Result<(), StatusError> {
        let nodes = self.host.storage.typed::<Node>();
        let name = &self.host.config.node_name;
        let mut node = Node::default();
        node.metadata.name = Some(name.clone());
        let node = with_labels(&node, &self.host.config);
        match nodes.create(&node).await {
            Ok(_) => tracing::info!(name, "node registered"),
            Err(error) if error.reason == Reason::AlreadyExists => {}
            Err(error) => return Err(error),
        }
        let written =
            nodes.modify_status("", name, |node| *node = with_facts(node, &self.facts())).await?;
        self.tell(&node, &written);
        Ok(())
    }

    fn facts(&self) -> Facts<'_> {
        Facts {
            config: &self.host.config,
            machine: &self.machine,
            health: self.host.health.borrow().clone(),
            network: self.host.network_health.borrow().clone(),
            now: self.host.config.clock.now(),
        }
    }

    /// Tells people when the node became ready or ceased to be.
    fn tell(&self, before: &Node, after: &Node) {
        let ready = |node: &Node| ready(node).map(|condition| condition.status.clone());
        let name = &self.host.config.node_name;
        match (ready(before).as_deref(), ready(after).as_deref()) {
            (old, Some("True")) if old != Some("True") => {
                let message = format!("Node {name} status is now: NodeReady");
                self.host.recorder.event(after, EventType::Normal, "NodeReady", message);
            }
            (Some("True"), Some(_)) => {
                let message = format!("Node {name} status is now: NodeNotReady");
                self.host.recorder.event(after, EventType::Warning, "NodeNotReady", message);
            }
            _ => {}
        }
    }

    /// What the host's network is to be, as far as is known.
    fn wanted(&self) -> KeptNetwork {
        if !self.informer.is_synced() {
            return self.kept.clone();
        }
        let name = self.host.config.node_name.as_str();
        let own = self.informer.get("", name);
        KeptNetwork {
            range: own.and_then(|node| node.spec.as_ref()?.pod_cidr.clone()),
            routes: routes(&self.informer.list(), name),
        }
    }

    /// Gives the range assigned to this node and the routes to the others to the host's network.
    async fn keep_network(&mut self) {
        let wanted = self.wanted();
        let Some(range) = &wanted.range else { return };
        if self.given.range.as_ref() != Some(range) {
            let health = match self.host.network.set_range(range).await {
                Ok(()) => {
                    tracing::info!(range, "pod range set");
                    self.given.range = Some(range.clone());
                    NetworkHealth::Well
                }
                Err(error) => NetworkHealth::Ill(error.to_string()),
            };
            self.host.network_health.send_replace(health);
        }
        let routes_differ = self.routes_due || self.given.routes != wanted.routes;
        if self.given.range.is_some() && routes_differ {
            match self.host.network.set_routes(&wanted.routes).await {
                Ok(()) => {
                    self.given.routes.clone_from(&wanted.routes);
                    self.routes_due = false;
                }
                Err(error) => tracing::warn!(%error, "cannot set the routes to the other hosts"),
            }
        }
        // A host that cannot be reached now must not cost the next start its range.
        if self.given.range == wanted.range && self.kept != wanted {
            self.keep(wanted).await;
        }
    }

    /// Keeps the network on disk for a start without the store.
    async fn keep(&mut self, network: KeptNetwork) {
        let data_dir = self.host.config.data_dir.clone();
        let saved = network.clone();
        let disk = self.host.config.disk_work;
        match disk.run(move || checkpoint::save_network(&data_dir, &saved)).await {
            Ok(Ok(())) => self.kept = network,
            Ok(Err(error)) => tracing::warn!(%error, "cannot keep the pod range"),
            Err(error) => tracing::warn!(%error, "cannot keep the pod range"),
        }
    }

    /// When to come back though nothing is heard: for the next write, or for a network that could
    /// not be set up.
    fn retry_at(&self, write_at: Option<Instant>) -> Option<Instant> {
        let wanted = self.wanted();
        let network = (wanted.range.is_some() && (wanted != self.given || self.routes_due))
            .then(|| Instant::now() + limits::STORE_DELAY_MAX);
        write_at.into_iter().chain(network).min()
    }
}

fn ready(node: &Node) -> Option<&NodeCondition> {
    let conditions = node.status.as_ref()?.conditions.as_ref()?;
    conditions.iter().find(|condition| condition.type_ == "Ready")
}
