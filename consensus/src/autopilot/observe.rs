//! What the leader knows of every node, and what every node remembers of the others.

use std::collections::{BTreeMap, BTreeSet};

use openraft::{Instant as _, async_runtime::WatchReceiver};
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

    /// For how long a voter has answered this leader nothing although its host may be alive, if
    /// that is longer than `patience`: its replica has failed. `acknowledged` is how long ago it
    /// answered last; one that never did is judged by how long this node has led.
    fn silent_for(
        &self,
        acknowledged: Option<Duration>,
        patience: Duration,
        now: Instant,
    ) -> Option<Duration> {
        let led_for = || Some(now.duration_since(self.leading_since?));
        acknowledged.or_else(led_for).filter(|silence| *silence >= patience)
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
    let acknowledged = |id: u64| {
        let heartbeat = metrics.heartbeat.as_ref()?;
        heartbeat.get(&id)?.as_ref().map(|at| at.elapsed())
    };
    let patience = parts.voter_patience();
    let known = peers.iter().map(|peer| peer.id.0);
    let ids: BTreeSet<u64> = voters.iter().chain(&standbys).copied().chain(known).collect();
    let member = |id: u64| {
        let node = NodeId(id);
        let peer = peers.iter().find(|peer| peer.id == node);
        let own = id == metrics.id;
        let damaged = leaving.contains(&node);
        let silent_for = (!own && voters.contains(&id))
            .then(|| memory.silent_for(acknowledged(id), patience, now))
            .flatten();
        let dead_for = if own { None } else { memory.dead_for(peer, now).max(silent_for) };
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_voter_is_silent_by_its_last_answer_or_by_how_long_this_node_has_led() {
        let now = Instant::now() + Duration::from_secs(60);
        let since = |led_for| Memory {
            leading_since: Some(now - Duration::from_secs(led_for)),
            ..Memory::default()
        };
        let (second, minute) = (Duration::from_secs(1), Duration::from_secs(60));
        assert_eq!(since(60).silent_for(Some(Duration::ZERO), second, now), None);
        assert_eq!(since(60).silent_for(Some(minute), second, now), Some(minute));
        assert_eq!(since(60).silent_for(None, second, now), Some(minute));
        assert_eq!(since(0).silent_for(None, second, now), None);
    }
}
