//! All nodes known and what is to be done about them: decided here from what gossip, probes and
//! other nodes say, and from nothing else.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, SystemTime},
};

use rand::{Rng, seq::IndexedRandom};
use tokio::time::Instant;

use super::{
    ADDRESS_KEY, Member, NAME_KEY,
    arrivals::Arrival,
    belief::Belief,
    peer::{Cause, Due, Peer, Profile, Standing},
    probe::Tidings,
    ring,
};
use crate::{
    NodeId,
    limits::{
        DOUBTFUL, EVERYBODY_WATCHES, GOODBYES, HEAR_EVERY_LARGE, HEAR_EVERY_SMALL, LATE_LOOK,
        LONELY, LOOK_EVERY, MAX_LONELY, MAX_SUSPECTS, PROBE_HELPERS, TELL,
    },
};

/// What gossip says of one node now.
#[derive(Clone, Debug)]
pub(super) struct Gossiped {
    pub(super) id: NodeId,
    /// Which run of the node says so; a later one is larger.
    pub(super) run: u64,
    pub(super) heartbeat: u64,
    /// How often it has published something.
    pub(super) version: u64,
    /// What it publishes, unless [`View::knows`] it.
    pub(super) values: Option<BTreeMap<String, String>>,
}

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
    /// How often each node's heartbeat grows.
    interval: Duration,
    peers: BTreeMap<NodeId, Peer>,
    /// Who is not dead, as the watches were last set.
    present: BTreeSet<NodeId>,
    looked: Option<Instant>,
    /// When anybody at all was heard.
    heard: Option<Instant>,
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
    pub(super) fn new(own: NodeId, interval: Duration) -> Self {
        Self {
            own,
            interval,
            peers: BTreeMap::new(),
            present: BTreeSet::new(),
            looked: None,
            heard: None,
            knocked: None,
            due: None,
            hear_every: HEAR_EVERY_SMALL,
            recheck: BTreeSet::new(),
            accused: BTreeSet::new(),
            changed: true,
        }
    }

    /// Whether nothing new is published by this run of `id` since `version`.
    pub(super) fn knows(&self, id: NodeId, run: u64, version: u64) -> bool {
        self.peers.get(&id).is_some_and(|peer| (peer.run, peer.version) == (run, version))
    }

    /// Takes in all that gossip says now. Whom it says nothing of is forgotten.
    pub(super) fn gossiped(&mut self, all: Vec<Gossiped>, now: Instant, wall: SystemTime) {
        let known: BTreeSet<NodeId> = all.iter().map(|node| node.id).collect();
        let before = self.peers.len();
        self.peers.retain(|id, _| known.contains(id));
        self.changed |= self.peers.len() != before;
        for Gossiped { id, run, heartbeat, version, values } in all {
            let Some(profile) = self.profile(id, values) else { continue };
            let interval = self.interval;
            let peer = self
                .peers
                .entry(id)
                .or_insert_with(|| Peer::new(profile.clone(), interval, now, wall));
            let shown = peer.shown_alive();
            self.changed |= peer.profile != profile;
            peer.profile = profile;
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
    }

    /// What a node says about itself: newly, or as known.
    fn profile(&self, id: NodeId, values: Option<BTreeMap<String, String>>) -> Option<Profile> {
        let Some(values) = values else {
            return self.peers.get(&id).map(|peer| peer.profile.clone());
        };
        let name = values.get(NAME_KEY)?.clone();
        let addr = values.get(ADDRESS_KEY)?.parse().ok()?;
        Some(Profile { name, addr, values })
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
        self.end_loneliness(what.at, now);
        if self.change(id, wall, |peer| peer.heard(what, now)) {
            self.recheck.insert(id);
        }
    }

    /// A probe sent at `asked` was answered or not, by itself or by a helper that reached it.
    pub(super) fn probed(&mut self, probe: Probed, now: Instant, wall: SystemTime) {
        let Probed { peer, direct, answered, asked } = probe;
        if answered {
            self.end_loneliness(now, now);
        }
        self.change(peer, wall, |peer| match (answered, direct) {
            (true, _) => peer.answered(direct, asked, now),
            (false, true) => peer.unanswered(),
            (false, false) => {}
        });
    }

    /// The host of `id` says that nobody listens at its port. Whom to tell to knock there too.
    pub(super) fn refused(
        &mut self,
        id: NodeId,
        now: Instant,
        wall: SystemTime,
        rng: &mut impl Rng,
    ) -> Vec<Action> {
        // It is an answer, if not the peer's.
        self.end_loneliness(now, now);
        let is_new = self.change(id, wall, |peer| peer.suspect(Cause::Refused, now));
        // Where everybody watches everybody, all knock anyway.
        let tell = is_new && self.present.len() > EVERYBODY_WATCHES;
        if tell { self.hint(id, now, rng) } else { Vec::new() }
    }

    /// Another node says that the host of this run of `id` refuses it: worth a knock, no more.
    pub(super) fn hinted(
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
    pub(super) fn told(
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
    pub(super) fn left(
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

    /// Opens the trials of those said to be dead, as far as there is room; gives the room left.
    fn try_accused(&mut self, now: Instant, wall: SystemTime) -> usize {
        let suspected = |peer: &&Peer| matches!(peer.standing, Standing::Suspect(_));
        let mut room = MAX_SUSPECTS.saturating_sub(self.peers.values().filter(suspected).count());
        while room > 0
            && let Some(accused) = self.accused.pop_first()
        {
            room -= usize::from(self.change(accused, wall, |peer| peer.suspect(Cause::Told, now)));
        }
        room
    }

    fn tell_dead(&mut self, id: NodeId, now: Instant, rng: &mut impl Rng) -> Vec<Action> {
        let Some(peer) = self.peers.get_mut(&id) else { return Vec::new() };
        if !peer.deaths.may_tell(now) {
            return Vec::new();
        }
        let tidings = Tidings::Dead { node: id, run: peer.run };
        self.tell(id, tidings, rng)
    }

    fn tell(&self, about: NodeId, tidings: Tidings, rng: &mut impl Rng) -> Vec<Action> {
        let to = self.some_living(about, TELL, rng);
        to.into_iter().map(|to| Action::Tell { to, tidings }).collect()
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
        self.excuse_stall(now);
        self.set_watches(now);
        let mut room = self.try_accused(now, wall);
        let knock = self.knocked.is_none_or(|knocked| now - knocked >= LOOK_EVERY);
        if knock {
            self.knocked = Some(now);
        }
        let may_condemn = self.may_condemn(now);
        let mut due = Vec::new();
        let recheck = std::mem::take(&mut self.recheck);
        for (&id, peer) in self.peers.iter_mut().filter(|(id, _)| **id != self.own) {
            let (shown, before) = (peer.shown_alive(), peer.standing);
            let what = match peer.look(room > 0, may_condemn, now) {
                Due::Nothing if recheck.contains(&id) => Due::Probe { helped: true },
                what => what,
            };
            if before == Standing::Alive && peer.standing != Standing::Alive {
                room -= 1;
            }
            let knock =
                knock && peer.is_watched() && !matches!(peer.standing, Standing::Dead { .. });
            self.changed |= peer.shown_alive() != shown;
            peer.stamp(shown, wall);
            due.push((id, what, knock));
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

    /// A look that comes late says that this node itself did not run.
    fn excuse_stall(&mut self, now: Instant) {
        let due = self.looked.replace(now).map_or(now, |looked| looked + LOOK_EVERY);
        let late = now.saturating_duration_since(due);
        if late >= LATE_LOOK {
            self.peers.values_mut().for_each(|peer| peer.excuse(late, now));
        }
    }

    /// Somebody was heard at `at`. If nobody had been for long, this node was cut off or stalled,
    /// and that was nobody's silence.
    fn end_loneliness(&mut self, at: Instant, now: Instant) {
        let before = self.heard.replace(self.heard.map_or(at, |heard| heard.max(at)));
        let lonely = before.map_or(Duration::ZERO, |heard| at.saturating_duration_since(heard));
        if lonely >= LONELY {
            self.peers.values_mut().for_each(|peer| peer.excuse(lonely, now));
        }
    }

    /// Whether a verdict may be passed: while nobody is heard it waits for a while, because it is
    /// likelier that this node stalls than that all others do.
    fn may_condemn(&self, now: Instant) -> bool {
        let lonely =
            self.heard.map_or(Duration::ZERO, |heard| now.saturating_duration_since(heard));
        !(DOUBTFUL..MAX_LONELY).contains(&lonely)
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

    /// Whom this node tells itself that it leaves.
    pub(super) fn goodbyes(&self, rng: &mut impl Rng) -> Vec<NodeId> {
        self.some_living(self.own, GOODBYES, rng)
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
