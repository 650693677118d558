//! The node's own object: who this host is, and whether it can run pods.
//!
//! Heartbeats go by gossip. The object is written when something changed, and when somebody said
//! that this node is not ready though it is.

mod object;
mod routes;
#[cfg(test)]
mod tests;

use std::{pin::pin, sync::Arc};

use k8s_openapi::api::core::v1::{Node, NodeCondition};
use skein_objects::{Reason, StatusError};
use skein_storage::{EventType, Informer};
use tokio::time::{interval, sleep};

use crate::{
    host::{Health, Host, NetworkHealth},
    limits,
};
use object::{Facts, MachineIds, with_facts, with_labels};
use routes::routes;

/// Keeps the node's object and this host's range and routes, until dropped.
pub(crate) async fn run(host: Arc<Host>, informer: Informer<Node>) {
    let keeper = Keeper { machine: MachineIds::read(), host, informer };
    let mut changes = keeper.informer.changes();
    let mut health = keeper.host.health.subscribe();
    let mut timer = interval(limits::RESYNC);
    let mut failures = 0_u32;
    let mut range = None;
    let mut routed = None;
    loop {
        keeper.keep_network(&mut range, &mut routed).await;
        let kept = keeper.keep_object().await;
        let pause = match kept {
            Ok(false) => None,
            Ok(true) => Some(limits::NODE_WRITE_GAP),
            Err(error) => {
                tracing::debug!(%error, "node status not written");
                failures = failures.saturating_add(1);
                let delay = limits::STORE_DELAY * 2_u32.saturating_pow(failures.min(10));
                Some(delay.min(limits::STORE_DELAY_MAX))
            }
        };
        if let Some(pause) = pause {
            sleep(pause).await;
            continue;
        }
        failures = 0;
        let retry = pin!(keeper.network_retry());
        tokio::select! {
            change = changes.next() => if change.is_none() { return },
            changed = health.changed() => if changed.is_err() { return },
            _ = timer.tick() => {}
            () = retry => {}
        }
    }
}

struct Keeper {
    host: Arc<Host>,
    informer: Informer<Node>,
    machine: MachineIds,
}

impl Keeper {
    /// Makes the node's object or brings it up to date; true if it was written.
    async fn keep_object(&self) -> Result<bool, StatusError> {
        if *self.host.health.borrow() == Health::Unknown {
            return Ok(false);
        }
        let nodes = self.host.storage.typed::<Node>();
        let name = &self.host.config.node_name;
        let Some(known) = self.informer.get("", name) else {
            return self.register().await;
        };
        if with_labels(&known, &self.host.config) != *known {
            nodes.modify("", name, |node| *node = with_labels(node, &self.host.config)).await?;
            return Ok(true);
        }
        if with_facts(&known, &self.facts()) == *known {
            return Ok(false);
        }
        let written =
            nodes.modify_status("", name, |node| *node = with_facts(node, &self.facts())).await?;
        self.tell(&known, &written);
        Ok(true)
    }

    async fn register(&self) -> Result<bool, StatusError> {
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
        Ok(true)
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

    /// Gives the range assigned to this node and the routes to the others to the host's network.
    async fn keep_network(
        &self,
        range: &mut Option<String>,
        routed: &mut Option<Vec<crate::Route>>,
    ) {
        let nodes = self.informer.list();
        let name = self.host.config.node_name.as_str();
        let own = self.informer.get("", name);
        let assigned = own.and_then(|node| node.spec.as_ref()?.pod_cidr.clone());
        let Some(assigned) = assigned else { return };
        if range.as_ref() != Some(&assigned) {
            let health = match self.host.network.set_range(&assigned).await {
                Ok(()) => {
                    tracing::info!(range = assigned, "pod range set");
                    *range = Some(assigned);
                    NetworkHealth::Well
                }
                Err(error) => NetworkHealth::Ill(error.to_string()),
            };
            self.host.network_health.send_replace(health);
        }
        let wanted = routes(&nodes, name);
        if range.is_some() && routed.as_ref() != Some(&wanted) {
            match self.host.network.set_routes(&wanted).await {
                Ok(()) => *routed = Some(wanted),
                Err(error) => tracing::warn!(%error, "cannot set the routes to the other hosts"),
            }
        }
    }

    /// Comes back when a network that could not be set up is to be tried again.
    async fn network_retry(&self) {
        let ill = matches!(*self.host.network_health.borrow(), NetworkHealth::Ill(_));
        if ill {
            sleep(limits::STORE_DELAY_MAX).await;
        } else {
            std::future::pending::<()>().await;
        }
    }
}

fn ready(node: &Node) -> Option<&NodeCondition> {
    let conditions = node.status.as_ref()?.conditions.as_ref()?;
    conditions.iter().find(|condition| condition.type_ == "Ready")
}
