//! The plan of a pod that is to run.

use jiff::Timestamp;
use skein_runtime::{ContainerId, ContainerInfo, ContainerState, SandboxInfo};

use super::{
    Action, Change, ContainerSpec, Desired, Intent, Memory, Observed, RestartPolicy, Role, Step,
    StopReason, action::Plan, due, restart_delay,
};
use crate::probe::{ProbeKey, ProbeKind, ProbeState};

/// Decides the next steps of a pod. Steps under way and steps that wait after a failure are left
/// out, so the plan may be asked for as often as one likes.
pub(crate) fn plan(
    desired: &Desired,
    observed: &Observed,
    memory: &Memory,
    now: Timestamp,
) -> Plan {
    let mut planner = Planner { desired, observed, memory, now, plan: Plan::default() };
    match desired.intent {
        Intent::Run if planner.past_deadline() => planner.finish(),
        Intent::Run => planner.run(),
        Intent::Finished => planner.finish(),
        Intent::Terminate { grace_seconds } => planner.tear_down(grace_seconds, true),
        Intent::Gone { grace_seconds } => planner.tear_down(grace_seconds, false),
    }
    planner.plan
}

/// How far a container has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    /// It is on its way to run.
    Pending,
    /// It runs; its startup probe may still be open.
    Running { started: bool },
    /// It ended and stays ended.
    Done { failed: bool },
}

pub(super) struct Planner<'a> {
    pub(super) desired: &'a Desired,
    pub(super) observed: &'a Observed,
    pub(super) memory: &'a Memory,
    now: Timestamp,
    pub(super) plan: Plan,
}

impl<'a> Planner<'a> {
    fn run(&mut self) {
        self.stop_duplicates();
        let Some(sandbox) = self.observed.live_sandbox() else {
            return self.run_without_sandbox();
        };
        if self.is_complete() {
            return self.finish();
        }
        if !self.desired.host_network && self.memory.ip(self.observed).is_none() {
            self.emit(Action::Attach { sandbox: sandbox.id.clone() });
        }
        for container in &self.desired.ephemeral {
            self.run_once(sandbox, container);
        }
        if self.run_init(sandbox) {
            for container in &self.desired.main {
                self.advance(sandbox, container);
            }
        }
        self.prune(sandbox);
    }

    /// Runs an ephemeral container if it never ran, however far the others are.
    fn run_once(&mut self, sandbox: &SandboxInfo, container: &ContainerSpec) {
        if self.memory.ran.contains(&container.name) {
            return;
        }
        match self.observed.newest(&container.name) {
            None => self.launch(sandbox, container, 0),
            Some(made) if made.state == ContainerState::Created && made.sandbox == sandbox.id => {
                if self.target(sandbox, container).is_some() {
                    self.start(made);
                }
            }
            // It has run, or was made in a sandbox that is dead and is about to be removed.
            Some(_) => {}
        }
    }

    /// Whose processes a container shares: nobody's, or those of its target. `None` while that one
    /// does not run.
    fn target(
        &self,
        sandbox: &SandboxInfo,
        container: &ContainerSpec,
    ) -> Option<Option<ContainerId>> {
        let Some(name) = &container.target else { return Some(None) };
        let target = self.observed.newest(name).filter(|target| target.sandbox == sandbox.id)?;
        matches!(target.state, ContainerState::Running { .. }).then(|| Some(target.id.clone()))
    }

    /// Starts a made container once the pod has its network.
    fn start(&mut self, made: &ContainerInfo) {
        if self.desired.host_network || self.memory.ip(self.observed).is_some() {
            let (container, id) = (made.name.clone(), made.id.clone());
            self.emit_start(Action::Start { container, id });
        }
    }

    /// Runs the init containers in order; true once the pod's containers may run.
    fn run_init(&mut self, sandbox: &SandboxInfo) -> bool {
        // Once a container of the pod has run in this sandbox, the init phase is behind it even
        // if an init container was removed since.
        let passed = self.desired.main.iter().any(|container| {
            self.observed.newest(&container.name).is_some_and(|newest| newest.sandbox == sandbox.id)
        });
        for container in &self.desired.init {
            if passed && container.role == Role::Init {
                continue;
            }
            let progress = self.advance(sandbox, container);
            let open = match (container.role, progress) {
                (Role::Sidecar, Progress::Running { started }) => !started,
                (Role::Sidecar, _) => true,
                (_, Progress::Done { failed }) => failed,
                _ => true,
            };
            if open && !passed {
                return false;
            }
        }
        true
    }

    /// The sandbox is missing or dead: end what is left of it, then make the next one.
    fn run_without_sandbox(&mut self) {
        let leftovers: Vec<_> = self.observed.running().collect();
        if !leftovers.is_empty() {
            for container in leftovers {
                self.stop(container, self.desired.grace_seconds, StopReason::SandboxDied);
            }
            return;
        }
        if self.is_over_without_sandbox() {
            return;
        }
        let attempt = self.observed.newest_sandbox().map_or(0, |sandbox| sandbox.attempt + 1);
        self.emit_start(Action::RunSandbox { attempt });
        // What the first containers need is resolved while the sandbox starts.
        let first_main = if self.desired.init.is_empty() { self.desired.main.len() } else { 0 };
        let first =
            self.desired.init.iter().take(1).chain(self.desired.main.iter().take(first_main));
        for container in first.filter(|container| !container.needs_ip) {
            self.prepare(container, self.next_attempt(&container.name));
        }
    }

    /// Whether a pod without a live sandbox has nothing left to run.
    fn is_over_without_sandbox(&self) -> bool {
        if self.observed.containers.is_empty() {
            return false;
        }
        let ended = |container: &ContainerSpec| self.last_exit_code(container).is_some();
        let failed_init = self.desired.init.iter().any(|container| {
            container.role == Role::Init
                && self.last_exit_code(container).is_some_and(|code| code != 0)
        });
        let started = self.desired.main.iter().any(|c| self.observed.newest(&c.name).is_some());
        failed_init
            || self.desired.main.iter().all(ended)
            || (started && self.desired.restart == RestartPolicy::Never)
    }

    /// Whether every container of the pod has ended for good.
    fn is_complete(&self) -> bool {
        let done = |container: &ContainerSpec| self.last_exit_code(container).is_some();
        let failed_init = self.desired.init.iter().any(|container| {
            container.role == Role::Init
                && self.last_exit_code(container).is_some_and(|code| code != 0)
        });
        failed_init || (!self.desired.main.is_empty() && self.desired.main.iter().all(done))
    }

    /// The code with which a container has ended for good.
    fn last_exit_code(&self, container: &ContainerSpec) -> Option<i32> {
        let newest = self.observed.newest(&container.name)?;
        match newest.state {
            ContainerState::Exited { exit_code, .. } => {
                (!self.memory.may_restart(container, newest, exit_code)).then_some(exit_code)
            }
            _ => None,
        }
    }

    /// Moves one container a step on.
    fn advance(&mut self, sandbox: &SandboxInfo, container: &ContainerSpec) -> Progress {
        let newest = self.observed.newest(&container.name);
        let Some(newest) = newest.filter(|newest| newest.sandbox == sandbox.id) else {
            self.launch(sandbox, container, self.next_attempt(&container.name));
            return Progress::Pending;
        };
        match &newest.state {
            ContainerState::Created => {
                self.start(newest);
                Progress::Pending
            }
            ContainerState::Running { .. } if self.resize(container, newest) => {
                Progress::Running { started: false }
            }
            ContainerState::Running { started } => {
                let started = self.watch_over(container, newest, *started);
                Progress::Running { started }
            }
            ContainerState::Exited { finished, exit_code, .. } => {
                if !self.memory.may_restart(container, newest, *exit_code) {
                    return Progress::Done { failed: *exit_code != 0 };
                }
                let base = self.memory.delay_base.get(&container.name).copied().unwrap_or(0);
                let at = due(*finished, restart_delay(newest.attempt, base), self.now);
                if at <= self.now {
                    self.launch(sandbox, container, self.next_attempt(&container.name));
                } else {
                    self.wake(at);
                }
                Progress::Pending
            }
        }
    }

    /// Brings a running container to its size; true if it ends for that.
    fn resize(&mut self, container: &ContainerSpec, info: &ContainerInfo) -> bool {
        match container.size.and_then(|size| size.change(info.resources)) {
            None => false,
            Some(Change::Update(resources)) => {
                self.emit(Action::Update { id: info.id.clone(), resources });
                false
            }
            Some(Change::Restart) => {
                self.stop(info, self.desired.grace_seconds, StopReason::Resized);
                true
            }
        }
    }

    fn launch(&mut self, sandbox: &SandboxInfo, container: &ContainerSpec, attempt: u32) {
        if self.memory.prepared.get(&container.name) == Some(&attempt) {
            let Some(target) = self.target(sandbox, container) else { return };
            let (sandbox, container) = (sandbox.id.clone(), container.name.clone());
            self.emit_start(Action::Create { sandbox, container, attempt, target });
        } else if !container.needs_ip
            || self.desired.host_network
            || self.memory.ip(self.observed).is_some()
        {
            self.prepare(container, attempt);
        }
    }

    fn prepare(&mut self, container: &ContainerSpec, attempt: u32) {
        if self.memory.prepared.get(&container.name) != Some(&attempt) {
            self.emit(Action::Prepare { container: container.name.clone(), attempt });
        }
    }

    fn next_attempt(&self, name: &str) -> u32 {
        let seen = self.observed.newest(name).map_or(0, |newest| newest.attempt + 1);
        seen.max(self.memory.least_attempt.get(name).copied().unwrap_or(0))
    }

    /// Probes a running container and ends it if it is unhealthy; true once it has started.
    fn watch_over(
        &mut self,
        container: &ContainerSpec,
        info: &ContainerInfo,
        since: Timestamp,
    ) -> bool {
        let startup = container.probe(ProbeKind::Startup);
        let started =
            startup.is_none() || self.memory.probed(&info.id, ProbeKind::Startup) == Some(true);
        for probe in &container.probes {
            if (probe.kind == ProbeKind::Startup) == started || probe.unsupported().is_some() {
                continue;
            }
            if probe.kind != ProbeKind::Readiness
                && self.memory.probed(&info.id, probe.kind) == Some(false)
            {
                let reason = StopReason::Unhealthy(probe.kind.name());
                self.stop(info, self.desired.grace_seconds, reason);
                return started;
            }
            let key = ProbeKey { id: info.id.clone(), kind: probe.kind };
            let unasked = ProbeState::default();
            let due = self.memory.probes.get(&key).unwrap_or(&unasked).due(probe, since, self.now);
            if due <= self.now {
                self.emit(Action::Probe(key));
            } else {
                self.wake(due);
            }
        }
        started
    }

    /// Ends every copy of a container but the newest that runs.
    fn stop_duplicates(&mut self) {
        for container in self.observed.running() {
            let newer = self.observed.running().any(|other| {
                other.name == container.name
                    && (other.attempt, other.created, &other.id)
                        > (container.attempt, container.created, &container.id)
            });
            if newer {
                self.stop(container, self.desired.grace_seconds, StopReason::Duplicate);
            }
        }
    }

    /// Forgets containers older than the last two of a name, and sandboxes nothing is left of.
    fn prune(&mut self, live: &SandboxInfo) {
        for container in &self.observed.containers {
            let kept =
                [self.observed.newest(&container.name), self.observed.previous(&container.name)]
                    .into_iter()
                    .flatten()
                    .any(|kept| kept.id == container.id);
            let never_ran =
                matches!(container.state, ContainerState::Created) && container.sandbox != live.id;
            let runs = matches!(container.state, ContainerState::Running { .. });
            if (!kept && !runs) || never_ran {
                self.emit(Action::RemoveContainer { id: container.id.clone() });
            }
        }
        for sandbox in &self.observed.sandboxes {
            let empty = !self.observed.containers.iter().any(|c| c.sandbox == sandbox.id);
            if sandbox.id != live.id && empty {
                self.emit(Action::RemoveSandbox { id: sandbox.id.clone() });
            }
        }
    }

    fn past_deadline(&mut self) -> bool {
        match self.desired.deadline {
            Some(deadline) if deadline > self.now => {
                self.wake(deadline);
                false
            }
            Some(_) => true,
            None => false,
        }
    }

    pub(super) fn stop(&mut self, container: &ContainerInfo, grace_seconds: u64, why: StopReason) {
        let shorter = self.memory.in_flight.iter().any(
            |step| matches!(step, Step::Stop(id, grace) if *id == container.id && *grace <= grace_seconds),
        );
        if !shorter {
            self.emit(Action::Stop {
                container: container.name.clone(),
                id: container.id.clone(),
                grace_seconds,
                reason: why,
            });
        }
    }

    /// Emits a step that needs one of the host's places for starting pods, or waits for one.
    fn emit_start(&mut self, action: Action) {
        if self.memory.slot || self.waits(&action) {
            self.emit(action);
        } else if !self.plan.actions.contains(&Action::TakeSlot) {
            self.emit(Action::TakeSlot);
        }
    }

    fn waits(&mut self, action: &Action) -> bool {
        let failed = self.memory.failures.get(&action.step());
        failed.is_some_and(|failure| failure.retry_at(self.now) > self.now)
    }

    pub(super) fn emit(&mut self, action: Action) {
        let step = action.step();
        if self.memory.in_flight.contains(&step) {
            return;
        }
        let retry_at = self.memory.failures.get(&step).map(|failure| failure.retry_at(self.now));
        if let Some(retry_at) = retry_at.filter(|retry_at| *retry_at > self.now) {
            return self.wake(retry_at);
        }
        self.plan.actions.push(action);
    }

    fn wake(&mut self, at: Timestamp) {
        self.plan.wake = Some(self.plan.wake.map_or(at, |wake| wake.min(at)));
    }
}
