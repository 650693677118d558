//! When something that waits is due, on a clock that may be set.

use jiff::{SignedDuration, Timestamp};

/// `delay` after `since`. A `since` that lies ahead of `now` was read before the clock was set
/// back: nobody waits until it comes again, so it is due now.
pub(crate) fn due(since: Timestamp, delay: SignedDuration, now: Timestamp) -> Timestamp {
    if since > now { now } else { since.checked_add(delay).unwrap_or(since) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_set_back_holds_nothing_up() {
        let at = |seconds| Timestamp::UNIX_EPOCH + SignedDuration::from_secs(seconds);
        let delay = SignedDuration::from_secs(10);
        for (since, now, expected) in [(100, 100, 110), (100, 120, 110), (100, 99, 99)] {
            assert_eq!(due(at(since), delay, at(now)), at(expected), "{since} s, now {now} s");
        }
    }
}
