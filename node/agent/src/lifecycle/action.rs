//! The steps of a pod's life.

use jiff::Timestamp;
use skein_runtime::{ContainerId, Resources, SandboxId};

use crate::probe::ProbeKey;

/// One step to perform. Several of one plan may run side by side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Wait for one of the host's places for starting pods.
    TakeSlot,
    /// Make and start the sandbox.
    RunSandbox { attempt: u32 },
    /// Give the sandbox its address.
    Attach { sandbox: SandboxId },
    /// Resolve the image, environment and volumes of a container.
    Prepare { container: String, attempt: u32 },
    /// Make a container without starting it; it is to share the processes of `target`.
    Create { sandbox: SandboxId, container: String, attempt: u32, target: Option<ContainerId> },
    /// Start a made container.
    Start { container: String, id: ContainerId },
    /// Give a running container what its pod was given.
    Update { id: ContainerId, resources: Resources },
    /// End a container.
    Stop { container: String, id: ContainerId, grace_seconds: u64, reason: StopReason },
    /// Forget a container that has ended.
    RemoveContainer { id: ContainerId },
    /// End a sandbox whose containers are done.
    StopSandbox { id: SandboxId },
    /// Forget a sandbox and what is in it.
    RemoveSandbox { id: SandboxId },
    /// Release the pod's address.
    Detach,
    /// Ask a container how it is.
    Probe(ProbeKey),
    /// Remove the pod's files.
    Cleanup,
    /// Tell the store that the pod has ended.
    Delete,
}

/// Why a container is ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum StopReason {
    /// The pod is deleted, finished or gone.
    PodEnds,
    /// Its sandbox died.
    SandboxDied,
    /// Its liveness or startup probe failed.
    Unhealthy(&'static str),
    /// Another copy of it runs.
    Duplicate,
    /// It is made anew with what its pod was given.
    Resized,
}

/// Names a step: at most one action of a step is under way.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    /// [`Action::TakeSlot`].
    Slot,
    /// [`Action::RunSandbox`].
    Sandbox,
    /// [`Action::Attach`] and [`Action::Detach`].
    Network,
    /// [`Action::Prepare`] of a container.
    Prepare(String),
    /// [`Action::Create`] and [`Action::Start`] of a container.
    Launch(String),
    /// [`Action::Update`].
    Update(ContainerId),
    /// [`Action::Stop`] of a container within a grace: a shorter one is another step.
    Stop(ContainerId, u64),
    /// [`Action::RemoveContainer`].
    RemoveContainer(ContainerId),
    /// [`Action::StopSandbox`] and [`Action::RemoveSandbox`].
    EndSandbox(SandboxId),
    /// [`Action::Probe`].
    Probe(ProbeKey),
    /// [`Action::Cleanup`].
    Cleanup,
    /// [`Action::Delete`].
    Delete,
}

impl Action {
    /// The step this action belongs to.
    pub(crate) fn step(&self) -> Step {
        match self {
            Self::TakeSlot => Step::Slot,
            Self::RunSandbox { .. } => Step::Sandbox,
            Self::Attach { .. } | Self::Detach => Step::Network,
            Self::Prepare { container, .. } => Step::Prepare(container.clone()),
            Self::Create { container, .. } | Self::Start { container, .. } => {
                Step::Launch(container.clone())
            }
            Self::Update { id, .. } => Step::Update(id.clone()),
            Self::Stop { id, grace_seconds, .. } => Step::Stop(id.clone(), *grace_seconds),
            Self::RemoveContainer { id } => Step::RemoveContainer(id.clone()),
            Self::StopSandbox { id } | Self::RemoveSandbox { id } => Step::EndSandbox(id.clone()),
            Self::Probe(key) => Step::Probe(key.clone()),
            Self::Cleanup => Step::Cleanup,
            Self::Delete => Step::Delete,
        }
    }
}

impl Step {
    /// Whether a listing of the runtime taken while this step runs may be older than its result.
    pub(crate) fn changes_runtime(&self) -> bool {
        matches!(
            self,
            Self::Sandbox
                | Self::Launch(_)
                | Self::Update(_)
                | Self::RemoveContainer(_)
                | Self::EndSandbox(_)
        )
    }

    /// Whether a place for starting pods is kept while this step runs.
    pub(crate) fn needs_slot(&self) -> bool {
        matches!(self, Self::Sandbox | Self::Network | Self::Launch(_))
    }
}

/// What to do now, and when to look again though nothing was heard.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    /// The steps, independent of each other.
    pub(crate) actions: Vec<Action>,
    /// Look again at this time.
    pub(crate) wake: Option<Timestamp>,
    /// Nothing is left of the pod; its worker may end.
    pub(crate) finished: bool,
}
