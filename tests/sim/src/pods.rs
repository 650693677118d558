//! The container engine and the pod network of a simulated host. They outlive the process that
//! drives them, as containers and links do, unless the power fails.

use std::{net::IpAddr, sync::Arc};

use jiff::Timestamp;
use skein_agent::SimulatedNetwork;
use skein_runtime::SimulatedRuntime;

/// The pods of one host. Clones are handles to the same ones.
#[derive(Clone)]
pub(crate) struct Engine {
    pub(crate) runtime: SimulatedRuntime,
    pub(crate) network: Arc<SimulatedNetwork>,
}

impl Engine {
    /// An engine without pods that takes as long as Docker does.
    pub(crate) fn new() -> Self {
        let runtime = SimulatedRuntime::new(Timestamp::now());
        runtime.set_docker_latencies();
        Self { runtime, network: Arc::default() }
    }

    /// Ends everything that runs.
    pub(crate) fn cut_power(&self) {
        self.runtime.cut_power();
        self.network.cut_power();
    }

    /// The pods that run and their addresses, where they have one.
    pub(crate) fn pods(&self) -> Vec<(String, Option<IpAddr>)> {
        let addresses = self.network.addresses();
        let live = self.runtime.live_pods().into_iter();
        live.map(|(uid, _)| (uid.clone(), addresses.get(&uid).copied())).collect()
    }
}
