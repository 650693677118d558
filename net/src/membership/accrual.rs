//! How unlikely a silence is: the φ of an accrual failure detector (Hayashibara et al., "The φ
//! accrual failure detector", SRDS 2004), with exponentially distributed gaps between arrivals.

use std::{f64::consts::LN_10, time::Duration};

use tokio::time::Instant;

/// Weight of the newest gap in the mean: a dozen gaps decide, so that the mean follows the load.
const NEWEST: f64 = 1.0 / 12.0;

/// Largest mean, in expected gaps: a peer that is slow for long is still missed in time.
const SLOWEST: f64 = 1.5;

/// Arrivals from one peer.
#[derive(Clone, Debug)]
pub(super) struct Accrual {
    /// The gap that arrivals should have, in seconds: also the smallest mean, so that a burst does
    /// not make the next pause suspicious.
    expected: f64,
    mean: f64,
    last: Instant,
}

impl Accrual {
    /// Begins at `now` as if something had just arrived.
    pub(super) fn new(expected: Duration, now: Instant) -> Self {
        let expected = expected.as_secs_f64();
        Self { expected, mean: expected, last: now }
    }

    /// Something arrived that was expected.
    pub(super) fn arrived(&mut self, now: Instant) {
        let gap = now.saturating_duration_since(self.last).as_secs_f64();
        let mean = self.mean + (gap - self.mean) * NEWEST;
        self.mean = mean.clamp(self.expected, self.expected * SLOWEST);
        self.last = self.last.max(now);
    }

    /// The silence up to now does not count: a sign of life came another way.
    pub(super) fn excuse(&mut self, now: Instant) {
        self.last = self.last.max(now);
    }

    /// This node itself was not running for so long.
    pub(super) fn shift(&mut self, by: Duration, now: Instant) {
        self.last = (self.last + by).min(now);
    }

    pub(super) fn silence(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.last)
    }

    /// Whether something should have arrived by now.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.silence(now).as_secs_f64() >= self.expected
    }

    /// The decimal logarithm of how unlikely a silence as long as this one is: at 1 one in ten is
    /// as long, at 3 one in a thousand.
    pub(super) fn phi(&self, now: Instant) -> f64 {
        self.silence(now).as_secs_f64() / (self.mean * LN_10)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GAP: Duration = Duration::from_millis(200);

    #[test]
    fn phi_grows_with_silence_and_falls_to_nothing_with_an_arrival() {
        let start = Instant::now();
        let mut accrual = Accrual::new(GAP, start);
        let table = [(0, 0.0), (200, 0.43), (460, 1.0), (920, 2.0), (1380, 3.0)];
        for (ms, phi) in table {
            let now = start + Duration::from_millis(ms);
            assert!((accrual.phi(now) - phi).abs() < 0.01, "{ms}: {}", accrual.phi(now));
        }
        accrual.arrived(start + 5 * GAP);
        assert!(accrual.phi(start + 5 * GAP).abs() < f64::EPSILON);
    }

    #[test]
    fn a_slower_peer_is_given_more_time_but_not_without_end() {
        let mut now = Instant::now();
        let mut accrual = Accrual::new(GAP, now);
        for _ in 0..100 {
            now += 5 * GAP;
            accrual.arrived(now);
        }
        let phi = accrual.phi(now + GAP.mul_f64(SLOWEST * LN_10));
        assert!((phi - 1.0).abs() < 0.01, "{phi}");
    }

    #[test]
    fn a_burst_makes_no_hair_trigger() {
        let mut now = Instant::now();
        let mut accrual = Accrual::new(GAP, now);
        for _ in 0..1000 {
            now += Duration::from_millis(1);
            accrual.arrived(now);
        }
        assert!(accrual.phi(now + GAP) < 0.5);
    }

    #[test]
    fn the_time_this_node_did_not_run_is_no_silence() {
        let start = Instant::now();
        let mut accrual = Accrual::new(GAP, start);
        let now = start + Duration::from_secs(10);
        accrual.shift(Duration::from_millis(9900), now);
        assert_eq!(accrual.silence(now), Duration::from_millis(100));
        accrual.shift(Duration::from_secs(9), now);
        assert_eq!(accrual.silence(now), Duration::ZERO);
    }
}
