//! What is counted of the pods that wait for a node.

use std::collections::{HashMap, HashSet};

use tokio::time::Instant;

use crate::{
    metrics::{Attempt, Place, SchedulerMetrics},
    uid::Uid,
};

/// How a look at a pod ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    Scheduled,
    Unschedulable,
    Error,
}

/// The numbers of one term. Holds no more than the pods that are pending.
pub(super) struct Account {
    metrics: SchedulerMetrics,
    profile: &'static str,
    /// Since when each pod waits.
    since: HashMap<Uid, Instant>,
}

impl Account {
    pub(super) fn new(metrics: SchedulerMetrics, profile: &'static str) -> Self {
        Self { metrics, profile, since: HashMap::new() }
    }

    /// These pods wait now.
    pub(super) fn wait(&mut self, waiting: &HashSet<&Uid>, now: Instant) {
        self.since.retain(|uid, _| waiting.contains(uid));
        for uid in waiting {
            if !self.since.contains_key(*uid) {
                self.since.insert((*uid).clone(), now);
            }
        }
    }

    /// So many are decided about, were found no room, and wait for another try.
    pub(super) fn pending(&self, active: usize, unschedulable: usize, backoff: usize) {
        for (queue, pods) in
            [("active", active), ("unschedulable", unschedulable), ("backoff", backoff)]
        {
            let pods = i64::try_from(pods).unwrap_or(i64::MAX);
            self.metrics.pending.get_or_create(&Place { queue }).set(pods);
        }
    }

    /// A look that began then has ended.
    pub(super) fn ended(&mut self, uid: &Uid, how: Ended, began: Instant, now: Instant) {
        let result = match how {
            Ended::Scheduled => "scheduled",
            Ended::Unschedulable => "unschedulable",
            Ended::Error => "error",
        };
        let attempt = Attempt { result, profile: self.profile };
        self.metrics.attempts.get_or_create(&attempt).inc();
        let took = now.duration_since(began).as_secs_f64();
        self.metrics.attempt_durations.get_or_create(&attempt).observe(took);
        if how == Ended::Scheduled
            && let Some(since) = self.since.remove(uid)
        {
            self.metrics.waits.observe(now.duration_since(since).as_secs_f64());
        }
    }
}

impl Drop for Account {
    /// Whoever does not lead has no pods that wait.
    fn drop(&mut self) {
        self.metrics.pending.clear();
    }
}
