//! Medians and spreads.

use std::{fmt, time::Duration};

/// The sorted outcomes of a measurement; never empty.
#[derive(Clone, Debug)]
pub(crate) struct Sample(Vec<Duration>);

impl Sample {
    /// Sorts the outcomes.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn new(mut outcomes: Vec<Duration>) -> anyhow::Result<Self> {
        anyhow::ensure!(!outcomes.is_empty(), "a sample needs an outcome");
        outcomes.sort();
        Ok(Self(outcomes))
    }

    /// The middle outcome, the higher of the two middle ones in an even sample.
    pub(crate) fn median(&self) -> Duration {
        self.0[self.0.len() / 2]
    }

    /// The ratio of the medians.
    pub(crate) fn over(&self, baseline: &Self) -> f64 {
        self.median().as_secs_f64() / baseline.median().as_secs_f64()
    }
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |outcome: Duration| outcome.as_secs_f64() * 1_000.0;
        write!(
            f,
            "{:.0} ms ({:.0}–{:.0}, n = {})",
            ms(self.median()),
            ms(self.0[0]),
            ms(self.0[self.0.len() - 1]),
            self.0.len()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_tells_its_median_and_spread() {
        let sample = Sample::new([30, 10, 20].map(Duration::from_millis).to_vec()).unwrap();
        assert_eq!(sample.to_string(), "20 ms (10–30, n = 3)");
        assert!(Sample::new(Vec::new()).is_err());
    }
}
