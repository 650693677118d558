//! What the leader knows of every node, and what every node remembers of the others.

use std::collections::{BTreeMap, BTreeSet};

use openraft::async_runtime::WatchReceiver;
use skein_net::NodeId;
use tokio::time::{Duration, Instant};

use super::{Leaving, Member, MemberRole};
use crate::{PeerState, Peers, parts::Parts};

/// A node this many entries behind has caught up: it gets the rest with the next message.
const CAUGHT_UP_ENTRIES: u64 = 64;

/// What a node remembers of the others, whether it leads or not: whoever leads next knows for
/// how long each one has been dead.
#[derive(Default)]
pub(super) struct Memory {
    started: Option<Instant>,
    /// Whether each one is alive, and since when.
    since: BTreeMap<NodeId, (bool, Instant)>,
    leading_since: Option<Instant>,
}

impl Memory {
    /// Takes note of what membership says and of who leads; since when this node does.
    pub(super) fn note(&mut self, leads: bool, peers: &Peers, now: Instant) -> Option<Instant> {
        self.started.get_or_insert(now);
        self.since.retain(|id, _| peers.iter().any(|peer| peer.id == *id));
        for peer in peers.iter() {
            let entry = self.since.entry(peer.id).or_insert((peer.alive, now));
            if entry.0 != peer.alive {
                *entry = (peer.alive, now);
            }
        }
        self.leading_since = leads.then(|| self.leading_since.unwrap_or(now));
        self.leading_since
    }

    fn dead_for(&self, peer: Option<&PeerState>, now: Instant) -> Option<Duration> {
        let since = match peer {
            Some(peer) if peer.alive => return None,
            Some(peer) => self.since.get(&peer.id).map(|(_, since)| *since),
            // A member that nobody has heard of since this node started.
            None => self.started,
        };
        Some(since.map_or(Duration::ZERO, |since| now.duration_since(since)))
    }

    fn alive_for(&self, id: NodeId, now: Instant) -> Duration {
        match self.since.get(&id) {
            Some((true, since)) => now.duration_since(*since),
            Some((false, _)) | None => Duration::ZERO,
        }
    }
}

/// Every node the group or the membership knows.
pub(super) fn observe(parts: &Parts, memory: &Memory, now: Instant) -> Vec<Member> {
    let metrics = parts.raft.metrics();
    let metrics = metrics.borrow_watched();
    let peers = parts.peers.borrow();
    let leaving = parts.leaving();
    let membership = metrics.membership_config.membership();
    let voters: BTreeSet<u64> = membership.voter_ids().collect();
    let standbys: BTreeSet<u64> = membership.learner_ids().collect();
    let last = metrics.last_log_index.unwrap_or(0);
    let matched = |id: u64| {
        let replication = metrics.replication.as_ref()?;
        replication.get(&id)?.as_ref().map(|log_id| log_id.index)
    };
    let known = peers.iter().map(|peer| peer.id.0);
    let ids: BTreeSet<u64> = voters.iter().chain(&standbys).copied().chain(known).collect();
    let member = |id: u64| {
        let node = NodeId(id);
        let peer = peers.iter().find(|peer| peer.id == node);
        let own = id == metrics.id;
        let damaged = leaving.contains(&node);
        let dead_for = if own { None } else { memory.dead_for(peer, now) };
        Member {
            id: node,
            name: peer.map_or_else(|| node.to_string(), |peer| peer.name.clone()),
            zone: peer.map(|peer| peer.zone.clone()).unwrap_or_default(),
            role: if voters.contains(&id) {
                MemberRole::Voter
            } else if standbys.contains(&id) {
                MemberRole::Standby
            } else {
                MemberRole::Outside
            },
            leads: own,
            // Its host may be alive, but it answers nothing.
            dead_for: if damaged { dead_for.or(Some(Duration::ZERO)) } else { dead_for },
            alive_for: memory.alive_for(node, now),
            caught_up: own || matched(id).is_some_and(|index| index + CAUGHT_UP_ENTRIES >= last),
            witness: peer.is_some_and(|peer| peer.witness),
            leaving: match peer {
                Some(peer) if peer.removed => Some(Leaving::Removed),
                _ => damaged.then_some(Leaving::Damaged),
            },
        }
    };
    ids.into_iter().map(member).collect()
}
