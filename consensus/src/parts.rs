//! What the parts of a replica share.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use openraft::{Instant as _, async_runtime::WatchReceiver};
use skein_net::{NodeId, Transport};
use tokio::{
    sync::{Notify, watch},
    time::{Duration, Instant},
};
use tokio_util::sync::CancellationToken;

use crate::{PeerState, Peers, elections::measured::Measured, epochs::Epochs, limits};
use skein_store::{Epoch, Raft, Space, Vote};

/// Handles; cheap to clone.
#[derive(Clone)]
pub(crate) struct Parts {
    pub(crate) raft: Raft,
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) measured: Arc<Measured>,
    pub(crate) epochs: Arc<Epochs>,
    pub(crate) peers: watch::Receiver<Peers>,
    /// What is wrong with the files, if they cannot be used: the replica takes part in nothing
    /// until it has left the group and starts anew.
    pub(crate) damage: Option<Arc<str>>,
    /// Whether the disk has room for more.
    pub(crate) space: watch::Receiver<Space>,
    /// The members that asked to be let go, and when each did last.
    pub(crate) leaving: Arc<Mutex<BTreeMap<NodeId, Instant>>>,
    /// Tells that an order was written down.
    pub(crate) ordered: Arc<Notify>,
    /// Fires when an order waits for the replica to be started again.
    pub(crate) restart: CancellationToken,
    /// Fires when the replica stops.
    pub(crate) cancel: CancellationToken,
}

impl Parts {
    /// This node.
    pub(crate) fn own(&self) -> NodeId {
        self.transport.local_id()
    }

    /// Whether this node leads, as far as Raft has told.
    pub(crate) fn leads(&self) -> bool {
        self.raft.server_metrics().borrow_watched().state.is_leader()
    }

    /// Whether the disk has no room for more entries.
    pub(crate) fn is_full(&self) -> bool {
        *self.space.borrow() == Space::Low
    }

    /// Whether this replica belongs to a group. One that does not holds nothing and has promised
    /// nothing.
    pub(crate) fn is_initialized(&self) -> bool {
        let metrics = self.raft.server_metrics();
        let metrics = metrics.borrow_watched();
        metrics.membership_config.membership().voter_ids().next().is_some()
    }

    /// Takes note of the epoch a message of `from` names; whether the two may deal with each
    /// other. An empty replica enters a newer epoch as it is.
    pub(crate) fn meet(&self, from: NodeId, other: Epoch) -> bool {
        if other.number <= self.epochs.current().number || self.is_initialized() {
            return self.epochs.meet(from, other);
        }
        tracing::info!(epoch = %other, %from, "an empty replica enters the cluster's epoch");
        match self.epochs.adopt(other) {
            Ok(()) => self.ordered.notify_one(),
            Err(error) => tracing::error!(%error, "the epoch to enter was not written down"),
        }
        false
    }

    /// Whether this node knows a leader and believes it alive: heard of lately, and not dead; or
    /// itself, with a majority answering.
    pub(crate) fn hears_leader(&self) -> Option<NodeId> {
        let silence = self.measured.timeouts().silence;
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow_watched();
        let leader = metrics.current_leader.map(NodeId)?;
        let own = self.own();
        let hears = if metrics.state.is_leader() {
            let voters = metrics.membership_config.membership().voter_ids();
            let alone = voters.map(NodeId).eq([own]);
            alone || metrics.last_quorum_acked.is_some_and(|at| at.elapsed() < silence)
        } else {
            leader != own
                && self.measured.silent_for().is_some_and(|ago| ago < silence)
                && !is_dead(&self.peers.borrow(), leader)
        };
        hears.then_some(leader)
    }

    /// How long a voter may leave its leader without an answer before it counts as missing.
    pub(crate) fn voter_patience(&self) -> Duration {
        (self.measured.timeouts().silence * 2).max(limits::VOTER_SILENCE)
    }

    /// Remembers that `node` asks to be let go.
    pub(crate) fn note_leaving(&self, node: NodeId) {
        let mut leaving = self.leaving.lock().unwrap_or_else(PoisonError::into_inner);
        leaving.insert(node, Instant::now());
    }

    /// The members that asked to be let go lately.
    pub(crate) fn leaving(&self) -> Vec<NodeId> {
        let mut leaving = self.leaving.lock().unwrap_or_else(PoisonError::into_inner);
        leaving.retain(|_, asked_at| asked_at.elapsed() < limits::LEAVE_MEMORY);
        leaving.keys().copied().collect()
    }

    /// The vote a message must carry at least not to be of a deposed leader.
    pub(crate) fn vote(&self) -> Vote {
        self.raft.server_metrics().borrow_watched().vote
    }
}

/// Whether membership says that `id` does not answer.
pub(crate) fn is_dead(peers: &[PeerState], id: NodeId) -> bool {
    peers.iter().any(|peer| peer.id == id && !peer.alive)
}
