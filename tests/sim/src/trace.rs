//! What happened, in order: every message, fault, crash and answer, each with its virtual time.
//!
//! Two runs of one seed must give the same trace, byte for byte; its digest is compared in CI. The
//! last lines are kept for the report of a failure.

use std::{
    collections::VecDeque,
    fmt,
    io::Write,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use crate::limits::REPORTED_LINES;

/// The trace of one run. Clones write the same one.
#[derive(Clone)]
pub(crate) struct Trace(Arc<Mutex<Lines>>);

struct Lines {
    now: Duration,
    printed: bool,
    count: u64,
    digest: u64,
    last: VecDeque<String>,
}

impl Trace {
    /// An empty trace; `printed` writes each line to standard output as well.
    pub(crate) fn new(printed: bool) -> Self {
        let last = VecDeque::with_capacity(REPORTED_LINES);
        // The offset basis of FNV-1a.
        let digest = 0xcbf2_9ce4_8422_2325;
        Self(Arc::new(Mutex::new(Lines { now: Duration::ZERO, printed, count: 0, digest, last })))
    }

    /// Lines from now on are of this time.
    pub(crate) fn at(&self, now: Duration) {
        self.lock().now = now;
    }

    /// Appends a line.
    pub(crate) fn note(&self, what: fmt::Arguments<'_>) {
        let mut lines = self.lock();
        let line = format!("{:>9.3} {what}", lines.now.as_secs_f64());
        lines.digest = digest(lines.digest, line.as_bytes());
        lines.count += 1;
        if lines.printed {
            // A reader that went away does not change the run.
            drop(writeln!(std::io::stdout(), "{line}"));
        }
        if lines.last.len() == REPORTED_LINES {
            lines.last.pop_front();
        }
        lines.last.push_back(line);
    }

    /// Lines written and their digest.
    pub(crate) fn digest(&self) -> (u64, u64) {
        let lines = self.lock();
        (lines.count, lines.digest)
    }

    /// The last lines.
    pub(crate) fn last(&self) -> Vec<String> {
        self.lock().last.iter().cloned().collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Lines> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// FNV-1a, which is the same in every build.
pub(crate) fn digest(start: u64, bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(start, |digest, byte| (digest ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
}
