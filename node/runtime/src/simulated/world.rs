//! What a simulated engine holds and how it changes. Synchronous; time is passed in, as the time
//! since the simulation's epoch, and a container's end is computed from it rather than scheduled.

use std::{collections::BTreeMap, time::Duration};

use jiff::{SignedDuration, Timestamp};

use super::program::Program;
use crate::{
    ContainerConfig, ContainerId, ContainerInfo, ContainerState, ImageInfo, Resources,
    RuntimeError, SandboxConfig, SandboxId, SandboxInfo, reference::familiar,
};

/// Exit code after SIGTERM.
pub(super) const TERMINATED: i32 = 143;
/// Exit code after SIGKILL.
pub(super) const KILLED: i32 = 137;
/// Exit code of a container that could not be started for no fault of its program, as Docker's.
const NOT_STARTED: i32 = 128;
/// Exit code of a program that could not be found.
const NOT_EXECUTED: i32 = 127;
/// First process id handed out; above the usual `pid_max` of small systems, so that it is nobody's.
const FIRST_PID: u32 = 5_000_000;

/// An end brought about from outside or at the start.
#[derive(Clone, Debug)]
struct End {
    at: Duration,
    exit_code: i32,
    oom_killed: bool,
    message: String,
}

#[derive(Clone, Debug)]
struct Container {
    sandbox: SandboxId,
    pod_uid: String,
    config: ContainerConfig,
    image_id: String,
    program: Program,
    created: Duration,
    started: Option<Duration>,
    forced: Option<End>,
}

impl Container {
    /// Its end by itself or by force.
    fn end(&self) -> Option<End> {
        let natural =
            self.started.zip(self.program.ends).map(|(started, (after, exit_code))| End {
                at: started.saturating_add(after),
                exit_code,
                oom_killed: false,
                message: String::new(),
            });
        match (&self.forced, natural) {
            (Some(forced), Some(natural)) if natural.at <= forced.at => Some(natural),
            (Some(forced), _) => Some(forced.clone()),
            (None, natural) => natural,
        }
    }
}

/// One line of a container's log and when it was printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LogLine {
    pub(super) at: Duration,
    pub(super) text: String,
}

/// Where a reader of a log stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LogView {
    /// Lines printed by now.
    pub(super) lines: Vec<LogLine>,
    /// Whether there will be no more.
    pub(super) complete: bool,
    /// When something may change without anybody doing anything.
    pub(super) next: Option<Duration>,
}

/// Everything one simulated engine holds.
#[derive(Debug)]
pub(super) struct World {
    epoch: Timestamp,
    sandboxes: BTreeMap<SandboxId, SandboxInfo>,
    containers: BTreeMap<ContainerId, Container>,
    images: BTreeMap<String, ImageInfo>,
    next_id: u32,
}

impl World {
    pub(super) fn new(epoch: Timestamp) -> Self {
        Self {
            epoch,
            sandboxes: BTreeMap::new(),
            containers: BTreeMap::new(),
            images: BTreeMap::new(),
            next_id: 0,
        }
    }

    /// The wall-clock time `now` after the epoch.
    pub(super) fn wall(&self, now: Duration) -> Timestamp {
        SignedDuration::try_from(now)
            .ok()
            .and_then(|elapsed| self.epoch.checked_add(elapsed).ok())
            .unwrap_or(Timestamp::MAX)
    }

    pub(super) fn since_epoch(&self, wall: Timestamp) -> Duration {
        Duration::try_from(wall.duration_since(self.epoch)).unwrap_or(Duration::ZERO)
    }

    pub(super) fn sandboxes(&self, pod_uid: Option<&str>) -> Vec<SandboxInfo> {
        let all = self.sandboxes.values();
        all.filter(|sandbox| pod_uid.is_none_or(|uid| sandbox.uid == uid)).cloned().collect()
    }

    pub(super) fn containers(&self, pod_uid: Option<&str>, now: Duration) -> Vec<ContainerInfo> {
        self.containers
            .iter()
            .filter(|(_, container)| pod_uid.is_none_or(|uid| container.pod_uid == uid))
            .map(|(id, container)| self.info(id, container, now))
            .collect()
    }

    /// The end of a container, which comes with its target's at the latest.
    fn end_of(&self, container: &Container) -> Option<End> {
        let own = container.end();
        let Some(started) = container.started else { return own };
        let target = container.config.target.as_ref().and_then(|id| self.containers.get(id));
        let shared = target.and_then(|target| self.end_of(target)).filter(|end| end.at >= started);
        match (own, shared) {
            (Some(own), Some(shared)) if own.at <= shared.at => Some(own),
            (_, Some(shared)) => Some(End {
                at: shared.at,
                exit_code: KILLED,
                oom_killed: false,
                message: String::new(),
            }),
            (own, None) => own,
        }
    }

    fn ended_by(&self, container: &Container, now: Duration) -> Option<End> {
        self.end_of(container).filter(|end| end.at <= now)
    }

    fn runs(&self, id: &ContainerId, now: Duration) -> bool {
        self.containers.get(id).is_some_and(|container| {
            container.started.is_some() && self.ended_by(container, now).is_none()
        })
    }

    fn info(&self, id: &ContainerId, container: &Container, now: Duration) -> ContainerInfo {
        let state = match (container.started, self.ended_by(container, now)) {
            (started, Some(end)) => ContainerState::Exited {
                started: started.map(|at| self.wall(at)),
                finished: self.wall(end.at),
                exit_code: end.exit_code,
                oom_killed: end.oom_killed,
                message: end.message,
            },
            (Some(started), None) => ContainerState::Running { started: self.wall(started) },
            (None, None) => ContainerState::Created,
        };
        ContainerInfo {
            id: id.clone(),
            sandbox: container.sandbox.clone(),
            pod_uid: container.pod_uid.clone(),
            name: container.config.name.clone(),
            attempt: container.config.attempt,
            image: container.config.image.clone(),
            image_id: container.image_id.clone(),
            state,
            created: self.wall(container.created),
            resources: container.config.resources.in_effect(),
            labels: container.config.labels.clone(),
        }
    }

    fn fresh_id(&mut self) -> u32 {
        self.next_id += 1;
        self.next_id
    }

    pub(super) fn run_sandbox(&mut self, config: &SandboxConfig, now: Duration) -> SandboxInfo {
        let number = self.fresh_id();
        let pid = FIRST_PID + number;
        let left = self
            .sandboxes
            .values_mut()
            .find(|sandbox| sandbox.uid == config.uid && sandbox.attempt == config.attempt);
        if let Some(sandbox) = left {
            sandbox.running = true;
            sandbox.pid.get_or_insert(pid);
            return sandbox.clone();
        }
        let sandbox = SandboxInfo {
            id: SandboxId(format!("sandbox-{number:08}")),
            namespace: config.namespace.clone(),
            name: config.name.clone(),
            uid: config.uid.clone(),
            attempt: config.attempt,
            running: true,
            pid: Some(pid),
            created: self.wall(now),
            labels: config.labels.clone(),
        };
        self.sandboxes.insert(sandbox.id.clone(), sandbox.clone());
        sandbox
    }

    /// Ends a sandbox; returns the pod's uid if it ran.
    pub(super) fn stop_sandbox(&mut self, id: &SandboxId) -> Option<String> {
        let sandbox = self.sandboxes.get_mut(id).filter(|sandbox| sandbox.running)?;
        sandbox.running = false;
        sandbox.pid = None;
        Some(sandbox.uid.clone())
    }

    /// Removes a sandbox and its containers; returns the pod's uid if it was there.
    pub(super) fn remove_sandbox(&mut self, id: &SandboxId) -> Option<String> {
        self.containers.retain(|_, container| container.sandbox != *id);
        self.sandboxes.remove(id).map(|sandbox| sandbox.uid)
    }

    pub(super) fn create_container(
        &mut self,
        sandbox: &SandboxInfo,
        config: &ContainerConfig,
        now: Duration,
    ) -> Result<ContainerId, RuntimeError> {
        let same_name = self.containers.iter().find(|(_, container)| {
            container.sandbox == sandbox.id
                && container.config.name == config.name
                && container.config.attempt == config.attempt
        });
        if let Some((id, _)) = same_name {
            return Ok(id.clone());
        }
        let image = self
            .image(&config.image)
            .ok_or_else(|| RuntimeError::NotFound(format!("no such image: {}", config.image)))?;
        if !self.sandboxes.contains_key(&sandbox.id) {
            return Err(RuntimeError::NotFound(format!("no such sandbox: {}", sandbox.id.0)));
        }
        let id = ContainerId(format!("container-{:08}", self.fresh_id()));
        let container = Container {
            sandbox: sandbox.id.clone(),
            pod_uid: sandbox.uid.clone(),
            config: config.clone(),
            image_id: image.id,
            program: Program::of(config),
            created: now,
            started: None,
            forced: None,
        };
        self.containers.insert(id.clone(), container);
        Ok(id)
    }

    /// Starts a container; returns the pod's uid.
    pub(super) fn start_container(
        &mut self,
        id: &ContainerId,
        now: Duration,
    ) -> Result<String, RuntimeError> {
        let target = self.containers.get(id).and_then(|container| container.config.target.clone());
        let joins_nobody = target.is_some_and(|target| !self.runs(&target, now));
        let container = self.containers.get_mut(id).ok_or_else(|| missing(id))?;
        let in_sandbox = self.sandboxes.get(&container.sandbox);
        if !in_sandbox.is_some_and(|sandbox| sandbox.running) {
            return Err(RuntimeError::Failed("the pod's sandbox is not running".to_owned()));
        }
        if joins_nobody {
            let message = "the container whose processes are to be shared does not run".to_owned();
            container.forced = Some(End {
                at: now,
                exit_code: NOT_STARTED,
                oom_killed: false,
                message: message.clone(),
            });
            return Err(RuntimeError::Failed(message));
        }
        if let Some(program) = &container.program.missing {
            let message = format!("exec: {program:?}: no such file or directory");
            container.forced = Some(End {
                at: now,
                exit_code: NOT_EXECUTED,
                oom_killed: false,
                message: message.clone(),
            });
            return Err(RuntimeError::Rejected(message));
        }
        container.started.get_or_insert(now);
        Ok(container.pod_uid.clone())
    }

    pub(super) fn update_container(
        &mut self,
        id: &ContainerId,
        resources: Resources,
    ) -> Result<(), RuntimeError> {
        let container = self.containers.get_mut(id).ok_or_else(|| missing(id))?;
        container.config.resources = container.config.resources.updated(resources);
        Ok(())
    }

    /// Ends a running container; returns the pod's uid, `None` if it does not run.
    pub(super) fn end_container(
        &mut self,
        id: &ContainerId,
        exit_code: i32,
        oom_killed: bool,
        now: Duration,
    ) -> Option<String> {
        let container = self.runs(id, now).then(|| self.containers.get_mut(id)).flatten()?;
        container.forced = Some(End { at: now, exit_code, oom_killed, message: String::new() });
        Some(container.pod_uid.clone())
    }

    /// Whether the container runs and does not end on SIGTERM.
    pub(super) fn deaf(&self, id: &ContainerId, now: Duration) -> bool {
        self.runs(id, now)
            && self.containers.get(id).is_some_and(|container| container.program.ignores_term)
    }

    /// When the container ends by itself, if it does.
    pub(super) fn natural_end(&self, id: &ContainerId) -> Option<Duration> {
        self.containers.get(id).and_then(|container| self.end_of(container)).map(|end| end.at)
    }

    pub(super) fn remove_container(
        &mut self,
        id: &ContainerId,
        now: Duration,
    ) -> Result<Option<String>, RuntimeError> {
        if self.runs(id, now) {
            let why = format!("container {} is running: stop it before removing it", id.0);
            return Err(RuntimeError::Failed(why));
        }
        self.keep_ends_of_guests(id);
        Ok(self.containers.remove(id).map(|container| container.pod_uid))
    }

    /// Who ended with a container has still ended once that one is gone.
    fn keep_ends_of_guests(&mut self, target: &ContainerId) {
        let guests = self.containers.iter();
        let guests = guests.filter(|(_, guest)| guest.config.target.as_ref() == Some(target));
        let ends: Vec<_> = guests.map(|(id, guest)| (id.clone(), self.end_of(guest))).collect();
        for (id, end) in ends {
            if let Some(guest) = self.containers.get_mut(&id) {
                guest.forced = end;
            }
        }
    }

    /// What a container printed by `now`.
    pub(super) fn log(&self, id: &ContainerId, now: Duration) -> Result<LogView, RuntimeError> {
        let container = self.containers.get(id).ok_or_else(|| missing(id))?;
        let end = self.end_of(container);
        let printed = container.started.map_or_else(Vec::new, |started| {
            let all = container.program.lines.iter();
            all.map(|(after, text)| LogLine { at: started + *after, text: text.clone() }).collect()
        });
        let last = end.as_ref().map_or(Duration::MAX, |end| end.at);
        let (lines, coming): (Vec<_>, Vec<_>) =
            printed.into_iter().filter(|line| line.at <= last).partition(|line| line.at <= now);
        let next = coming.first().map(|line| line.at).or(end.as_ref().map(|end| end.at));
        Ok(LogView { lines, complete: end.is_some_and(|end| end.at <= now), next })
    }

    /// The next time after `after` at which containers end by themselves, and their pods.
    pub(super) fn next_ends(&self, after: Duration) -> Option<(Duration, Vec<String>)> {
        let ends = || {
            self.containers.values().filter_map(|container| {
                let end = self.end_of(container).filter(|_| container.forced.is_none())?;
                (end.at > after).then_some((end.at, &container.pod_uid))
            })
        };
        let at = ends().map(|(at, _)| at).min()?;
        Some((at, ends().filter(|end| end.0 == at).map(|(_, uid)| uid.clone()).collect()))
    }

    pub(super) fn image(&self, reference: &str) -> Option<ImageInfo> {
        let name = familiar(reference);
        self.images
            .get(&name)
            .or_else(|| self.images.values().find(|image| image.id == reference))
            .cloned()
    }

    pub(super) fn add_image(&mut self, reference: &str) -> ImageInfo {
        let name = familiar(reference);
        let number = self.fresh_id();
        let image = self.images.entry(name.clone()).or_insert_with(|| ImageInfo {
            id: format!("sha256:{number:064x}"),
            tags: vec![name],
            size_bytes: 1 << 20,
        });
        image.clone()
    }
}

fn missing(id: &ContainerId) -> RuntimeError {
    RuntimeError::NotFound(format!("no such container: {}", id.0))
}
