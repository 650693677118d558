//! What pods were given of this host, apart from what their specs ask for now.
//!
//! A pod starts with what its spec asks for. When it is resized it keeps what it was given until
//! there is room for the rest; the pod that this host acts on is the stored one with what it was
//! given in place of what it asks for. What was given is told in the status of its containers and
//! read back from there, so that it outlives this process.

mod ledger;
mod room;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, sync::Arc};

use k8s_openapi::{
    api::core::v1::{Container, ContainerStatus, Pod, PodStatus},
    apimachinery::pkg::api::resource::Quantity,
};
use skein_objects::quantity;
use skein_runtime::RuntimeVersion;

pub(crate) use ledger::{Answer, Refusal, Shortage};
pub(crate) use room::{Place, Room};

type Quantities = BTreeMap<String, Quantity>;

/// The requests and limits that were given to each container of a pod, by its name.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Allocation(BTreeMap<String, Given>);

#[derive(Clone, Debug, Default, PartialEq)]
struct Given {
    requests: Quantities,
    limits: Quantities,
}

impl Allocation {
    /// What the spec asks for.
    pub(crate) fn asked(pod: &Pod) -> Self {
        let given = containers(pod).map(|container| {
            let stated = container.resources.clone().unwrap_or_default();
            let requests = stated.requests.unwrap_or_default();
            let given = Given { requests, limits: stated.limits.unwrap_or_default() };
            (container.name.clone(), given)
        });
        Self(given.collect())
    }

    /// What the status says was given; what the spec asks for where it says nothing.
    pub(crate) fn told(pod: &Pod) -> Self {
        let mut allocation = Self::asked(pod);
        for status in pod.status.iter().flat_map(statuses) {
            let (Some(given), Some(stated)) =
                (allocation.0.get_mut(&status.name), &status.resources)
            else {
                continue;
            };
            given.requests = status.allocated_resources.clone().unwrap_or_default();
            given.limits = stated.limits.clone().unwrap_or_default();
        }
        allocation
    }

    /// The pod as if its spec asked for this.
    pub(crate) fn applied_to(&self, pod: &Arc<Pod>) -> Arc<Pod> {
        if Self::asked(pod) == *self {
            return Arc::clone(pod);
        }
        let mut pod = Pod::clone(pod);
        let spec = pod.spec.get_or_insert_default();
        let init = spec.init_containers.iter_mut().flatten();
        for container in init.chain(&mut spec.containers) {
            let Some(given) = self.0.get(&container.name).cloned() else { continue };
            let stated = container.resources.get_or_insert_default();
            stated.requests = Some(given.requests).filter(|requests| !requests.is_empty());
            stated.limits = Some(given.limits).filter(|limits| !limits.is_empty());
        }
        Arc::new(pod)
    }
}

/// The statuses of containers that are given something.
pub(crate) fn statuses(status: &PodStatus) -> impl Iterator<Item = &ContainerStatus> {
    status.init_container_statuses.iter().chain(&status.container_statuses).flatten()
}

fn containers(pod: &Pod) -> impl Iterator<Item = &Container> {
    let spec = pod.spec.iter();
    spec.flat_map(|spec| spec.init_containers.iter().flatten().chain(&spec.containers))
}

/// An amount of each resource that pods are given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Amounts {
    /// CPU in thousandths of a core.
    pub(crate) cpu_millis: u64,
    /// Memory in bytes.
    pub(crate) memory_bytes: u64,
}

impl Amounts {
    /// All that a host of this runtime has, as its node's object says.
    pub(crate) fn of_host(version: &RuntimeVersion) -> Self {
        let memory_bytes = version.memory_bytes / 1024 * 1024;
        Self { cpu_millis: version.cpus.saturating_mul(1000), memory_bytes }
    }

    /// What a pod asks for: the sum over its containers and sidecars, or what an init container
    /// needs beside the sidecars before it if that is more, and its overhead.
    pub(crate) fn requested(pod: &Pod) -> Self {
        let Some(spec) = &pod.spec else { return Self::default() };
        let (mut running, mut sidecars, mut peak) =
            (Self::default(), Self::default(), Self::default());
        for container in &spec.containers {
            running = running.plus(Self::of(container));
        }
        for container in spec.init_containers.iter().flatten() {
            let need = Self::of(container);
            if container.restart_policy.as_deref() == Some("Always") {
                running = running.plus(need);
                sidecars = sidecars.plus(need);
                peak = peak.max(sidecars);
            } else {
                peak = peak.max(sidecars.plus(need));
            }
        }
        running.max(peak).plus(spec.overhead.as_ref().map(Self::stated).unwrap_or_default())
    }

    fn of(container: &Container) -> Self {
        let requests = container.resources.as_ref().and_then(|stated| stated.requests.as_ref());
        requests.map(Self::stated).unwrap_or_default()
    }

    /// Validation admits no other quantities than positive ones; anything else counts as nothing.
    fn stated(quantities: &Quantities) -> Self {
        let of = |name: &str, read: fn(&str) -> Result<i64, quantity::QuantityError>| {
            let amount = quantities.get(name).and_then(|quantity| read(&quantity.0).ok());
            amount.and_then(|amount| u64::try_from(amount).ok()).unwrap_or(0)
        };
        let (cpu_millis, memory_bytes) =
            (of("cpu", quantity::cpu_millis), of("memory", quantity::bytes));
        Self { cpu_millis, memory_bytes }
    }

    fn plus(self, other: Self) -> Self {
        Self {
            cpu_millis: self.cpu_millis.saturating_add(other.cpu_millis),
            memory_bytes: self.memory_bytes.saturating_add(other.memory_bytes),
        }
    }

    fn max(self, other: Self) -> Self {
        Self {
            cpu_millis: self.cpu_millis.max(other.cpu_millis),
            memory_bytes: self.memory_bytes.max(other.memory_bytes),
        }
    }
}
