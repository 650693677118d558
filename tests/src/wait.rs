//! Waiting for a condition with a deadline.

use std::{
    fmt::Display,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};

/// How long to pause between two looks at a condition.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Looks at a condition until it gives a value, at most `deadline`; the error tells what was seen
/// last.
///
/// # Errors
/// When the deadline passes first.
pub fn wait_for<T, E: Display>(
    what: &str,
    deadline: Duration,
    mut look: impl FnMut() -> Result<T, E>,
) -> Result<T> {
    let begun = Instant::now();
    loop {
        match look() {
            Ok(value) => return Ok(value),
            Err(seen) if begun.elapsed() >= deadline => {
                bail!("waited {deadline:?} for {what}; seen last: {seen:#}")
            }
            Err(_) => pause(),
        }
    }
}

#[allow(clippy::disallowed_methods, reason = "this is the one place that polls")]
fn pause() {
    std::thread::sleep(POLL_INTERVAL);
}
