//! What is taken on each node, kept up to date decision by decision.

use crate::{HostPort, NodeView, PodView, Refusal, Resources};

/// Request assumed, for scoring only, of a pod that states none: without it such pods would weigh
/// nothing. The values are those of the Kubernetes scheduler.
const ASSUMED_CPU_MILLI: u64 = 100;
const ASSUMED_MEMORY_BYTES: u64 = 200 * 1024 * 1024;

/// Shares are counted in parts of this.
const WHOLE: u128 = 1_000_000;

/// The account of one node.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ledger {
    taken: Resources,
    assumed_cpu_milli: u64,
    assumed_memory_bytes: u64,
    pods: u64,
    ports: Vec<HostPort>,
}

impl Ledger {
    /// Books a pod.
    pub(crate) fn book(&mut self, requests: &Resources, ports: &[HostPort]) {
        self.taken.add(requests);
        let (cpu, memory) = assumed(requests);
        self.assumed_cpu_milli = self.assumed_cpu_milli.saturating_add(cpu);
        self.assumed_memory_bytes = self.assumed_memory_bytes.saturating_add(memory);
        self.pods += 1;
        self.ports.extend_from_slice(ports);
    }

    /// How many pods are booked.
    pub(crate) fn pods(&self) -> u64 {
        self.pods
    }

    /// Whether `pod` still fits.
    pub(crate) fn fits(&self, node: &NodeView, pod: &PodView) -> bool {
        let (taken, asked, allocatable) = (&self.taken, &pod.requests, &node.allocatable);
        self.pods < node.max_pods
            && fits(taken.cpu_milli, asked.cpu_milli, allocatable.cpu_milli)
            && fits(taken.memory_bytes, asked.memory_bytes, allocatable.memory_bytes)
            && fits(
                taken.ephemeral_storage_bytes,
                asked.ephemeral_storage_bytes,
                allocatable.ephemeral_storage_bytes,
            )
            && asked.extended.iter().all(|(name, amount)| self.fits_extended(node, name, *amount))
            && !self.ports_taken(pod)
    }

    /// Why `pod` does not fit: taken ports, else everything there is too little of.
    pub(crate) fn refusals(&self, node: &NodeView, pod: &PodView) -> Vec<Refusal> {
        if self.ports_taken(pod) {
            return vec![Refusal::Ports];
        }
        let mut refusals = Vec::new();
        if self.pods >= node.max_pods {
            refusals.push(Refusal::TooManyPods);
        }
        let (taken, asked, allocatable) = (&self.taken, &pod.requests, &node.allocatable);
        let amounts = [
            ("cpu", taken.cpu_milli, asked.cpu_milli, allocatable.cpu_milli),
            ("memory", taken.memory_bytes, asked.memory_bytes, allocatable.memory_bytes),
            (
                "ephemeral-storage",
                taken.ephemeral_storage_bytes,
                asked.ephemeral_storage_bytes,
                allocatable.ephemeral_storage_bytes,
            ),
        ];
        for (name, taken, asked, allocatable) in amounts {
            if !fits(taken, asked, allocatable) {
                refusals.push(Refusal::Insufficient(name.into()));
            }
        }
        for (name, amount) in &asked.extended {
            if !self.fits_extended(node, name, *amount) {
                refusals.push(Refusal::Insufficient(name.clone()));
            }
        }
        refusals
    }

    /// The share of the node's scarcer resource (CPU or memory) that is taken once a pod asking
    /// for `requests` came too, in millionths; above one million on an overfull node.
    pub(crate) fn share_with(&self, node: &NodeView, requests: &Resources) -> u64 {
        let (cpu, memory) = assumed(requests);
        let cpu = share(self.assumed_cpu_milli.saturating_add(cpu), node.allocatable.cpu_milli);
        let memory =
            share(self.assumed_memory_bytes.saturating_add(memory), node.allocatable.memory_bytes);
        cpu.max(memory)
    }

    fn fits_extended(&self, node: &NodeView, name: &str, asked: u64) -> bool {
        let amount = |resources: &Resources| resources.extended.get(name).copied().unwrap_or(0);
        fits(amount(&self.taken), asked, amount(&node.allocatable))
    }

    fn ports_taken(&self, pod: &PodView) -> bool {
        pod.host_ports.iter().any(|port| self.ports.iter().any(|taken| taken.conflicts(port)))
    }
}

/// A pod that asks for nothing of a resource fits even where more is taken than there is.
fn fits(taken: u64, asked: u64, allocatable: u64) -> bool {
    asked == 0 || taken.checked_add(asked).is_some_and(|sum| sum <= allocatable)
}

fn assumed(requests: &Resources) -> (u64, u64) {
    let or = |stated: u64, assumed: u64| if stated == 0 { assumed } else { stated };
    (or(requests.cpu_milli, ASSUMED_CPU_MILLI), or(requests.memory_bytes, ASSUMED_MEMORY_BYTES))
}

fn share(taken: u64, allocatable: u64) -> u64 {
    if allocatable == 0 {
        return u64::MAX;
    }
    u64::try_from(u128::from(taken) * WHOLE / u128::from(allocatable)).unwrap_or(u64::MAX)
}
