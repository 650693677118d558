//! Keeps what elections are timed by.

use std::sync::{Mutex, MutexGuard, PoisonError};

use skein_net::NodeId;
use tokio::time::{Duration, Instant};

use super::{Observed, Timeouts, timeouts};
use crate::config::Timing;

/// The time after which half of a measured peak is forgotten.
const HALF_LIFE: Duration = Duration::from_secs(20);

/// The greatest value of late: a greater one counts at once, and fades.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Peak(Option<(Duration, Instant)>);

impl Peak {
    pub(super) fn note(&mut self, value: Duration, now: Instant) {
        if value >= self.at(now) {
            self.0 = Some((value, now));
        }
    }

    pub(super) fn at(&self, now: Instant) -> Duration {
        self.0.map_or(Duration::ZERO, |(value, since)| {
            let age = now.saturating_duration_since(since).as_secs_f64();
            value.mul_f64(0.5_f64.powf(age / HALF_LIFE.as_secs_f64()))
        })
    }
}

/// A moving mean: one slow connection or fsync among many says little about the next.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Mean(Option<Duration>);

impl Mean {
    pub(super) fn note(&mut self, value: Duration) {
        self.0 = Some(self.0.map_or(value, |mean| (mean * 7 + value) / 8));
    }

    pub(super) fn get(self) -> Duration {
        self.0.unwrap_or_default()
    }
}

#[derive(Debug, Default)]
struct Inner {
    heard: Option<(NodeId, Instant)>,
    gap: Peak,
    round_trip: Mean,
    sync: Mean,
}

/// Measurements, and when a leader was last heard of. Written where messages pass.
#[derive(Debug)]
pub(crate) struct Measured {
    timing: Timing,
    started: Instant,
    inner: Mutex<Inner>,
}

impl Measured {
    pub(crate) fn new(timing: Timing) -> Self {
        Self { timing, started: Instant::now(), inner: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A message of `leader` came.
    pub(crate) fn heard_of(&self, leader: NodeId) {
        let now = Instant::now();
        let mut inner = self.lock();
        // The time without a leader tells nothing about how the next one's messages come.
        if let Some((former, at)) = inner.heard
            && former == leader
        {
            inner.gap.note(now.duration_since(at), now);
        }
        inner.heard = Some((leader, now));
    }

    /// A follower answered a message without entries after this long.
    pub(crate) fn round_trip(&self, took: Duration) {
        self.lock().round_trip.note(took);
    }

    /// Entries were on a disk after this long.
    pub(crate) fn sync(&self, took: Duration) {
        self.lock().sync.note(took);
    }

    /// When a leader was last heard of, or when this node started.
    pub(crate) fn heard_at(&self) -> Instant {
        self.lock().heard.map_or(self.started, |(_, at)| at)
    }

    /// How long ago a leader was last heard of, if ever.
    pub(crate) fn silent_for(&self) -> Option<Duration> {
        self.lock().heard.map(|(_, at)| at.elapsed())
    }

    /// How long this replica has run.
    pub(crate) fn up_for(&self) -> Duration {
        self.started.elapsed()
    }

    /// The timeouts as of now.
    pub(crate) fn timeouts(&self) -> Timeouts {
        let now = Instant::now();
        let inner = self.lock();
        let observed = Observed {
            gap: inner.gap.at(now),
            round_trip: inner.round_trip.get(),
            sync: inner.sync.get(),
        };
        timeouts(&observed, &self.timing)
    }
}
