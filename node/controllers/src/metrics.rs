//! What the work of a leader is counted in, by Kubernetes' names. One set serves every term of a
//! node, so that its counters never go back; what is under way ends with its term.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::Registry,
};

/// Upper bounds of the first and of as many classes of durations, each twice the one before: from
/// a millisecond to half a minute.
const DURATIONS: (f64, f64, u16) = (0.001, 2.0, 16);

/// As [`DURATIONS`], up to the hours that a pod may wait for a node.
const WAITS: (f64, f64, u16) = (0.01, 2.0, 20);

type Histograms<L> = Family<L, Histogram, fn() -> Histogram>;

/// How one look at a pod ended: `scheduled`, `unschedulable` or `error`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Attempt {
    pub(crate) result: &'static str,
    pub(crate) profile: &'static str,
}

/// Where a pod waits: `active` for the decision under way, `backoff` for another try to write one,
/// `unschedulable` for room.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Place {
    pub(crate) queue: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Controller {
    name: &'static str,
}

/// The metrics of everything that only the leader does. Cheap to clone.
#[derive(Clone)]
pub struct Metrics {
    pub(crate) scheduler: SchedulerMetrics,
    depth: Family<Controller, Gauge>,
    adds: Family<Controller, Counter>,
    retries: Family<Controller, Counter>,
    work: Histograms<Controller>,
}

/// The scheduler's part of them.
#[derive(Clone)]
pub(crate) struct SchedulerMetrics {
    pub(crate) attempts: Family<Attempt, Counter>,
    pub(crate) attempt_durations: Histograms<Attempt>,
    pub(crate) waits: Histogram,
    pub(crate) pending: Family<Place, Gauge>,
}

/// Those of one controller's queue.
#[derive(Clone)]
pub(crate) struct QueueMetrics {
    pub(crate) depth: Gauge,
    pub(crate) adds: Counter,
    pub(crate) retries: Counter,
    pub(crate) work: Histogram,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            scheduler: SchedulerMetrics::default(),
            depth: Family::default(),
            adds: Family::default(),
            retries: Family::default(),
            work: Family::new_with_constructor(durations),
        }
    }
}

impl Default for SchedulerMetrics {
    fn default() -> Self {
        Self {
            attempts: Family::default(),
            attempt_durations: Family::new_with_constructor(durations),
            waits: histogram(WAITS),
            pending: Family::default(),
        }
    }
}

impl Metrics {
    /// Puts them where they are read.
    pub fn register(&self, registry: &mut Registry) {
        self.scheduler.register(registry);
        let depth = "Keys that wait in a controller's queue";
        registry.register("workqueue_depth", depth, self.depth.clone());
        let adds = "Keys that were put into a controller's queue";
        registry.register("workqueue_adds", adds, self.adds.clone());
        let retries = "Keys that come back because a look at them failed";
        registry.register("workqueue_retries", retries, self.retries.clone());
        let work = "How long a controller looked at a key";
        registry.register("workqueue_work_duration_seconds", work, self.work.clone());
    }

    /// Those of the queue of a controller.
    pub(crate) fn queue(&self, name: &'static str) -> QueueMetrics {
        let of = Controller { name };
        QueueMetrics {
            depth: self.depth.get_or_create_owned(&of),
            adds: self.adds.get_or_create_owned(&of),
            retries: self.retries.get_or_create_owned(&of),
            work: self.work.get_or_create_owned(&of),
        }
    }
}

impl SchedulerMetrics {
    fn register(&self, registry: &mut Registry) {
        let attempts = "Looks at a pod without a node, by how they ended";
        registry.register("scheduler_schedule_attempts", attempts, self.attempts.clone());
        let took = "How long a look took, from the first read to the decision written";
        let name = "scheduler_scheduling_attempt_duration_seconds";
        registry.register(name, took, self.attempt_durations.clone());
        let waits = "How long a pod waited for its node, as this leader saw it";
        registry.register(
            "scheduler_pod_scheduling_sli_duration_seconds",
            waits,
            self.waits.clone(),
        );
        let pending = "Pods without a node, by what they wait for";
        registry.register("scheduler_pending_pods", pending, self.pending.clone());
    }
}

fn durations() -> Histogram {
    histogram(DURATIONS)
}

fn histogram((first, factor, classes): (f64, f64, u16)) -> Histogram {
    Histogram::new(exponential_buckets(first, factor, classes))
}
