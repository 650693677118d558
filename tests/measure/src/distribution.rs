//! How the outcomes of one measurement are distributed.

use std::{fmt, time::Duration};

/// The sorted outcomes of a measurement; never empty.
#[derive(Clone, Debug)]
pub struct Distribution(Vec<Duration>);

/// A measurement without an outcome says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a distribution needs at least one outcome")]
pub struct EmptyDistribution;

impl Distribution {
    /// The head of a Markdown table whose rows are [`Distribution::row`]; `subject` is what the
    /// first column names.
    pub fn head(subject: &str) -> String {
        format!(
            "| {subject} | n | min | median | p90 | p99 | max |\n\
             | --- | --- | --- | --- | --- | --- | --- |"
        )
    }

    /// Sorts the outcomes.
    ///
    /// # Errors
    /// When there is none.
    pub fn new(mut outcomes: Vec<Duration>) -> Result<Self, EmptyDistribution> {
        outcomes.sort_unstable();
        if outcomes.is_empty() { Err(EmptyDistribution) } else { Ok(Self(outcomes)) }
    }

    /// How many outcomes there were.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The outcome that `percent` of a hundred do not exceed, by nearest rank: the maximum at 100.
    pub fn percentile(&self, percent: usize) -> Duration {
        let rank = (self.0.len() * percent.min(100)).div_ceil(100).max(1);
        self.0[rank - 1]
    }

    /// The middle outcome.
    pub fn median(&self) -> Duration {
        self.percentile(50)
    }

    /// The ratio of the medians.
    pub fn over(&self, baseline: &Self) -> f64 {
        self.median().as_secs_f64() / baseline.median().as_secs_f64()
    }

    /// One row of the table that [`Distribution::head`] begins.
    pub fn row(&self, subject: &str) -> String {
        let columns =
            [0, 50, 90, 99, 100].map(|percent| Short(self.percentile(percent)).to_string());
        format!("| {subject} | {} | {} |", self.count(), columns.join(" | "))
    }
}

/// The median and the spread, for a cell of a table.
impl fmt::Display for Distribution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [median, least, most] = [50, 0, 100].map(|percent| Short(self.percentile(percent)));
        write!(f, "{median} ({least}–{most}, n = {})", self.count())
    }
}

/// Milliseconds: a decimal below a hundred, two below ten.
struct Short(Duration);

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = self.0.as_secs_f64() * 1_000.0;
        let decimals = if ms < 10.0 { 2 } else { usize::from(ms < 100.0) };
        write!(f, "{ms:.decimals$} ms")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(outcomes: impl IntoIterator<Item = u64>) -> Distribution {
        Distribution::new(outcomes.into_iter().map(Duration::from_millis).collect()).unwrap()
    }

    #[test]
    fn percentiles_are_outcomes_by_nearest_rank() {
        let hundred = of((1..=100).rev());
        let cases = [(0, 1), (1, 1), (50, 50), (90, 90), (99, 99), (100, 100)];
        for (percent, expected) in cases {
            assert_eq!(hundred.percentile(percent), Duration::from_millis(expected), "{percent}");
        }
        assert_eq!(of([10, 20, 30]).median(), Duration::from_millis(20));
        assert_eq!(of([7]).percentile(99), Duration::from_millis(7));
    }

    #[test]
    fn a_row_fits_its_head() {
        let row = of([5, 50, 500]).row("leader");
        assert_eq!(row, "| leader | 3 | 5.00 ms | 50.0 ms | 500 ms | 500 ms | 500 ms |");
        let columns = |line: &str| line.matches('|').count();
        assert!(Distribution::head("which").lines().all(|line| columns(line) == columns(&row)));
    }

    #[test]
    fn a_cell_tells_median_and_spread() {
        assert_eq!(of([300, 100, 200]).to_string(), "200 ms (100 ms–300 ms, n = 3)");
    }

    #[test]
    fn nothing_measured_is_an_error() {
        assert_eq!(Distribution::new(Vec::new()).err(), Some(EmptyDistribution));
    }
}
