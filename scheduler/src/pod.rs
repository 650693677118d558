//! Pods as the scheduler sees them.

use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

use crate::{Resources, Term, Toleration};

/// Transport protocol of a host port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

/// A port that a pod takes on its host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct HostPort {
    /// The address it binds; `None` is every address.
    pub address: Option<IpAddr>,
    /// Its protocol.
    pub protocol: Protocol,
    /// The port number.
    pub port: u16,
}

impl HostPort {
    /// Whether both cannot be bound on one host.
    pub(crate) fn conflicts(&self, other: &HostPort) -> bool {
        self.port == other.port
            && self.protocol == other.protocol
            && match (self.address, other.address) {
                (Some(mine), Some(theirs)) => mine == theirs,
                _ => true,
            }
    }
}

/// A pod that waits for a node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct PodView {
    /// What the pod asks for.
    pub requests: Arc<Resources>,
    /// The ports it takes on its host.
    pub host_ports: Arc<[HostPort]>,
    /// Labels its node must have.
    pub node_selector: BTreeMap<String, String>,
    /// Required node affinity: one of the terms must match. `None` asks for nothing.
    pub required_terms: Option<Vec<Term>>,
    /// The taints it may ignore.
    pub tolerations: Vec<Toleration>,
    /// Higher goes first.
    pub priority: i32,
    /// Names the set of equal pods it belongs to; [`crate::Strategy::Spread`] keeps those apart.
    pub owner: Option<Arc<str>>,
}

/// A pod that has its node and takes its share there. Cheap to make: there are as many as pods run
/// in the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BoundPod {
    /// The node's name; a pod on a node that the snapshot does not have counts nowhere.
    pub node: Arc<str>,
    /// What it asked for.
    pub requests: Arc<Resources>,
    /// The ports it has on its host.
    pub host_ports: Arc<[HostPort]>,
    /// The set of equal pods it belongs to.
    pub owner: Option<Arc<str>>,
}
