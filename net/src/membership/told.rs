//! What goes round in the cluster once, not for ever.

use tokio::time::Instant;

use crate::limits::TELL_AGAIN;

/// When others were last told something of a node, so that it goes round once.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Told(Option<Instant>);

impl Told {
    /// Whether to tell it now; then it counts as told.
    pub(super) fn may_tell(&mut self, now: Instant) -> bool {
        let may = self.0.is_none_or(|told| now.saturating_duration_since(told) >= TELL_AGAIN);
        if may {
            self.0 = Some(now);
        }
        may
    }
}
