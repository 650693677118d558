//! The plan of a pod that ends.

use skein_runtime::ContainerState;

use super::{Action, Network, Role, StopReason, plan::Planner};

impl Planner<'_> {
    /// The pod has succeeded or failed: nothing of it runs any more, its logs stay.
    pub(super) fn finish(&mut self) {
        if self.stop_containers(self.desired.grace_seconds) {
            return;
        }
        for sandbox in self.observed.sandboxes.iter().filter(|sandbox| sandbox.running) {
            self.emit(Action::StopSandbox { id: sandbox.id.clone() });
        }
        self.detach();
    }

    /// The pod goes: its containers within the grace, then its sandbox, address and files, and
    /// last, if `tell`, its object in the store.
    pub(super) fn tear_down(&mut self, grace_seconds: u64, tell: bool) {
        if self.stop_containers(grace_seconds) {
            return;
        }
        // A step that makes something is let end, so that nothing appears behind the removal.
        if self.memory.in_flight.iter().any(super::Step::changes_runtime) {
            return;
        }
        self.detach();
        for sandbox in &self.observed.sandboxes {
            self.emit(Action::RemoveSandbox { id: sandbox.id.clone() });
        }
        if !self.observed.sandboxes.is_empty() {
            return;
        }
        for container in &self.observed.containers {
            self.emit(Action::RemoveContainer { id: container.id.clone() });
        }
        if !self.observed.containers.is_empty() || self.memory.network != Network::Detached {
            return;
        }
        if !self.memory.cleaned {
            self.emit(Action::Cleanup);
        } else if tell && !self.memory.deleted {
            self.emit(Action::Delete);
        } else {
            self.plan.finished = self.memory.in_flight.is_empty();
        }
    }

    fn detach(&mut self) {
        if self.memory.network != Network::Detached {
            self.emit(Action::Detach);
        }
    }

    /// Ends the containers: all but the sidecars at once, then the sidecars, last one first.
    /// True while any runs.
    fn stop_containers(&mut self, grace_seconds: u64) -> bool {
        let is_sidecar = |name: &str| {
            self.desired.container(name).is_some_and(|container| container.role == Role::Sidecar)
        };
        let (sidecars, others): (Vec<_>, Vec<_>) =
            self.observed.running().partition(|container| is_sidecar(&container.name));
        if !others.is_empty() {
            for container in others {
                self.stop(container, grace_seconds, StopReason::PodEnds);
            }
            return true;
        }
        let order = |name: &str| self.desired.init.iter().position(|c| c.name == name);
        let last = sidecars.into_iter().max_by_key(|container| order(&container.name));
        if let Some(container) = last {
            self.stop(container, grace_seconds, StopReason::PodEnds);
            return true;
        }
        // One that is being started now is stopped once it runs.
        self.memory.in_flight.iter().any(|step| matches!(step, super::Step::Launch(_)))
            && self.observed.containers.iter().any(|c| c.state == ContainerState::Created)
    }
}
