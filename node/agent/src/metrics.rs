//! What this host counts of its pods and of its runtime, by the kubelet's names.

mod runtime;
mod share;

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

pub(crate) use runtime::MeasuredRuntime;
pub(crate) use share::Share;

/// Upper bounds of the first and of as many classes of durations, each twice the one before: from
/// a millisecond to half an hour, which a large image may take.
const DURATIONS: (f64, f64, u16) = (0.001, 2.0, 21);

/// One call of the runtime, as the kubelet's interface to runtimes calls it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Operation {
    operation_type: &'static str,
}

/// Containers that are `created`, `running` or `exited`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct InState {
    container_state: &'static str,
}

/// The metrics of one host. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Metrics {
    pods: Gauge,
    containers: Family<InState, Gauge>,
    starts: Histogram,
    operations: Family<Operation, Counter>,
    errors: Family<Operation, Counter>,
    durations: Family<Operation, Histogram, fn() -> Histogram>,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        Self {
            pods: Gauge::default(),
            containers: Family::default(),
            starts: histogram(),
            operations: Family::default(),
            errors: Family::default(),
            durations: Family::new_with_constructor(histogram),
        }
    }

    /// Puts them where they are read.
    pub(crate) fn register(&self, registry: &mut Registry) {
        let pods = "Pods of this host whose sandbox runs";
        registry.register("kubelet_running_pods", pods, self.pods.clone());
        let containers = "Containers of this host's pods, by their state";
        registry.register("kubelet_running_containers", containers, self.containers.clone());
        let starts = "How long pods took to run once this host knew of them";
        registry.register("kubelet_pod_start_duration_seconds", starts, self.starts.clone());
        let operations = "Calls of the container runtime";
        registry.register("kubelet_runtime_operations", operations, self.operations.clone());
        let errors = "Calls of the container runtime that failed";
        registry.register("kubelet_runtime_operations_errors", errors, self.errors.clone());
        let durations = "How long calls of the container runtime took";
        let name = "kubelet_runtime_operations_duration_seconds";
        registry.register(name, durations, self.durations.clone());
    }

    /// A pod runs, so long after this host came to know of it.
    pub(crate) fn started(&self, after_seconds: f64) {
        self.starts.observe(after_seconds);
    }
}

fn histogram() -> Histogram {
    let (first, factor, classes) = DURATIONS;
    Histogram::new(exponential_buckets(first, factor, classes))
}
