//! What people and the rest of the node get to see of a peer.

use std::time::SystemTime;

use tokio::time::Instant;

use super::{Peer, Profile, Standing};
use crate::{
    NodeId,
    membership::{
        Member,
        belief::{Belief, BeliefState},
    },
};

impl Peer {
    /// What it is shown as, if it is shown.
    pub(in crate::membership) fn shown_alive(&self) -> Option<bool> {
        match self.standing {
            Standing::Unproven { .. } => None,
            Standing::Alive | Standing::Suspect(_) => Some(self.held.is_none()),
            Standing::Dead { .. } => Some(false),
        }
    }

    pub(super) fn belief_state(&self) -> BeliefState {
        match self.standing {
            Standing::Dead { .. } => BeliefState::Dead,
            _ if self.held.is_some() => BeliefState::Flapping,
            // Most suspicions end with the answer to the second round.
            Standing::Suspect(trial) if trial.rounds > 2 => BeliefState::Suspect,
            _ => BeliefState::Alive,
        }
    }

    /// Notes since when it is what it is now; `before` is what it was shown as.
    pub(in crate::membership) fn stamp(&mut self, before: Option<bool>, wall: SystemTime) {
        if self.shown_alive() != before {
            self.shown_since = wall;
        }
        let state = self.belief_state();
        if state != self.state || before.is_none() {
            (self.state, self.state_since) = (state, wall);
        }
    }

    /// What everybody may see.
    pub(in crate::membership) fn member(&self, id: NodeId) -> Option<Member> {
        let alive = self.shown_alive()?;
        let Profile { name, addr, values } = self.profile.clone();
        Some(Member { id, name, addr, alive, since: self.shown_since, values })
    }

    pub(in crate::membership) fn belief(&self, id: NodeId, now: Instant) -> Option<Belief> {
        self.shown_alive()?;
        Some(Belief {
            id,
            name: self.profile.name.clone(),
            addr: self.profile.addr,
            state: self.state,
            since: self.state_since,
            phi: self.arrivals.phi(now),
            last_heard: self.last_heard.map(|at| now.saturating_duration_since(at)),
            rtt: self.rtt,
            direct: self.direct,
            indirect: self.indirect,
        })
    }
}
