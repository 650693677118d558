//! The results of steps, and what they change.

use std::{net::IpAddr, sync::Arc};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use skein_runtime::{
    ContainerId, ContainerInfo, ContainerState, Resources, SandboxId, SandboxInfo,
};
use skein_storage::EventType;
use tokio::{sync::OwnedSemaphorePermit, task::JoinError};

use super::{Prepared, Worker};
use crate::{
    lifecycle::{Cause, Failure, Network, Observed, Step},
    probe::ProbeKey,
};

/// What a job of the worker is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Job {
    /// A step of the lifecycle.
    Step(Step),
    /// A look at the runtime.
    Listing,
    /// A write of the pod's status.
    Report,
    /// A write of the pod to the agent's directory.
    Save,
}

/// What a job found or did.
#[derive(Debug)]
pub(super) enum Outcome {
    Slot(OwnedSemaphorePermit),
    Sandbox(SandboxInfo),
    Attached { sandbox: SandboxId, ip: IpAddr },
    Detached,
    Prepared { container: String, prepared: Prepared },
    Created(ContainerInfo),
    Started { id: ContainerId, at: Timestamp },
    NotStarted { id: ContainerId, at: Timestamp, message: String },
    Updated { id: ContainerId, resources: Resources },
    Stopped,
    ContainerRemoved(ContainerId),
    SandboxStopped,
    SandboxRemoved(SandboxId),
    Probed { key: ProbeKey, answer: Result<(), String> },
    Cleaned,
    Deleted,
    Listed(Observed),
    Reported(Box<Pod>),
    Saved,
}

/// Why a job did not do it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StepError {
    /// What kind; decides the reason shown and the delay.
    pub(super) cause: Cause,
    /// What was said.
    pub(super) message: String,
}

impl StepError {
    pub(super) fn new(cause: Cause, message: impl Into<String>) -> Self {
        Self { cause, message: message.into() }
    }
}

/// The result of a job.
pub(super) type JobResult = Result<Outcome, StepError>;

impl Worker {
    /// Takes in the result of a job.
    pub(super) fn take_result(&mut self, done: Result<(Job, JobResult), JoinError>) {
        let (job, result) = match done {
            Ok(done) => done,
            Err(error) => return self.job_died(&error),
        };
        match (job, result) {
            (Job::Step(step), Ok(outcome)) => {
                self.end_step(&step);
                self.memory.failures.remove(&step);
                self.apply(outcome);
            }
            (Job::Step(step), Err(error)) => {
                self.end_step(&step);
                self.step_failed(step, error);
            }
            (_, Ok(outcome)) => self.apply(outcome),
            (Job::Listing, Err(error)) => self.listing_failed(error.message),
            (Job::Report, Err(error)) => {
                self.report.failed(error.message, self.host.config.clock.now())
            }
            (Job::Save, Err(error)) => {
                tracing::warn!(pod = self.uid(), error = error.message, "cannot keep the pod");
            }
        }
    }

    fn end_step(&mut self, step: &Step) {
        self.memory.in_flight.remove(step);
        if step.changes_runtime() {
            self.listing.changes += 1;
        }
    }

    /// A job panicked: which step it was is not known, so everything is looked at again.
    fn job_died(&mut self, error: &JoinError) {
        tracing::error!(pod = self.uid(), %error, "a step of the worker died");
        self.jobs.abort_all();
        self.memory.in_flight.clear();
        self.listing = super::Listing { required: true, ..Default::default() };
        self.report.forget_write();
    }

    fn apply(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Slot(permit) => {
                self.slot = Some(permit);
                self.memory.slot = true;
            }
            Outcome::Sandbox(sandbox) => {
                self.observed.sandboxes.retain(|known| known.id != sandbox.id);
                self.observed.sandboxes.push(sandbox);
            }
            Outcome::Attached { sandbox, ip } => {
                self.memory.network = Network::Attached { sandbox, ip };
            }
            Outcome::Detached => self.memory.network = Network::Detached,
            Outcome::Prepared { container, prepared } => {
                self.memory.prepared.insert(container.clone(), prepared.inputs.attempt);
                self.prepared.insert(container, Arc::new(prepared));
            }
            Outcome::Created(info) => self.observed.containers.push(info),
            Outcome::Started { id, at } => {
                self.started(&id, at);
            }
            Outcome::NotStarted { id, at, message } => {
                // The runtime may say more of it than the error did.
                self.memory.start_errors.insert(id, (at, message));
                self.listing.required = true;
            }
            Outcome::Updated { id, resources } => self.updated(&id, resources),
            Outcome::Stopped | Outcome::SandboxStopped => self.listing.required = true,
            Outcome::ContainerRemoved(id) => self.observed.containers.retain(|c| c.id != id),
            Outcome::SandboxRemoved(id) => {
                self.observed.sandboxes.retain(|sandbox| sandbox.id != id);
                self.observed.containers.retain(|container| container.sandbox != id);
            }
            Outcome::Probed { key, answer } => self.take_answer(key, answer),
            Outcome::Cleaned => self.memory.cleaned = true,
            Outcome::Deleted => self.memory.deleted = true,
            Outcome::Listed(observed) => self.take_listing(observed),
            Outcome::Reported(pod) => self.report.written(&pod),
            Outcome::Saved => {}
        }
    }

    fn started(&mut self, id: &ContainerId, started: Timestamp) {
        if let Some(container) = self.observed.containers.iter_mut().find(|c| c.id == *id) {
            self.memory.ran.insert(container.name.clone());
            container.state = ContainerState::Running { started };
        }
    }

    fn updated(&mut self, id: &ContainerId, resources: Resources) {
        if let Some(container) = self.observed.containers.iter_mut().find(|c| c.id == *id) {
            container.resources = container.resources.updated(resources);
        }
    }

    fn step_failed(&mut self, step: Step, error: StepError) {
        let now = self.now();
        // What failed may have done its work all the same, or its object may be gone.
        if step.changes_runtime() || matches!(step, Step::Stop(..)) {
            self.listing.required = true;
        }
        let previous = self.memory.failures.get(&step);
        let failure = Failure::next(previous, error.cause, error.message, now);
        self.tell_failure(&step, &failure);
        self.memory.failures.insert(step, failure);
    }

    fn tell_failure(&self, step: &Step, failure: &Failure) {
        let message = failure.message.as_str();
        tracing::debug!(pod = self.uid(), ?step, message, "a step failed");
        let backing_off = failure.count > 1;
        match (step, failure.cause) {
            (_, Cause::Runtime | Cause::Store) => {}
            (Step::Sandbox | Step::Network, _) => {
                let message = format!("Failed to create pod sandbox: {message}");
                self.event(EventType::Warning, "FailedCreatePodSandBox", message);
            }
            (_, Cause::ImagePull) => {
                self.event(EventType::Warning, "Failed", message);
                if backing_off {
                    let message = format!("Back-off pulling image: {message}");
                    self.event(EventType::Normal, "BackOff", message);
                }
            }
            (_, Cause::ImageNeverPull) => {
                self.event(EventType::Warning, "ErrImageNeverPull", message);
            }
            (_, Cause::InvalidImage) => self.event(EventType::Warning, "InspectFailed", message),
            (Step::Update(_), _) => {
                let message = format!("Failed to resize a container: {message}");
                self.event(EventType::Warning, "ResizeError", message);
            }
            (Step::Prepare(_) | Step::Launch(_), _) => {
                self.event(EventType::Warning, "Failed", format!("Error: {message}"));
            }
            _ => {}
        }
    }

    fn take_answer(&mut self, key: ProbeKey, answer: Result<(), String>) {
        let now = self.now();
        let info = self.observed.containers.iter().find(|container| container.id == key.id);
        let Some(name) = info.map(|info| info.name.clone()) else { return };
        let spec = self.desired.container(&name).and_then(|container| container.probe(key.kind));
        let Some(spec) = spec.cloned() else { return };
        if let Err(message) = &answer {
            let message = format!("{} probe failed: {message}", key.kind.name());
            self.event(EventType::Warning, "Unhealthy", message);
        }
        let state = self.memory.probes.entry(key).or_default();
        state.record(&spec, answer.is_ok(), now);
    }
}
