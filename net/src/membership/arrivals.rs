//! Whom this node has heard from lately, noted where messages arrive and looked at now and then.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use tokio::time::Instant;

use crate::NodeId;

/// The latest arrival from each node since they were last taken; nodes of this cluster only, so
/// there are never more than its members.
#[derive(Default)]
pub(super) struct Arrivals(Mutex<BTreeMap<NodeId, Instant>>);

impl Arrivals {
    pub(super) fn note(&self, from: NodeId) {
        let mut arrivals = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        arrivals.insert(from, Instant::now());
    }

    pub(super) fn take(&self) -> BTreeMap<NodeId, Instant> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
