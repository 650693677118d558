//! A suspicion being looked into: when probes are due and when it ends.

use std::time::Duration;

use tokio::time::Instant;

use crate::limits::{FIRST_PROBE_PAUSE, MAX_PROBE_PAUSE};

/// A suspicion being looked into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::membership) struct Trial {
    pub(super) since: Instant,
    /// Rounds of probes sent.
    pub(super) rounds: u32,
    /// When the next round is due.
    pub(super) next: Instant,
    pause: Duration,
    /// When it ends without an answer.
    pub(super) verdict: Instant,
    /// Whether helpers are asked in the first round already.
    urgent: bool,
}

/// What makes a suspect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::membership) enum Cause {
    Silence,
    /// Another node has found it dead.
    Told,
    /// Its host says that nobody listens.
    Refused,
}

impl Trial {
    pub(super) fn new(cause: Cause, lasts: Duration, now: Instant) -> Self {
        let (rounds, pause) = (0, FIRST_PROBE_PAUSE);
        let urgent = cause != Cause::Silence;
        Self { since: now, rounds, next: now, pause, verdict: now + lasts, urgent }
    }

    /// Starts the next round if it is due: whether with helpers.
    pub(super) fn round(&mut self, now: Instant) -> Option<bool> {
        if now < self.next {
            return None;
        }
        let helped = self.urgent || self.rounds > 0;
        self.rounds += 1;
        self.next = now + self.pause;
        self.pause = (self.pause * 3 / 2).min(MAX_PROBE_PAUSE);
        Some(helped)
    }

    /// Ends sooner than planned, after another round at once.
    pub(super) fn hasten(&mut self, lasts: Duration, now: Instant) {
        if now + lasts < self.verdict {
            (self.verdict, self.next, self.urgent) = (now + lasts, now, true);
        }
    }

    pub(super) fn shift(&mut self, by: Duration) {
        self.next += by;
        self.verdict += by;
    }
}
