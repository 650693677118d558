//! What is believed of one node, and how that changes: pure, the time is given.

mod shown;
mod trial;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    time::{Duration, SystemTime},
};

use tokio::time::Instant;

pub(super) use self::trial::Cause;
use self::trial::Trial;
use super::{
    ADDRESS_KEY, NAME_KEY,
    accrual::Accrual,
    arrivals::Arrival,
    belief::{BeliefState, ProbeOutcome},
    damping::Flaps,
    told::Told,
};
use crate::limits::{
    ASK_AGAIN, GOODBYE_GRACE, GOSSIP_PHI, PROBE_AGAIN, REFUSED_CONFIRM, REFUSED_ROUND_TRIPS,
    SILENCE_CONFIRM, TOLD_CONFIRM, UNPROVEN_GRACE, WATCHED_PHI,
};

/// What a node says about itself by gossip.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Profile {
    pub(super) name: String,
    pub(super) addr: SocketAddr,
    pub(super) values: BTreeMap<String, String>,
}

impl Profile {
    /// Reads what a node publishes; nothing if it does not say who and where it is.
    pub(super) fn new(values: BTreeMap<String, String>) -> Option<Self> {
        let name = values.get(NAME_KEY)?.clone();
        let addr = values.get(ADDRESS_KEY)?.parse().ok()?;
        Some(Self { name, addr, values })
    }
}

/// Where a node stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Heard of, but not from; not shown to anybody. To `Alive` with its first sign of life, to
    /// `Dead` without one for [`UNPROVEN_GRACE`].
    Unproven { since: Instant },
    /// Signs of life come. To `Suspect` when they stop, when its host says that nobody listens,
    /// or when another node has found it dead; to `Dead` when it says goodbye.
    Alive,
    /// Probes are under way; shown as alive. To `Alive` with any answer, to `Dead` without.
    Suspect(Trial),
    /// To `Alive` when it answers a probe that was sent at `since` or later; anything heard of it
    /// makes one be sent, but not before `again`.
    Dead { since: Instant, again: Instant },
}

/// What is to be done about a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    Nothing,
    /// Ask it for a sign of life.
    Ask,
    /// Probe it, with or without helpers.
    Probe {
        helped: bool,
    },
    /// It has just been found dead: tell others.
    Tell,
}

/// One node as this one sees it.
pub(super) struct Peer {
    pub(super) profile: Profile,
    /// Which run of the node this is, and how much of what it publishes is known.
    pub(super) run: u64,
    pub(super) version: u64,
    pub(super) heartbeat: u64,
    pub(super) standing: Standing,
    watched: bool,
    /// Of what comes from a watched peer itself; else of its heartbeats in gossip.
    arrivals: Accrual,
    asked: Option<Instant>,
    last_heard: Option<Instant>,
    /// Not suspected before then, because helpers have just reached it.
    spared: Option<Instant>,
    /// When others were told of its death, and when to knock at its port.
    pub(super) deaths: Told,
    pub(super) hints: Told,
    flaps: Flaps,
    held: Option<Instant>,
    shown_since: SystemTime,
    state: BeliefState,
    state_since: SystemTime,
    rtt: Option<Duration>,
    direct: Option<ProbeOutcome>,
    indirect: (u32, u32),
}

impl Peer {
    /// A node just heard of, whose heartbeats should come every `gap`.
    pub(super) fn new(profile: Profile, gap: Duration, now: Instant, wall: SystemTime) -> Self {
        Self {
            profile,
            run: 0,
            version: 0,
            heartbeat: 0,
            standing: Standing::Unproven { since: now },
            watched: false,
            arrivals: Accrual::new(gap, now),
            asked: None,
            last_heard: None,
            spared: None,
            deaths: Told::default(),
            hints: Told::default(),
            flaps: Flaps::default(),
            held: None,
            shown_since: wall,
            state: BeliefState::Alive,
            state_since: wall,
            rtt: None,
            direct: None,
            indirect: (0, 0),
        }
    }

    /// From now on something is wanted every `gap`: from the peer itself if it is `watched`, else
    /// of its heartbeats.
    pub(super) fn watch(&mut self, watched: bool, gap: Duration, now: Instant) {
        self.watched = watched;
        self.arrivals = Accrual::new(gap, now);
    }

    pub(super) fn is_watched(&self) -> bool {
        self.watched
    }

    /// Another run of the node than before: it has been started again.
    pub(super) fn restarted(&mut self, now: Instant) {
        (self.deaths, self.hints) = (Told::default(), Told::default());
        if let Standing::Dead { since, again } = &mut self.standing {
            (*since, *again) = ((*since).min(now), now);
        }
    }

    /// Its heartbeat in gossip has grown. Whether it must be probed because it counts as dead.
    pub(super) fn heartbeat_grew(&mut self, now: Instant) -> bool {
        if !self.watched {
            self.arrivals.arrived(now);
        }
        match self.standing {
            // The first heartbeat may be a dead node's last.
            Standing::Unproven { .. } if self.heartbeat > 0 => self.standing = Standing::Alive,
            Standing::Alive => self.last_heard = Some(now),
            _ => {}
        }
        self.should_recheck(now)
    }

    /// A message came from itself. Whether it must be probed because it counts as dead.
    pub(super) fn heard(&mut self, what: Arrival, now: Instant) -> bool {
        let Arrival { at, rtt } = what;
        self.rtt = rtt.or(self.rtt);
        match self.standing {
            Standing::Unproven { .. } => self.standing = Standing::Alive,
            Standing::Suspect(trial) if at > trial.since => self.standing = Standing::Alive,
            Standing::Alive => {}
            Standing::Suspect(_) | Standing::Dead { .. } => return self.should_recheck(now),
        }
        self.arrived(at);
        false
    }

    fn arrived(&mut self, at: Instant) {
        match self.watched {
            true => self.arrivals.arrived(at),
            false => self.arrivals.excuse(at),
        }
        self.last_heard = self.last_heard.max(Some(at));
    }

    fn should_recheck(&mut self, now: Instant) -> bool {
        match &mut self.standing {
            Standing::Dead { again, .. } if now >= *again => {
                *again = now + PROBE_AGAIN;
                true
            }
            _ => false,
        }
    }

    /// It answered a probe sent at `asked`, to this node or to a helper.
    pub(super) fn answered(&mut self, direct: bool, asked: Instant, now: Instant) {
        if direct {
            (self.direct, self.rtt) = (Some(ProbeOutcome::Answered), Some(now - asked));
        } else {
            self.indirect.0 += 1;
        }
        if let Standing::Dead { since, .. } = self.standing {
            if asked < since {
                return;
            }
            self.held = self.flaps.returned(now).map(|hold| now + hold);
            self.arrivals.excuse(now);
        } else if !direct && matches!(self.standing, Standing::Suspect(_)) {
            self.spared = Some(now + PROBE_AGAIN);
        }
        self.standing = Standing::Alive;
        match direct {
            true => self.arrived(now),
            false => {
                self.arrivals.excuse(now);
                self.last_heard = self.last_heard.max(Some(now));
            }
        }
    }

    /// A probe of this node's own was not answered in time.
    pub(super) fn unanswered(&mut self) {
        if self.direct != Some(ProbeOutcome::Refused) {
            self.direct = Some(ProbeOutcome::Unanswered);
        }
    }

    /// So many helpers are asked to probe it.
    pub(super) fn helpers_asked(&mut self, count: usize) {
        self.indirect.1 += u32::try_from(count).unwrap_or(u32::MAX);
    }

    /// Something speaks for its death. Whether that opened a trial.
    pub(super) fn suspect(&mut self, cause: Cause, now: Instant) -> bool {
        let lasts = match cause {
            Cause::Silence => SILENCE_CONFIRM,
            Cause::Told => TOLD_CONFIRM,
            Cause::Refused => {
                self.direct = Some(ProbeOutcome::Refused);
                let way = self.rtt.unwrap_or_default() * REFUSED_ROUND_TRIPS;
                (REFUSED_CONFIRM + way).min(SILENCE_CONFIRM)
            }
        };
        // Something on the way turns messages away as if nobody listened.
        if cause == Cause::Refused && self.is_spared(now) {
            return false;
        }
        match &mut self.standing {
            Standing::Alive => {
                self.standing = Standing::Suspect(Trial::new(cause, lasts, now));
                self.indirect = (0, 0);
                true
            }
            Standing::Suspect(trial) => {
                trial.hasten(lasts, now);
                false
            }
            Standing::Unproven { .. } | Standing::Dead { .. } => false,
        }
    }

    /// It has said itself that it leaves. Until it has gone it may still answer.
    pub(super) fn left(&mut self, now: Instant) {
        let gone = now + GOODBYE_GRACE;
        self.standing = Standing::Dead { since: gone, again: gone };
    }

    /// This node itself was not running for so long: that is nobody's silence.
    pub(super) fn excuse(&mut self, late: Duration, now: Instant) {
        self.arrivals.shift(late, now);
        match &mut self.standing {
            Standing::Unproven { since } => *since += late,
            Standing::Suspect(trial) => trial.shift(late),
            Standing::Alive | Standing::Dead { .. } => {}
        }
    }

    /// What is due now. `room` says whether another suspect may be probed, `may_condemn` whether
    /// a trial may end with a verdict.
    pub(super) fn look(&mut self, room: bool, may_condemn: bool, now: Instant) -> Due {
        if self.held.is_some_and(|until| now >= until) {
            self.held = None;
        }
        match &mut self.standing {
            Standing::Unproven { since } => {
                if now.saturating_duration_since(*since) >= UNPROVEN_GRACE {
                    self.standing = Standing::Dead { since: now, again: now };
                }
                Due::Nothing
            }
            Standing::Dead { .. } => Due::Nothing,
            Standing::Suspect(trial) if may_condemn && now >= trial.verdict && trial.rounds > 1 => {
                self.standing = Standing::Dead { since: now, again: now + PROBE_AGAIN };
                self.flaps.died(now);
                Due::Tell
            }
            Standing::Suspect(trial) => {
                trial.round(now).map_or(Due::Nothing, |helped| Due::Probe { helped })
            }
            Standing::Alive => self.look_at_living(room, now),
        }
    }

    /// When its trial, if there is one, goes on or ends.
    pub(super) fn next_step(&self) -> Option<Instant> {
        match self.standing {
            Standing::Suspect(trial) => Some(trial.next.min(trial.verdict)),
            _ => None,
        }
    }

    fn is_spared(&self, now: Instant) -> bool {
        self.spared.is_some_and(|until| now < until)
    }

    fn look_at_living(&mut self, room: bool, now: Instant) -> Due {
        let threshold = if self.watched { WATCHED_PHI } else { GOSSIP_PHI };
        if room && !self.is_spared(now) && self.arrivals.phi(now) >= threshold {
            self.suspect(Cause::Silence, now);
            return self.look(room, false, now);
        }
        let quiet = self.watched && self.arrivals.is_due(now);
        if quiet && self.asked.is_none_or(|asked| now - asked >= ASK_AGAIN) {
            self.asked = Some(now);
            return Due::Ask;
        }
        Due::Nothing
    }
}

#[cfg(test)]
mod tests;
