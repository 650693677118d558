//! The container engine of a simulated host and the addresses of its pods. They outlive the
//! process that drives them, as containers do, unless the power fails.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;
use skein_agent::SimulatedNetwork;
use skein_runtime::SimulatedRuntime;

/// The pods of one host. Clones are handles to the same ones.
#[derive(Clone)]
pub(crate) struct Engine {
    pub(crate) runtime: SimulatedRuntime,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// What the running process set up; the kernel keeps it for the next one.
    network: Arc<SimulatedNetwork>,
    /// Addresses of pods as last seen.
    addresses: BTreeMap<String, IpAddr>,
}

impl Engine {
    /// An engine without pods.
    pub(crate) fn new() -> Self {
        let runtime = SimulatedRuntime::new(Timestamp::now());
        runtime.set_docker_latencies();
        Self { runtime, state: Arc::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a new process knows of the network: nothing, until it takes over what there is.
    pub(crate) fn renew_network(&self) -> Arc<SimulatedNetwork> {
        let network = Arc::new(SimulatedNetwork::new());
        self.lock().network = Arc::clone(&network);
        network
    }

    /// The pods that run and their addresses, where they have one.
    pub(crate) fn pods(&self) -> Vec<(String, Option<IpAddr>)> {
        let mut state = self.lock();
        let current = state.network.addresses();
        state.addresses.extend(current);
        let live = self.runtime.live_pods();
        state.addresses.retain(|uid, _| live.iter().any(|(known, _)| known == uid));
        live.into_iter()
            .map(|(uid, _)| {
                let address = state.addresses.get(&uid).copied();
                (uid, address)
            })
            .collect()
    }
}
