//! How often joiners are answered: a token bucket, since anybody on the network may ask.

use std::time::Instant;

use crate::limits::{JOIN_BURST, JOINS_PER_SECOND};

/// A bucket of [`JOIN_BURST`] that refills by [`JOINS_PER_SECOND`].
pub(crate) struct JoinGate {
    tokens: f64,
    filled: Instant,
}

impl JoinGate {
    pub(crate) fn new(now: Instant) -> Self {
        Self { tokens: f64::from(JOIN_BURST), filled: now }
    }

    /// Whether one more joiner may be answered now.
    pub(crate) fn admit(&mut self, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.filled).as_secs_f64();
        self.filled = now;
        self.tokens =
            (self.tokens + passed * f64::from(JOINS_PER_SECOND)).min(f64::from(JOIN_BURST));
        let admitted = self.tokens >= 1.0;
        if admitted {
            self.tokens -= 1.0;
        }
        admitted
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn after_a_burst_joiners_are_admitted_at_the_rate() {
        let start = Instant::now();
        let mut gate = JoinGate::new(start);
        let burst = (0..1000).filter(|_| gate.admit(start)).count();
        assert_eq!(burst, JOIN_BURST as usize);
        let later = start + Duration::from_secs(1);
        let more = (0..1000).filter(|_| gate.admit(later)).count();
        assert_eq!(more, JOINS_PER_SECOND as usize);
    }
}
