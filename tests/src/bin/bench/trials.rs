//! Repeats a measurement, and keeps what it has when one trial fails.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// How often a measurement is repeated.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trials {
    /// So many times,
    pub(crate) count: usize,
    /// but none is begun after this time.
    pub(crate) limit: Duration,
}

impl Trials {
    /// The outcomes, and why there are no more if a trial failed: whoever calls prints the first
    /// and returns the second. Each outcome is told on stderr, for whoever waits.
    ///
    /// # Errors
    /// When the first trial fails, so that there is nothing to print.
    pub(crate) fn run<T: std::fmt::Debug>(
        self,
        what: &str,
        mut trial: impl FnMut(usize) -> Result<T>,
    ) -> Result<(Vec<T>, Result<()>)> {
        let begun = Instant::now();
        let mut outcomes = Vec::new();
        while outcomes.len() < self.count && begun.elapsed() < self.limit {
            let number = outcomes.len() + 1;
            match trial(outcomes.len()) {
                Ok(outcome) => {
                    eprintln!("{what}, trial {number} of {}: {outcome:?}", self.count);
                    outcomes.push(outcome);
                }
                Err(error) => {
                    let failed = Err(error).context(format!("{what}, trial {number}"));
                    return if outcomes.is_empty() {
                        failed
                    } else {
                        Ok((outcomes, failed.map(drop)))
                    };
                }
            }
        }
        Ok((outcomes, Ok(())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trials_end_by_their_number_their_time_or_a_failure() {
        let hour = Duration::from_secs(3_600);
        let (outcomes, ended) = Trials { count: 3, limit: hour }.run("x", Ok).unwrap();
        assert_eq!((outcomes, ended.is_ok()), (vec![0, 1, 2], true));
        let (outcomes, ended) = Trials { count: 3, limit: Duration::ZERO }.run("x", Ok).unwrap();
        assert_eq!((outcomes, ended.is_ok()), (vec![], true));
        let fails = |trial| if trial < 2 { Ok(trial) } else { Err(anyhow::anyhow!("no")) };
        let (outcomes, ended) = Trials { count: 9, limit: hour }.run("x", fails).unwrap();
        assert_eq!((outcomes, ended.is_err()), (vec![0, 1], true));
        let fails = |_| Err::<(), _>(anyhow::anyhow!("no"));
        assert!(Trials { count: 3, limit: hour }.run("x", fails).is_err());
    }
}
