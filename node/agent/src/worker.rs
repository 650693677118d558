//! The worker of one pod: asks the lifecycle what to do, does it, reports.
//!
//! One task per pod owns everything known of it. Steps run side by side in its [`JoinSet`]; each
//! result is taken in and the plan is made anew. What the runtime lists is taken in only if no
//! step changed the runtime since, so an old listing never hides a new container.

mod adopt;
mod image;
mod listing;
mod outcome;
mod prepare;
mod report;
mod resize;
mod step;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, net::IpAddr, sync::Arc, time::Duration};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, Pod};
use skein_storage::EventType;
use tokio::{
    sync::{Notify, OwnedSemaphorePermit, watch},
    task::JoinSet,
    time::sleep,
};

use crate::{
    allocation::{Allocation, Amounts, Place},
    checkpoint,
    host::Host,
    lifecycle::{self, Action, Desired, Intent, Memory, Observed, Step},
    limits,
    metrics::Share,
    pod::{PodDirectory, container_of},
    status::View,
};
use listing::Listing;
use outcome::{Job, JobResult};
pub(crate) use prepare::Prepared;
use report::Report;

/// What a worker is told of its pod.
#[derive(Clone, Debug)]
pub(crate) struct Assignment {
    /// The pod as last seen.
    pub(crate) pod: Arc<Pod>,
    /// The store no longer has it on this host.
    pub(crate) gone: bool,
}

/// How the worker is reached.
#[derive(Debug)]
pub(crate) struct WorkerHandle {
    /// Tells it of its pod.
    pub(crate) assign: watch::Sender<Assignment>,
    /// Tells it that something changed in the runtime.
    pub(crate) hint: Arc<Notify>,
}

/// The worker of one pod.
pub(crate) struct Worker {
    host: Arc<Host>,
    assignments: watch::Receiver<Assignment>,
    hint: Arc<Notify>,
    /// The pod as the store has it.
    assigned: Arc<Pod>,
    /// The pod with what it was given in place of what its spec asks for.
    pod: Arc<Pod>,
    gone: bool,
    directory: PodDirectory,
    desired: Desired,
    observed: Observed,
    memory: Memory,
    prepared: BTreeMap<String, Arc<Prepared>>,
    report: Report,
    jobs: JoinSet<(Job, JobResult)>,
    slot: Option<OwnedSemaphorePermit>,
    listing: Listing,
    share: Share,
    /// What its spec asks for, and what it was given.
    asked: Allocation,
    allocation: Allocation,
    place: Place,
    /// Changes whenever the host has more room.
    freed: watch::Receiver<()>,
    /// Whether the pod was given something that its containers may not have yet.
    resizing: bool,
    /// Since when this host knows of a pod that has not run yet.
    starts_since: Option<Timestamp>,
}

impl Worker {
    /// A worker for the pod assigned, of which the runtime has `observed`.
    pub(crate) fn new(
        host: Arc<Host>,
        assignments: watch::Receiver<Assignment>,
        hint: Arc<Notify>,
        observed: Observed,
    ) -> Self {
        let Assignment { pod: assigned, gone } = assignments.borrow().clone();
        let allocation = Allocation::told(&assigned);
        let pod = allocation.applied_to(&assigned);
        let uid = pod.metadata.uid.clone().unwrap_or_default();
        let now = host.config.clock.now();
        // A pod that was started here before is looked for before anything is made.
        let began = pod.status.as_ref().is_some_and(|status| status.start_time.is_some());
        let lost_sight = began && observed == Observed::default();
        let has_past = !observed.sandboxes.is_empty() || !observed.containers.is_empty();
        let mut worker = Self {
            directory: PodDirectory::new(&host.config.data_dir, &uid),
            desired: Desired::of(&pod),
            report: Report::new(&pod, now),
            share: Share::new(host.metrics.clone()),
            place: host.room.place(&uid, Amounts::requested(&pod)),
            freed: host.room.freed(),
            resizing: false,
            asked: Allocation::asked(&assigned),
            allocation,
            starts_since: (!began).then_some(now),
            host,
            assignments,
            hint,
            assigned,
            pod,
            gone,
            observed,
            memory: Memory::default(),
            prepared: BTreeMap::new(),
            jobs: JoinSet::new(),
            slot: None,
            listing: Listing { stale: has_past, required: lost_sight, ..Listing::default() },
        };
        worker.take_intent();
        worker
    }

    /// Runs until nothing is left of the pod. Dropping the future leaves its containers running.
    pub(crate) async fn run(mut self) {
        self.adopt().await;
        self.save_pod();
        loop {
            self.take_assignment();
            let Some(wake) = self.act() else { return };
            let wake = self.sleep_until(wake);
            tokio::select! {
                changed = self.assignments.changed() => {
                    if changed.is_err() {
                        return;
                    }
                }
                () = self.hint.notified() => self.hear(),
                freed = self.freed.changed(), if self.asked != self.allocation => {
                    if freed.is_err() {
                        return;
                    }
                }
                Some(done) = self.jobs.join_next() => self.take_result(done),
                () = wake => {}
                () = sleep(limits::RESYNC) => self.listing.stale = true,
            }
        }
    }

    fn now(&self) -> Timestamp {
        self.host.config.clock.now()
    }

    fn uid(&self) -> &str {
        self.pod.metadata.uid.as_deref().unwrap_or_default()
    }

    fn container(&self, name: &str) -> Option<Container> {
        let spec = self.pod.spec.as_ref()?;
        let mut all = spec.init_containers.iter().flatten().chain(&spec.containers);
        let lasting = all.find(|container| container.name == name).cloned();
        lasting.or_else(|| {
            let mut ephemeral = spec.ephemeral_containers.iter().flatten();
            ephemeral.find(|container| container.name == name).map(container_of)
        })
    }

    fn event(&self, event_type: EventType, reason: &str, message: impl Into<String>) {
        self.host.recorder.event(&*self.pod, event_type, reason, message);
    }

    /// The runtime changed: look, and try again what failed for want of it.
    fn hear(&mut self) {
        self.listing.stale = true;
        self.listing.failure = None;
        self.memory.failures.retain(|_, failure| failure.cause != lifecycle::Cause::Runtime);
    }

    /// Takes in a newer pod.
    fn take_assignment(&mut self) {
        let Assignment { pod, gone } = self.assignments.borrow_and_update().clone();
        if Arc::ptr_eq(&pod, &self.assigned) && gone == self.gone {
            return;
        }
        let keep = checkpoint::differs(&self.assigned, &pod);
        self.report.take_stored(&pod);
        self.assigned = pod;
        self.asked = Allocation::asked(&self.assigned);
        self.gone = gone;
        self.take_pod();
        if keep {
            self.save_pod();
        }
    }

    /// What the store says of the pod's fate, and what this worker knows before the store does.
    fn take_intent(&mut self) {
        if self.gone {
            let longest = limits::ORPHAN_GRACE_MAX.as_secs();
            let grace_seconds = self.desired.grace_seconds.min(longest);
            self.desired.intent = Intent::Gone { grace_seconds };
        } else if self.desired.intent == Intent::Run && self.report.is_final() {
            self.desired.intent = Intent::Finished;
        }
    }

    /// Plans and begins what is to be done; `None` once nothing is left.
    fn act(&mut self) -> Option<Option<Timestamp>> {
        self.allocate();
        let mut wake = self.begin_listing();
        if !self.listing.required {
            loop {
                let now = self.now();
                self.take_intent();
                let plan = lifecycle::plan(&self.desired, &self.observed, &self.memory, now);
                if plan.finished {
                    return None;
                }
                let takes_slot = plan.actions.contains(&Action::TakeSlot);
                for action in plan.actions {
                    self.begin(action);
                }
                wake = earlier(wake, plan.wake);
                // A free place is taken at once; the plan goes on with it.
                if !(takes_slot && self.memory.slot) {
                    break;
                }
            }
        }
        self.release_slot();
        self.share.count(&self.observed);
        let report_wake = self.begin_report();
        Some(earlier(wake, report_wake))
    }

    /// Gives the place back as soon as no step needs it.
    fn release_slot(&mut self) {
        if self.slot.is_some() && !self.memory.in_flight.iter().any(Step::needs_slot) {
            self.slot = None;
            self.memory.slot = false;
        }
    }

    /// Sleeps until a time, or for ever.
    fn sleep_until(&self, wake: Option<Timestamp>) -> impl Future<Output = ()> + use<> {
        let delay = wake.map(|wake| {
            let delay = wake.duration_since(self.now());
            // A plan that asks to be woken now would spin; give other tasks their turn.
            Duration::try_from(delay).unwrap_or_default().max(Duration::from_millis(1))
        });
        async move {
            match delay {
                Some(delay) => sleep(delay).await,
                None => std::future::pending().await,
            }
        }
    }

    fn view(&self) -> View<'_> {
        View {
            pod: &self.pod,
            desired: &self.desired,
            observed: &self.observed,
            memory: &self.memory,
            host_ip: self.host.config.host_ip,
            runtime: &self.report.runtime,
            now: self.now(),
        }
    }

    fn pod_ip(&self) -> Option<IpAddr> {
        if self.desired.host_network {
            return Some(self.host.config.host_ip);
        }
        self.memory.ip(&self.observed)
    }
}

fn earlier(a: Option<Timestamp>, b: Option<Timestamp>) -> Option<Timestamp> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}
