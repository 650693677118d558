//! What gossip says of everybody, and how often and with whom to gossip.

use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    time::{Duration, SystemTime},
};

use rand::{Rng, seq::IndexedRandom};
use tokio::time::Instant;

use super::View;
use crate::{
    NodeId,
    limits::GOSSIP_PARTNERS,
    membership::peer::{Peer, Profile, Standing},
};

/// What gossip says of one node now.
#[derive(Clone, Debug)]
pub(in crate::membership) struct Gossiped {
    pub(in crate::membership) id: NodeId,
    /// Which run of the node says so; a later one is larger.
    pub(in crate::membership) run: u64,
    pub(in crate::membership) heartbeat: u64,
    /// How often it has published something.
    pub(in crate::membership) version: u64,
    /// What it publishes, unless [`View::knows`] it.
    pub(in crate::membership) values: Option<BTreeMap<String, String>>,
}

impl View {
    /// Whether nothing new is published by this run of `id` since `version`.
    pub(in crate::membership) fn knows(&self, id: NodeId, run: u64, version: u64) -> bool {
        self.peers.get(&id).is_some_and(|peer| (peer.run, peer.version) == (run, version))
    }

    /// Takes in all that gossip says now. Whom it says nothing of is forgotten.
    pub(in crate::membership) fn gossiped(
        &mut self,
        all: Vec<Gossiped>,
        now: Instant,
        wall: SystemTime,
    ) {
        let known: BTreeSet<NodeId> = all.iter().map(|node| node.id).collect();
        let before = self.peers.len();
        self.peers.retain(|id, _| known.contains(id));
        self.changed |= self.peers.len() != before;
        for Gossiped { id, run, heartbeat, version, values } in all {
            if let Some(values) = values {
                let Some(profile) = Profile::new(values) else { continue };
                self.introduce(id, profile, now, wall);
            }
            let Some(peer) = self.peers.get_mut(&id) else { continue };
            let shown = peer.shown_alive();
            if peer.run != run {
                peer.restarted(now);
                (peer.run, peer.heartbeat) = (run, 0);
            }
            peer.version = version;
            if heartbeat > peer.heartbeat {
                if peer.heartbeat_grew(now) {
                    self.recheck.insert(id);
                }
                peer.heartbeat = heartbeat;
            }
            if id == self.own {
                peer.standing = Standing::Alive;
            }
            self.changed |= peer.shown_alive() != shown;
            peer.stamp(shown, wall);
        }
        self.follow_number(now);
    }

    /// What a node says about itself is new.
    fn introduce(&mut self, id: NodeId, profile: Profile, now: Instant, wall: SystemTime) {
        match self.peers.entry(id) {
            Entry::Vacant(new) => {
                new.insert(Peer::new(profile, self.interval, now, wall));
            }
            Entry::Occupied(mut known) => {
                self.changed |= known.get().profile != profile;
                known.get_mut().profile = profile;
            }
        }
    }

    /// Gossips as often as suits the number of nodes known, and waits as long for their heartbeats.
    fn follow_number(&mut self, now: Instant) {
        let interval = interval_for(self.peers.len());
        if std::mem::replace(&mut self.interval, interval) != interval {
            for peer in self.peers.values_mut().filter(|peer| !peer.is_watched()) {
                peer.watch(false, interval, now);
            }
        }
    }

    /// How often to gossip.
    pub(in crate::membership) fn interval(&self) -> Duration {
        self.interval
    }

    /// With whom to gossip now: a few of those who are not known dead and, the more dead there are
    /// the more often, one of the dead, who may be back.
    pub(in crate::membership) fn partners(&self, rng: &mut impl Rng) -> Vec<NodeId> {
        let others = self.peers.iter().filter(|(id, _)| **id != self.own);
        let (dead, others): (Vec<_>, Vec<_>) =
            others.partition(|(_, peer)| matches!(peer.standing, Standing::Dead { .. }));
        let mut partners: Vec<NodeId> =
            others.choose_multiple(rng, GOSSIP_PARTNERS).map(|(id, _)| **id).collect();
        let share = dead.len() as f64 / (others.len() + 1) as f64;
        if rng.random_bool(share.min(1.0)) {
            partners.extend(dead.choose(rng).map(|(id, _)| **id));
        }
        partners
    }
}

/// How often nodes gossip when there are so many: a few of them hear news soon, many spend at most
/// one percent of a core.
pub(super) fn interval_for(nodes: usize) -> Duration {
    Duration::from_millis(match nodes {
        0..=50 => 200,
        51..=200 => 500,
        _ => 1000,
    })
}
