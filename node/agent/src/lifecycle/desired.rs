//! What is wanted of a pod, distilled from its object.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Container, EphemeralContainer, Pod, PodSpec};

use super::Size;
use crate::{
    pod::{container_of, needs_pod_ip},
    probe::{ProbeKind, ProbeSpec},
};

/// When a container that ended is started again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RestartPolicy {
    /// Whatever its exit code.
    Always,
    /// If it failed.
    OnFailure,
    /// Never.
    Never,
}

/// The part a container plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Runs to its end before the next starts.
    Init,
    /// An init container that stays: the next starts once it has started.
    Sidecar,
    /// One of the pod's containers.
    Main,
    /// One that somebody added to look around: it runs once, and nothing waits for it.
    Ephemeral,
}

/// One container as the lifecycle sees it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ContainerSpec {
    /// Name within the pod.
    pub(crate) name: String,
    /// Its part.
    pub(crate) role: Role,
    /// When it is started again.
    pub(crate) restart: RestartPolicy,
    /// The container whose processes it sees; only an ephemeral one has any.
    pub(crate) target: Option<String>,
    /// What it was given, if that can change while it runs.
    pub(crate) size: Option<Size>,
    /// Whether its environment holds the pod's address.
    pub(crate) needs_ip: bool,
    /// Its probes, one of a kind at most.
    pub(crate) probes: Vec<ProbeSpec>,
}

impl ContainerSpec {
    /// Its probe of a kind.
    pub(crate) fn probe(&self, kind: ProbeKind) -> Option<&ProbeSpec> {
        self.probes.iter().find(|probe| probe.kind == kind)
    }
}

/// What is to become of the pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Intent {
    /// Its containers run.
    Run,
    /// It has succeeded or failed for good: nothing of it runs, its logs stay.
    Finished,
    /// It was deleted: it ends within the grace, then the store is told.
    Terminate {
        /// Seconds between SIGTERM and SIGKILL.
        grace_seconds: u64,
    },
    /// The store no longer has it on this host: it ends, and nobody is told.
    Gone {
        /// Seconds between SIGTERM and SIGKILL.
        grace_seconds: u64,
    },
}

/// What is wanted of a pod.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Desired {
    /// Init containers and sidecars in order.
    pub(crate) init: Vec<ContainerSpec>,
    /// Containers in order.
    pub(crate) main: Vec<ContainerSpec>,
    /// Ephemeral containers in order.
    pub(crate) ephemeral: Vec<ContainerSpec>,
    /// The pod's restart policy.
    pub(crate) restart: RestartPolicy,
    /// Whether it uses the host's network.
    pub(crate) host_network: bool,
    /// Seconds between SIGTERM and SIGKILL for a container that is ended while the pod stays.
    pub(crate) grace_seconds: u64,
    /// What is to become of it.
    pub(crate) intent: Intent,
    /// It fails if it is still active then.
    pub(crate) deadline: Option<Timestamp>,
}

/// The grace of a pod that names none, as the API's default.
const DEFAULT_GRACE_SECONDS: i64 = 30;

impl Desired {
    /// What is wanted of `pod`, bound to this host.
    pub(crate) fn of(pod: &Pod) -> Self {
        static EMPTY: std::sync::LazyLock<PodSpec> = std::sync::LazyLock::new(PodSpec::default);
        let spec = pod.spec.as_ref().unwrap_or(&EMPTY);
        let restart = match spec.restart_policy.as_deref() {
            Some("Never") => RestartPolicy::Never,
            Some("OnFailure") => RestartPolicy::OnFailure,
            _ => RestartPolicy::Always,
        };
        let grace = spec.termination_grace_period_seconds.unwrap_or(DEFAULT_GRACE_SECONDS);
        let grace_seconds = u64::try_from(grace).unwrap_or(1);
        Self {
            init: spec
                .init_containers
                .iter()
                .flatten()
                .map(|container| init_container(container, restart))
                .collect(),
            main: spec
                .containers
                .iter()
                .map(|container| describe(container, Role::Main, restart))
                .collect(),
            ephemeral: spec.ephemeral_containers.iter().flatten().map(ephemeral).collect(),
            restart,
            host_network: spec.host_network == Some(true),
            grace_seconds,
            intent: intent(pod, grace_seconds),
            deadline: deadline(pod, spec),
        }
    }

    /// Every container, init containers first.
    pub(crate) fn all(&self) -> impl Iterator<Item = &ContainerSpec> {
        self.init.iter().chain(&self.main).chain(&self.ephemeral)
    }

    /// A container by name.
    pub(crate) fn container(&self, name: &str) -> Option<&ContainerSpec> {
        self.all().find(|container| container.name == name)
    }
}

fn intent(pod: &Pod, grace_seconds: u64) -> Intent {
    if pod.metadata.deletion_timestamp.is_some() {
        let grace_seconds = pod
            .metadata
            .deletion_grace_period_seconds
            .and_then(|seconds| u64::try_from(seconds).ok())
            .unwrap_or(grace_seconds);
        return Intent::Terminate { grace_seconds };
    }
    match pod.status.as_ref().and_then(|status| status.phase.as_deref()) {
        Some("Succeeded" | "Failed") => Intent::Finished,
        _ => Intent::Run,
    }
}

fn deadline(pod: &Pod, spec: &PodSpec) -> Option<Timestamp> {
    let seconds = spec.active_deadline_seconds?;
    let started = pod.status.as_ref()?.start_time.as_ref()?.0;
    started.checked_add(SignedDuration::from_secs(seconds)).ok()
}

fn init_container(container: &Container, pod: RestartPolicy) -> ContainerSpec {
    if container.restart_policy.as_deref() == Some("Always") {
        return describe(container, Role::Sidecar, RestartPolicy::Always);
    }
    // An init container that succeeded is done whatever the pod's policy.
    let restart = match pod {
        RestartPolicy::Never => RestartPolicy::Never,
        RestartPolicy::Always | RestartPolicy::OnFailure => RestartPolicy::OnFailure,
    };
    describe(container, Role::Init, restart)
}

fn ephemeral(container: &EphemeralContainer) -> ContainerSpec {
    let target = container.target_container_name.clone().filter(|name| !name.is_empty());
    let spec = describe(&container_of(container), Role::Ephemeral, RestartPolicy::Never);
    ContainerSpec { target, ..spec }
}

fn describe(container: &Container, role: Role, restart: RestartPolicy) -> ContainerSpec {
    let probes = [
        (ProbeKind::Startup, &container.startup_probe),
        (ProbeKind::Liveness, &container.liveness_probe),
        (ProbeKind::Readiness, &container.readiness_probe),
    ];
    ContainerSpec {
        name: container.name.clone(),
        role,
        restart,
        target: None,
        size: if matches!(role, Role::Sidecar | Role::Main) { Size::of(container) } else { None },
        needs_ip: needs_pod_ip(container),
        probes: if matches!(role, Role::Init | Role::Ephemeral) {
            Vec::new()
        } else {
            probes
                .into_iter()
                .filter_map(|(kind, probe)| {
                    let ports = container.ports.as_deref().unwrap_or(&[]);
                    Some(ProbeSpec::of(kind, probe.as_ref()?, ports))
                })
                .collect()
        },
    }
}
