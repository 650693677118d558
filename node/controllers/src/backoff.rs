//! Pauses that grow with each failure in a row.

use std::time::Duration;

use crate::limits::BACKOFF;

/// The pause after a failure that followed `earlier` others: twice as long each time, up to a
/// limit.
pub(crate) fn pause(earlier: u32) -> Duration {
    let (first, longest) = BACKOFF;
    first.saturating_mul(1 << earlier.min(16)).min(longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let (first, longest) = BACKOFF;
        assert_eq!([0, 1, 2].map(pause), [first, first * 2, first * 4]);
        assert_eq!(pause(u32::MAX), longest);
    }
}
