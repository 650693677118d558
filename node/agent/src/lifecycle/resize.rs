//! How a running container comes to what its pod was given.

use k8s_openapi::api::core::v1::Container;
use skein_runtime::Resources;

use crate::pod::container_resources;

/// What a container was given, and which change of it takes a restart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Size {
    /// As the runtime takes it.
    pub(crate) resources: Resources,
    /// Whether it is restarted when its CPU changes.
    pub(crate) restarts_for_cpu: bool,
    /// Whether it is restarted when its memory changes.
    pub(crate) restarts_for_memory: bool,
}

/// What brings a running container to its size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// The runtime gives it this while it runs.
    Update(Resources),
    /// It ends and is made anew.
    Restart,
}

impl Size {
    /// The size of a container; `None` where its quantities cannot be read, so that it could not
    /// have been made.
    pub(crate) fn of(container: &Container) -> Option<Self> {
        let resources = container_resources(container).ok()?;
        let restarts_for = |resource: &str| {
            let mut policies = container.resize_policy.iter().flatten();
            policies.any(|one| {
                one.resource_name == resource && one.restart_policy == "RestartContainer"
            })
        };
        Some(Self {
            resources,
            restarts_for_cpu: restarts_for("cpu"),
            restarts_for_memory: restarts_for("memory"),
        })
    }

    /// What is to be done with a container that runs with these.
    pub(crate) fn change(&self, actual: Resources) -> Option<Change> {
        let wanted = actual.updated(self.resources);
        if wanted == actual {
            return None;
        }
        let memory = wanted.memory_limit_bytes != actual.memory_limit_bytes;
        let cpu = Resources { memory_limit_bytes: actual.memory_limit_bytes, ..wanted } != actual;
        let restarts = (cpu && self.restarts_for_cpu) || (memory && self.restarts_for_memory);
        Some(if restarts { Change::Restart } else { Change::Update(self.resources) })
    }
}
