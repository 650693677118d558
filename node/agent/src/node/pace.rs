//! How fast the node's object is written, so that two views of the node's health cannot answer
//! each other without end. Pure.

use std::time::Duration;

use crate::limits;

/// Why the node's object was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// Something of this host changed.
    Change,
    /// Somebody else had said that nothing is known of this node.
    Doubt,
}

/// The least time until the next write, given the one before, the time since the last write and
/// why there was another: doubled for each doubt that follows the last write closely.
pub(super) fn next_gap(gap: Duration, since_last: Duration, cause: Cause) -> Duration {
    let stayed = since_last >= gap + limits::NODE_WRITE_GAP_MAX;
    match cause {
        _ if stayed => limits::NODE_WRITE_GAP,
        Cause::Doubt => (gap * 2).min(limits::NODE_WRITE_GAP_MAX),
        Cause::Change => gap,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gap_doubles_while_ready_is_taken_away_and_starts_over_once_it_stayed() {
        let cases = [
            (250, 250, Cause::Doubt, 500),
            (500, 600, Cause::Doubt, 1_000),
            (8_000, 8_000, Cause::Doubt, 10_000),
            (10_000, 10_500, Cause::Doubt, 10_000),
            (10_000, 20_000, Cause::Doubt, 250),
            (4_000, 4_000, Cause::Change, 4_000),
            (4_000, 14_000, Cause::Change, 250),
            (250, 3_600_000, Cause::Doubt, 250),
        ];
        for (gap, since_last, cause, expected) in cases {
            let millis = Duration::from_millis;
            let next = next_gap(millis(gap), millis(since_last), cause);
            assert_eq!(next, millis(expected), "{gap} {since_last} {cause:?}");
        }
    }
}
