//! What leader-only work is given.

use std::{collections::BTreeMap, net::Ipv4Addr, sync::Arc, time::Duration};

use jiff::Timestamp;
use skein_consensus::SharedStore;
use skein_scheduler::Strategy;
use tokio::sync::watch;

use crate::{Metrics, Standby};

/// What the membership says about one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeLiveness {
    /// Whether it answers.
    pub alive: bool,
    /// Since when it does or does not.
    pub since: Timestamp,
}

/// The membership's verdicts by node name. A verdict of death is acted on at once, so it must be
/// confirmed before it is put here.
pub type Liveness = Arc<BTreeMap<String, NodeLiveness>>;

/// What may be chosen about the controllers.
#[derive(Clone, Debug)]
pub struct ControllerConfig {
    /// The range that nodes get their pod ranges from.
    pub pod_cidr: PodCidr,
    /// How pods are laid over nodes.
    pub strategy: Strategy,
    /// How long a node that answers but says it is not ready keeps its pods.
    pub not_ready_grace: Duration,
}

impl Default for ControllerConfig {
    fn default() -> Self {
        Self {
            pod_cidr: PodCidr::default(),
            strategy: Strategy::Spread,
            // Long enough to restart a container engine, a fifth of Kubernetes' patience.
            not_ready_grace: Duration::from_secs(60),
        }
    }
}

/// An IPv4 range that is cut into equal ranges for nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PodCidr {
    /// The first address.
    pub network: Ipv4Addr,
    /// The length of the whole range's prefix.
    pub prefix: u8,
    /// The length of a node's prefix.
    pub node_prefix: u8,
}

impl Default for PodCidr {
    /// 10.42.0.0/16, a /24 for each node.
    fn default() -> Self {
        Self { network: Ipv4Addr::new(10, 42, 0, 0), prefix: 16, node_prefix: 24 }
    }
}

/// Everything that [`crate::run`] needs.
pub struct LeaderContext {
    /// The store.
    pub store: SharedStore,
    /// What is known of it already.
    pub standby: Standby,
    /// The name of this node, as holder of the lease and source of events.
    pub node_name: String,
    /// Which nodes are alive.
    pub liveness: watch::Receiver<Liveness>,
    /// The choices.
    pub config: ControllerConfig,
    /// What the work is counted in.
    pub metrics: Metrics,
}
