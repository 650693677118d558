//! Whom this node has heard from lately, noted where messages arrive and looked at now and then.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::NodeId;

/// A message from a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Arrival {
    pub(super) at: Instant,
    /// How long after what it answers was sent, if it is an answer.
    pub(super) rtt: Option<Duration>,
}

/// The latest arrival from each node since they were last taken; nodes of this cluster only, so
/// there are never more than its members.
#[derive(Default)]
pub(super) struct Arrivals(Mutex<BTreeMap<NodeId, Arrival>>);

impl Arrivals {
    /// A message came by itself.
    pub(super) fn note(&self, from: NodeId) {
        self.insert(from, None);
    }

    /// An answer came to what was sent at `sent`.
    pub(super) fn note_answer(&self, from: NodeId, sent: Instant) {
        self.insert(from, Some(sent.elapsed()));
    }

    fn insert(&self, from: NodeId, rtt: Option<Duration>) {
        let mut arrivals = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = arrivals.get(&from).and_then(|arrival| arrival.rtt);
        arrivals.insert(from, Arrival { at: Instant::now(), rtt: rtt.or(before) });
    }

    pub(super) fn take(&self) -> BTreeMap<NodeId, Arrival> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
