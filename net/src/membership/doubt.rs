//! A node's doubt of itself: what looks like the silence of others may be its own stall, or its own
//! link.

use std::time::Duration;

use tokio::time::Instant;

use crate::limits::{DOUBTFUL, LATE_LOOK, LONELY, LOOK_EVERY, MAX_LONELY};

#[derive(Default)]
pub(super) struct Doubt {
    looked: Option<Instant>,
    /// When anybody at all was heard.
    heard: Option<Instant>,
}

impl Doubt {
    /// This node looks at the others now. How late it does, if that says that it did not run.
    pub(super) fn looks(&mut self, now: Instant) -> Option<Duration> {
        let due = self.looked.replace(now).map_or(now, |looked| looked + LOOK_EVERY);
        let late = now.saturating_duration_since(due);
        (late >= LATE_LOOK).then_some(late)
    }

    /// Somebody was heard at `at`. For how long nobody had been, if that says that this node was
    /// cut off or stalled.
    pub(super) fn hears(&mut self, at: Instant) -> Option<Duration> {
        let before = self.heard.replace(self.heard.map_or(at, |heard| heard.max(at)))?;
        let lonely = at.saturating_duration_since(before);
        (lonely >= LONELY).then_some(lonely)
    }

    /// Whether a verdict may be passed: while nobody is heard it waits for a while, because it is
    /// likelier that this node stalls than that all others do.
    pub(super) fn may_condemn(&self, now: Instant) -> bool {
        let lonely =
            self.heard.map_or(Duration::ZERO, |heard| now.saturating_duration_since(heard));
        !(DOUBTFUL..MAX_LONELY).contains(&lonely)
    }
}
