//! A node as the scheduler sees it.

use std::collections::BTreeMap;

use crate::{Resources, Taint};

/// One node of the snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeView {
    /// The node's name.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its taints. A node that is not ready is expected to carry one that says so.
    pub taints: Vec<Taint>,
    /// Whether it is cordoned.
    pub unschedulable: bool,
    /// What all pods on it may ask for together.
    pub allocatable: Resources,
    /// How many pods it runs at most.
    pub max_pods: u64,
}
