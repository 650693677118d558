//! What others say about life and death, and whom to pass it on to.

use std::time::SystemTime;

use rand::Rng;
use tokio::time::Instant;

use super::{Action, View};
use crate::{
    NodeId,
    limits::{EVERYBODY_WATCHES, GOODBYES, TELL},
    membership::{
        peer::{Cause, Standing},
        probe::Tidings,
    },
};

impl View {
    /// The host of `id` says that nobody listens at its port. Whom to tell to knock there too.
    pub(in crate::membership) fn refused(
        &mut self,
        id: NodeId,
        now: Instant,
        wall: SystemTime,
        rng: &mut impl Rng,
    ) -> Vec<Action> {
        // It is an answer, if not the peer's.
        self.hears(now, now);
        let alive = self.peers.get(&id).is_some_and(|peer| peer.standing == Standing::Alive);
        if alive && self.room() == 0 {
            self.accused.insert(id);
            return Vec::new();
        }
        let is_new = self.change(id, wall, |peer| peer.suspect(Cause::Refused, now));
        // Where everybody watches everybody, all knock anyway.
        let tell = is_new && self.present.len() > EVERYBODY_WATCHES;
        if tell { self.hint(id, now, rng) } else { Vec::new() }
    }

    /// Another node says that the host of this run of `id` refuses it: worth a knock, no more.
    pub(in crate::membership) fn hinted(
        &mut self,
        id: NodeId,
        run: u64,
        now: Instant,
        rng: &mut impl Rng,
    ) -> Vec<Action> {
        if !self.lives(id, run) {
            return Vec::new();
        }
        let mut actions = self.hint(id, now, rng);
        if !actions.is_empty() {
            actions.push(Action::Knock(id));
        }
        actions
    }

    fn hint(&mut self, id: NodeId, now: Instant, rng: &mut impl Rng) -> Vec<Action> {
        let Some(peer) = self.peers.get_mut(&id) else { return Vec::new() };
        if !peer.hints.may_tell(now) {
            return Vec::new();
        }
        let tidings = Tidings::Refused { node: id, run: peer.run };
        self.tell(id, tidings, rng)
    }

    /// Whether this run of `id` is another node that is not known dead.
    fn lives(&self, id: NodeId, run: u64) -> bool {
        let peer = self.peers.get(&id).filter(|peer| id != self.own && peer.run == run);
        peer.is_some_and(|peer| matches!(peer.standing, Standing::Alive | Standing::Suspect(_)))
    }

    /// Another node says that this run of `id` is dead. Whom to pass that on to.
    pub(in crate::membership) fn told(
        &mut self,
        id: NodeId,
        run: u64,
        now: Instant,
        wall: SystemTime,
        rng: &mut impl Rng,
    ) -> Vec<Action> {
        if !self.lives(id, run) {
            return Vec::new();
        }
        self.accused.insert(id);
        self.try_accused(now, wall);
        self.tell_dead(id, now, rng)
    }

    /// This run of `id` has said goodbye. Whom to tell.
    pub(in crate::membership) fn left(
        &mut self,
        id: NodeId,
        run: u64,
        now: Instant,
        wall: SystemTime,
        rng: &mut impl Rng,
    ) -> Vec<Action> {
        let believed = self.change(id, wall, |peer| {
            let believed = peer.run <= run;
            if believed {
                peer.left(now);
            }
            believed
        });
        if believed { self.tell_dead(id, now, rng) } else { Vec::new() }
    }

    pub(super) fn tell_dead(
        &mut self,
        id: NodeId,
        now: Instant,
        rng: &mut impl Rng,
    ) -> Vec<Action> {
        let Some(peer) = self.peers.get_mut(&id) else { return Vec::new() };
        if !peer.deaths.may_tell(now) {
            return Vec::new();
        }
        let tidings = Tidings::Dead { node: id, run: peer.run };
        self.tell(id, tidings, rng)
    }

    fn tell(&self, about: NodeId, tidings: Tidings, rng: &mut impl Rng) -> Vec<Action> {
        let count = TELL + self.present.len().checked_ilog2().unwrap_or(0) as usize;
        let to = self.some_living(about, count, rng);
        to.into_iter().map(|to| Action::Tell { to, tidings }).collect()
    }

    /// Whom this node tells itself that it leaves.
    pub(in crate::membership) fn goodbyes(&self, rng: &mut impl Rng) -> Vec<NodeId> {
        self.some_living(self.own, GOODBYES, rng)
    }
}
