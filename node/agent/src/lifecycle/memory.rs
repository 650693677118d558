//! What is known of a pod beside what the runtime lists.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use jiff::{SignedDuration, Timestamp};
use skein_runtime::{ContainerId, ContainerInfo, ContainerState, SandboxId, SandboxInfo};

use super::{ContainerSpec, Step, due, restart};
use crate::{
    allocation::Refusal,
    limits,
    probe::{ProbeKey, ProbeKind, ProbeState},
};

/// What the runtime has of a pod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Observed {
    /// Sandboxes, of this and earlier attempts.
    pub(crate) sandboxes: Vec<SandboxInfo>,
    /// Containers of all of them.
    pub(crate) containers: Vec<ContainerInfo>,
}

impl Observed {
    /// The newest sandbox, running or not.
    pub(crate) fn newest_sandbox(&self) -> Option<&SandboxInfo> {
        self.sandboxes.iter().max_by_key(|sandbox| sandbox.attempt)
    }

    /// The newest sandbox if it runs.
    pub(crate) fn live_sandbox(&self) -> Option<&SandboxInfo> {
        self.newest_sandbox().filter(|sandbox| sandbox.running)
    }

    /// The newest container of a name; of two with one attempt the younger.
    pub(crate) fn newest(&self, name: &str) -> Option<&ContainerInfo> {
        self.containers
            .iter()
            .filter(|container| container.name == name)
            .max_by_key(|container| (container.attempt, container.created))
    }

    /// The last container of a name that ended before the newest was made.
    pub(crate) fn previous(&self, name: &str) -> Option<&ContainerInfo> {
        let newest = self.newest(name)?;
        self.containers
            .iter()
            .filter(|container| container.name == name && container.id != newest.id)
            .max_by_key(|container| (container.attempt, container.created))
    }

    /// Every container that runs.
    pub(crate) fn running(&self) -> impl Iterator<Item = &ContainerInfo> {
        self.containers
            .iter()
            .filter(|container| matches!(container.state, ContainerState::Running { .. }))
    }
}

/// The network of the pod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Network {
    /// Nothing is known of it.
    #[default]
    Unknown,
    /// The sandbox has this address.
    Attached {
        /// Which sandbox.
        sandbox: SandboxId,
        /// Its address.
        ip: IpAddr,
    },
    /// Its address was released.
    Detached,
}

/// What kind of failure a step met; decides the delay and the reason shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// The image could not be pulled.
    ImagePull,
    /// The image is absent and may not be pulled.
    ImageNeverPull,
    /// The image's name is not one.
    InvalidImage,
    /// A ConfigMap, Secret, key or volume is missing or wrong.
    Config,
    /// The container could not be made.
    Create,
    /// The container could not be started.
    Start,
    /// The sandbox or its network could not be made.
    Sandbox,
    /// A running container could not be given what its pod was given.
    Resize,
    /// The runtime did not answer.
    Runtime,
    /// The store did not answer.
    Store,
}

/// A step that failed, and when it is tried again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// What kind.
    pub(crate) cause: Cause,
    /// What was said.
    pub(crate) message: String,
    /// When.
    pub(crate) at: Timestamp,
    /// How often in a row.
    pub(crate) count: u32,
    /// How long after that it is tried again.
    pub(crate) delay: SignedDuration,
}

impl Failure {
    /// The failure that follows `previous` of the same step.
    pub(crate) fn next(
        previous: Option<&Self>,
        cause: Cause,
        message: String,
        now: Timestamp,
    ) -> Self {
        let count = previous
            .filter(|failure| failure.cause == cause)
            .map_or(0, |failure| failure.count)
            .saturating_add(1);
        let (first, longest) = match cause {
            Cause::ImagePull | Cause::InvalidImage => {
                (limits::RESTART_DELAY, limits::RESTART_DELAY_MAX)
            }
            _ => (limits::STEP_DELAY, limits::STEP_DELAY_MAX),
        };
        let delay = doubled(first, longest, count - 1);
        let message = message.chars().take(limits::MESSAGE_CHARS).collect();
        Self { cause, message, at: now, count, delay }
    }

    /// When it is tried again.
    pub(crate) fn retry_at(&self, now: Timestamp) -> Timestamp {
        due(self.at, self.delay, now)
    }
}

/// `first` doubled `times` times, at most `longest`.
pub(super) fn doubled(
    first: SignedDuration,
    longest: SignedDuration,
    times: u32,
) -> SignedDuration {
    let factor = 1_i32.checked_shl(times.min(20)).unwrap_or(i32::MAX);
    first.checked_mul(factor).unwrap_or(longest).min(longest)
}

/// What the worker remembers of its pod between plans.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Memory {
    /// The pod's network.
    pub(crate) network: Network,
    /// The attempt each container's image, environment and volumes were resolved for.
    pub(crate) prepared: BTreeMap<String, u32>,
    /// Steps that failed.
    pub(crate) failures: BTreeMap<Step, Failure>,
    /// Steps under way.
    pub(crate) in_flight: BTreeSet<Step>,
    /// What the probes said.
    pub(crate) probes: BTreeMap<ProbeKey, ProbeState>,
    /// The attempt from which each container's restart delay counts.
    pub(crate) delay_base: BTreeMap<String, u32>,
    /// The least attempt of each container's next start, from restarts counted in its status.
    pub(crate) least_attempt: BTreeMap<String, u32>,
    /// Containers that have run at some time; an ephemeral one runs only once.
    pub(crate) ran: BTreeSet<String>,
    /// Made containers that could not be started: when and why.
    pub(crate) start_errors: BTreeMap<ContainerId, (Timestamp, String)>,
    /// Containers that were ended to be made anew; their end is not the end of their work. A process
    /// that begins between such an end and the next start no longer knows of it.
    pub(crate) renewed: BTreeSet<ContainerId>,
    /// Why the pod is not given what its spec asks for.
    pub(crate) shortage: Option<Refusal>,
    /// Whether the pod holds one of the host's places for starting pods.
    pub(crate) slot: bool,
    /// Its files are removed.
    pub(crate) cleaned: bool,
    /// The store was told of its end.
    pub(crate) deleted: bool,
}

impl Memory {
    /// The address of the live sandbox.
    pub(crate) fn ip(&self, observed: &Observed) -> Option<IpAddr> {
        match &self.network {
            Network::Attached { sandbox, ip }
                if observed.live_sandbox().is_some_and(|live| live.id == *sandbox) =>
            {
                Some(*ip)
            }
            _ => None,
        }
    }

    /// Notes that a container is ended to be made anew, at once.
    pub(crate) fn renew(&mut self, container: &ContainerInfo) {
        self.renewed.insert(container.id.clone());
        let base = self.delay_base.entry(container.name.clone()).or_default();
        *base = (*base).max(container.attempt + 1);
    }

    /// Whether a container of this name is being made anew: the one that was ended for it is still
    /// the last that ran.
    pub(crate) fn renews(&self, observed: &Observed, name: &str) -> bool {
        let is_last = |info: &ContainerInfo| self.renewed.contains(&info.id);
        match observed.newest(name) {
            Some(newest) if newest.state == ContainerState::Created => {
                observed.previous(name).is_some_and(is_last)
            }
            newest => newest.is_some_and(is_last),
        }
    }

    /// Whether a container is started again after this end.
    pub(crate) fn may_restart(
        &self,
        container: &ContainerSpec,
        info: &ContainerInfo,
        exit_code: i32,
    ) -> bool {
        self.renewed.contains(&info.id) || restart::may_restart(container.restart, exit_code)
    }

    /// What a probe of a container said last; `None` if it was not asked yet.
    pub(crate) fn probed(&self, id: &ContainerId, kind: ProbeKind) -> Option<bool> {
        self.probes.get(&ProbeKey { id: id.clone(), kind }).and_then(|state| state.verdict)
    }

    /// Takes in a listing: start errors stay visible, what has run is remembered, restart delays
    /// start over after a long run, and what concerns containers that are gone is forgotten.
    pub(crate) fn absorb(&mut self, observed: &mut Observed) {
        self.start_errors.retain(|id, _| observed.containers.iter().any(|c| c.id == *id));
        self.probes.retain(|key, _| observed.containers.iter().any(|c| c.id == key.id));
        self.renewed.retain(|id| observed.containers.iter().any(|c| c.id == *id));
        for container in &mut observed.containers {
            if let (ContainerState::Created, Some((at, message))) =
                (&container.state, self.start_errors.get(&container.id))
            {
                container.state = ContainerState::Exited {
                    started: None,
                    finished: *at,
                    exit_code: super::restart::START_ERROR_CODE,
                    oom_killed: false,
                    message: message.clone(),
                };
            }
            if container.state != ContainerState::Created {
                self.ran.insert(container.name.clone());
            }
            if super::restart::ran_long(&container.state) {
                let base = self.delay_base.entry(container.name.clone()).or_default();
                *base = (*base).max(container.attempt);
            }
        }
    }
}
