//! What one pod adds to the numbers of its host.

use skein_runtime::ContainerState;

use super::{InState, Metrics};
use crate::lifecycle::Observed;

/// The pod's part of the gauges; it is taken back when its worker ends.
pub(crate) struct Share {
    metrics: Metrics,
    counted: Counted,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counted {
    pods: i64,
    /// In the order of [`STATES`].
    containers: [i64; 3],
}

const STATES: [&str; 3] = ["created", "running", "exited"];

impl Counted {
    fn of(observed: &Observed) -> Self {
        let mut containers = [0; 3];
        for container in &observed.containers {
            let state = match container.state {
                ContainerState::Created => 0,
                ContainerState::Running { .. } => 1,
                ContainerState::Exited { .. } => 2,
            };
            containers[state] += 1;
        }
        Self { pods: i64::from(observed.live_sandbox().is_some()), containers }
    }
}

impl Share {
    /// The part of a pod of which nothing is there yet.
    pub(crate) fn new(metrics: Metrics) -> Self {
        Self { metrics, counted: Counted::default() }
    }

    /// The runtime has this of the pod now.
    pub(crate) fn count(&mut self, observed: &Observed) {
        self.change(Counted::of(observed));
    }

    fn change(&mut self, counted: Counted) {
        if counted == self.counted {
            return;
        }
        let before = std::mem::replace(&mut self.counted, counted);
        self.metrics.pods.inc_by(counted.pods - before.pods);
        let changes = counted.containers.iter().zip(before.containers);
        for (container_state, (now, before)) in STATES.into_iter().zip(changes) {
            let gauge = self.metrics.containers.get_or_create_owned(&InState { container_state });
            gauge.inc_by(now - before);
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.change(Counted::default());
    }
}
