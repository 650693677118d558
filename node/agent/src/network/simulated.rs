//! A network that only counts addresses, for tests and simulated nodes.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr},
    sync::{Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use tokio::net::TcpStream;

use super::{NetworkError, PodNetwork, Route};

/// Hands out the addresses of a /24 in order and remembers who has which.
#[derive(Debug, Default)]
pub struct SimulatedNetwork {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    range: Option<(String, Ipv4Addr)>,
    routes: Vec<Route>,
    routes_error: Option<String>,
    /// What the running process has given or taken over.
    pods: BTreeMap<String, IpAddr>,
    /// What the kernel has set up, also for a process that is gone.
    links: BTreeMap<String, IpAddr>,
}

impl SimulatedNetwork {
    /// A network without a range.
    pub fn new() -> Self {
        Self::default()
    }

    /// The address of a pod.
    pub fn address(&self, pod_uid: &str) -> Option<IpAddr> {
        self.lock().pods.get(pod_uid).copied()
    }

    /// Every pod that has an address, and which, given by whatever process.
    pub fn addresses(&self) -> BTreeMap<String, IpAddr> {
        self.lock().links.clone()
    }

    /// The process that used the network is gone; what it set up stays, unknown to the next one.
    pub fn forget_process(&self) {
        let mut state = self.lock();
        state.range = None;
        state.pods.clear();
    }

    /// The host lost its power, and with it everything that was set up.
    pub fn cut_power(&self) {
        *self.lock() = State::default();
    }

    /// The routes last set.
    pub fn routes(&self) -> Vec<Route> {
        self.lock().routes.clone()
    }

    /// Loses the routes, as a link does that goes down and up.
    pub fn flush_routes(&self) {
        self.lock().routes.clear();
    }

    /// Refuses routes from now on with this message; `None` takes them again.
    pub fn set_routes_error(&self, message: Option<&str>) {
        self.lock().routes_error = message.map(str::to_owned);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl PodNetwork for SimulatedNetwork {
    async fn set_range(&self, pod_cidr: &str) -> Result<(), NetworkError> {
        let base = pod_cidr
            .split_once('/')
            .and_then(|(base, _)| base.parse().ok())
            .ok_or_else(|| NetworkError::Invalid(pod_cidr.to_owned()))?;
        self.lock().range = Some((pod_cidr.to_owned(), base));
        Ok(())
    }

    async fn set_routes(&self, routes: &[Route]) -> Result<(), NetworkError> {
        let mut state = self.lock();
        if let Some(message) = &state.routes_error {
            return Err(NetworkError::Failed(message.clone()));
        }
        state.routes = routes.to_vec();
        Ok(())
    }

    async fn attach(&self, pod_uid: &str, _pid: u32) -> Result<IpAddr, NetworkError> {
        let mut state = self.lock();
        if let Some(ip) = state.pods.get(pod_uid) {
            return Ok(*ip);
        }
        let (cidr, base) = state.range.clone().ok_or(NetworkError::NoRange)?;
        let [a, b, c, _] = base.octets();
        let is_free = |ip: &IpAddr| !state.pods.values().any(|taken| taken == ip);
        let had = state.links.get(pod_uid).copied();
        let ip = had
            .into_iter()
            .chain((2..=254).map(|host| IpAddr::V4(Ipv4Addr::new(a, b, c, host))))
            .find(is_free)
            .ok_or(NetworkError::Exhausted(cidr))?;
        state.pods.insert(pod_uid.to_owned(), ip);
        state.links.insert(pod_uid.to_owned(), ip);
        Ok(ip)
    }

    async fn connect(&self, _pid: u32, port: u16) -> Result<TcpStream, NetworkError> {
        Err(NetworkError::Unconnected(format!("nothing listens at port {port} of a simulated pod")))
    }

    async fn detach(&self, pod_uid: &str) -> Result<(), NetworkError> {
        let mut state = self.lock();
        state.pods.remove(pod_uid);
        state.links.remove(pod_uid);
        Ok(())
    }

    async fn adopt(
        &self,
        pod_uid: &str,
        _pid: u32,
        told: Option<IpAddr>,
    ) -> Result<Option<IpAddr>, NetworkError> {
        let mut state = self.lock();
        if state.range.is_none() {
            return Err(NetworkError::NoRange);
        }
        let Some(ip) = state.links.get(pod_uid).copied().or(told) else { return Ok(None) };
        if state.pods.iter().any(|(uid, taken)| uid != pod_uid && *taken == ip) {
            return Err(NetworkError::Failed(format!("{ip} belongs to another pod")));
        }
        state.pods.insert(pod_uid.to_owned(), ip);
        state.links.insert(pod_uid.to_owned(), ip);
        Ok(Some(ip))
    }
}
