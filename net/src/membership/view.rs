//! All nodes known and what is to be done about them: decided here from what gossip, probes and
//! other nodes say, and from nothing else.

mod gossip;
mod tidings;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, SystemTime},
};

use rand::{Rng, seq::IndexedRandom};
use tokio::time::Instant;

pub(super) use self::gossip::Gossiped;
use super::{
    Member,
    arrivals::Arrival,
    belief::Belief,
    doubt::Doubt,
    peer::{Cause, Due, Peer, Standing},
    probe::Tidings,
    ring,
};
use crate::{
    NodeId,
    limits::{
        EVERYBODY_WATCHES, HEAR_EVERY_LARGE, HEAR_EVERY_SMALL, LOOK_EVERY, MAX_RECHECKS,
        MAX_SUSPECTS, PROBE_HELPERS,
    },
};

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Knock at its port.
    Knock(NodeId),
    /// Ask `peer` for a sign of life, or `through` whether it reaches `peer`.
    Probe { peer: NodeId, through: Option<NodeId> },
    /// Pass tidings on.
    Tell { to: NodeId, tidings: Tidings },
}

/// All nodes known.
pub(super) struct View {
    own: NodeId,
    /// How often nodes gossip now, and so how often each node's heartbeat grows.
    interval: Duration,
    peers: BTreeMap<NodeId, Peer>,
    /// Who is not dead, as the watches were last set.
    present: BTreeSet<NodeId>,
    doubt: Doubt,
    knocked: Option<Instant>,
    /// When the next step of a trial is due, as of the last look.
    due: Option<Instant>,
    /// How often something is wanted from each watched peer.
    hear_every: Duration,
    /// The dead of whom something was heard.
    recheck: BTreeSet<NodeId>,
    /// Those said to be dead whose trial waits for room.
    accused: BTreeSet<NodeId>,
    /// Whether what everybody may see has changed since [`View::take_members`].
    changed: bool,
}

impl View {
    pub(super) fn new(own: NodeId) -> Self {
        Self {
            own,
            interval: gossip::interval_for(0),
            peers: BTreeMap::new(),
            present: BTreeSet::new(),
            doubt: Doubt::default(),
            knocked: None,
            due: None,
            hear_every: HEAR_EVERY_SMALL,
            recheck: BTreeSet::new(),
            accused: BTreeSet::new(),
            changed: true,
        }
    }

    /// Applies `change` to one peer and notes what it changed; nothing for this node itself and
    /// for strangers.
    fn change<T: Default>(
        &mut self,
        id: NodeId,
        wall: SystemTime,
        change: impl FnOnce(&mut Peer) -> T,
    ) -> T {
        let Some(peer) = self.peers.get_mut(&id).filter(|_| id != self.own) else {
            return T::default();
        };
        let shown = peer.shown_alive();
        let result = change(peer);
        self.changed |= peer.shown_alive() != shown;
        peer.stamp(shown, wall);
        result
    }

    /// A message came from `id` itself.
    pub(super) fn heard(&mut self, id: NodeId, what: Arrival, now: Instant, wall: SystemTime) {
        self.hears(what.at, now);
        if self.change(id, wall, |peer| peer.heard(what, now)) {
            self.recheck.insert(id);
        }
    }

    /// A probe sent at `asked` was answered or not, by itself or by a helper that reached it.
    pub(super) fn probed(&mut self, probe: Probed, now: Instant, wall: SystemTime) {
        let Probed { peer, direct, answered, asked } = probe;
        if answered {
            self.hears(now, now);
        }
        self.change(peer, wall, |peer| match (answered, direct) {
            (true, _) => peer.answered(direct, asked, now),
            (false, true) => peer.unanswered(),
            (false, false) => {}
        });
    }

    /// Opens the trials of those said to be dead, as far as there is room; gives the room left.
    fn try_accused(&mut self, now: Instant, wall: SystemTime) -> usize {
        let mut room = self.room();
        while room > 0
            && let Some(accused) = self.accused.pop_first()
        {
            room -= usize::from(self.change(accused, wall, |peer| peer.suspect(Cause::Told, now)));
        }
        room
    }

    /// How many more suspects may be probed.
    fn room(&self) -> usize {
        let suspected = |peer: &&Peer| matches!(peer.standing, Standing::Suspect(_));
        MAX_SUSPECTS.saturating_sub(self.peers.values().filter(suspected).count())
    }

    /// Some of those whose signs of life come, in no order, without this node and `except`.
    fn some_living(&self, except: NodeId, count: usize, rng: &mut impl Rng) -> Vec<NodeId> {
        let alive = self.peers.iter().filter(|(_, peer)| peer.standing == Standing::Alive);
        let others = alive.map(|(id, _)| *id).filter(|id| *id != except && *id != self.own);
        let others: Vec<NodeId> = others.collect();
        others.choose_multiple(rng, count).copied().collect()
    }

    /// Looks at everybody: what is due.
    pub(super) fn look(
        &mut self,
        now: Instant,
        wall: SystemTime,
        rng: &mut impl Rng,
    ) -> Vec<Action> {
        if let Some(late) = self.doubt.looks(now) {
            self.excuse(late, now);
        }
        self.set_watches(now);
        let mut room = self.try_accused(now, wall);
        let knock = self.knocked.is_none_or(|knocked| now - knocked >= LOOK_EVERY);
        if knock {
            self.knocked = Some(now);
        }
        let may_condemn = self.doubt.may_condemn(now);
        let mut due = Vec::new();
        let recheck = self.take_recheck();
        for (&id, peer) in self.peers.iter_mut().filter(|(id, _)| **id != self.own) {
            let (shown, before) = (peer.shown_alive(), peer.standing);
            let what = peer.look(room > 0, may_condemn, now);
            let dead = matches!(peer.standing, Standing::Dead { .. });
            let what = match what {
                Due::Nothing if dead && recheck.contains(&id) => Due::Probe { helped: true },
                what => what,
            };
            if before == Standing::Alive && peer.standing != Standing::Alive {
                room -= 1;
            }
            let knock = knock && peer.is_watched() && !dead;
            self.changed |= peer.shown_alive() != shown;
            peer.stamp(shown, wall);
            if knock || what != Due::Nothing {
                due.push((id, what, knock));
            }
        }
        let trials = self.peers.values().filter_map(Peer::next_step);
        self.due = trials.min();
        let mut actions = Vec::new();
        for (id, due, knock) in due {
            if knock {
                actions.push(Action::Knock(id));
            }
            self.act(id, due, now, rng, &mut actions);
        }
        actions
    }

    /// When to look again because of a trial, if that is sooner than usual.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    fn act(
        &mut self,
        peer: NodeId,
        due: Due,
        now: Instant,
        rng: &mut impl Rng,
        actions: &mut Vec<Action>,
    ) {
        match due {
            Due::Nothing => {}
            Due::Ask | Due::Probe { helped: false } => {
                actions.push(Action::Probe { peer, through: None });
            }
            Due::Probe { helped: true } => {
                actions.extend([Action::Knock(peer), Action::Probe { peer, through: None }]);
                let helpers = self.some_living(peer, PROBE_HELPERS, rng);
                if let Some(peer) = self.peers.get_mut(&peer) {
                    peer.helpers_asked(helpers.len());
                }
                let ask = |helper| Action::Probe { peer, through: Some(helper) };
                actions.extend(helpers.into_iter().map(ask));
            }
            Due::Tell => actions.extend(self.tell_dead(peer, now, rng)),
        }
    }

    /// The dead of whom something was heard and whose turn it is to be probed.
    fn take_recheck(&mut self) -> BTreeSet<NodeId> {
        let rest = self.recheck.iter().nth(MAX_RECHECKS).copied();
        let rest = rest.map(|rest| self.recheck.split_off(&rest)).unwrap_or_default();
        std::mem::replace(&mut self.recheck, rest)
    }

    /// Somebody was heard at `at`.
    fn hears(&mut self, at: Instant, now: Instant) {
        if let Some(lonely) = self.doubt.hears(at) {
            self.excuse(lonely, now);
        }
    }

    /// So long a silence was this node's own.
    fn excuse(&mut self, silence: Duration, now: Instant) {
        self.peers.values_mut().for_each(|peer| peer.excuse(silence, now));
    }

    /// Watches whom this node is to watch among those who are there now.
    fn set_watches(&mut self, now: Instant) {
        let there = |peer: &Peer| matches!(peer.standing, Standing::Alive | Standing::Suspect(_));
        let count = self.peers.values().filter(|peer| there(peer)).count();
        let same = count == self.present.len()
            && self.present.iter().all(|id| self.peers.get(id).is_some_and(there));
        if same {
            return;
        }
        let present = self.peers.iter().filter(|(_, peer)| there(peer)).map(|(id, _)| *id);
        self.present = present.collect();
        let watched = ring::watched(self.own, &self.present);
        let small = self.present.len() <= EVERYBODY_WATCHES;
        let hear_every = if small { HEAR_EVERY_SMALL } else { HEAR_EVERY_LARGE };
        let other_pace = std::mem::replace(&mut self.hear_every, hear_every) != hear_every;
        for (id, peer) in &mut self.peers {
            match (watched.contains(id), peer.is_watched()) {
                (true, before) if !before || other_pace => peer.watch(true, hear_every, now),
                (false, true) => peer.watch(false, self.interval, now),
                _ => {}
            }
        }
    }

    /// What everybody may see, if it has changed.
    pub(super) fn take_members(&mut self) -> Option<Vec<Member>> {
        std::mem::take(&mut self.changed).then(|| self.members())
    }

    fn members(&self) -> Vec<Member> {
        self.peers.iter().filter_map(|(&id, peer)| peer.member(id)).collect()
    }

    pub(super) fn beliefs(&self, now: Instant) -> Vec<Belief> {
        self.peers.iter().filter_map(|(&id, peer)| peer.belief(id, now)).collect()
    }
}

/// What came of a probe.
#[derive(Clone, Copy, Debug)]
pub(super) struct Probed {
    pub(super) peer: NodeId,
    /// Whether this node itself asked, not a helper.
    pub(super) direct: bool,
    pub(super) answered: bool,
    /// When the probe was sent.
    pub(super) asked: Instant,
}

#[cfg(test)]
mod tests;
