//! The pod network of the host whose network namespace this process runs in.
//!
//! A pod is joined by a pair of linked devices: one end a port of the bridge, named after the pod's
//! uid, the other made as `eth0` right inside the pod's namespace. Hardware addresses follow from
//! IP addresses, so neighbours never hold a stale pair. When a pod's namespace goes, the kernel
//! removes the pair; what is still there under a pod's name when the pod is attached again is
//! replaced. Everything can be called again at any time; state lives in the kernel, this process
//! only remembers who has which address and learns it anew from the pods' own devices.

mod links;
#[cfg(test)]
mod tests;

use std::{
    fs::File,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use rtnetlink::packet_route::route::RouteProtocol;
use tokio::{net::TcpStream, sync::Mutex};

use crate::{
    AddressError, FirewallError, Ipv4Cidr,
    addresses::Addresses,
    firewall,
    limits::CONNECT_DEADLINE,
    namespace,
    netlink::{Netlink, NetlinkError},
};
use links::Inside;

/// Marks routes of ours in the kernel's table; a number nobody has registered.
const ROUTE_PROTOCOL: RouteProtocol = RouteProtocol::Other(83);

/// How the pod network of this host is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkConfig {
    /// Name of the bridge, 15 characters at most.
    pub bridge: String,
    /// The range all pods of the cluster are in.
    pub cluster_cidr: Ipv4Cidr,
    /// Largest packet on pod devices; that of the hosts' own link, or less if pods' packets are
    /// wrapped on the way.
    pub mtu: u32,
}

/// Why the pod network could not be changed.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// The kernel refused.
    #[error("{what}")]
    Netlink {
        /// What was tried.
        what: String,
        /// Why not.
        source: NetlinkError,
    },
    /// A file or a socket.
    #[error("{what}")]
    Io {
        /// What was tried.
        what: String,
        /// Why not.
        source: io::Error,
    },
    /// The firewall.
    #[error("the pod network's packet filter was not set")]
    Firewall(#[from] FirewallError),
    /// The pod's address.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// [`HostNetwork::set_range`] has not been called.
    #[error("this host has no pod range yet")]
    NoRange,
    /// The range would change under running pods.
    #[error("pods still have addresses of {current}, so the range cannot become {wanted}")]
    RangeInUse {
        /// The range now.
        current: Ipv4Cidr,
        /// The range asked for.
        wanted: Ipv4Cidr,
    },
    /// The process does not have a network namespace of its own: it must not be touched.
    #[error("process {0} is in the host's network namespace")]
    HostNamespace(u32),
}

/// The pod network of this host; every method may be called from several tasks.
#[derive(Debug)]
pub struct HostNetwork {
    config: NetworkConfig,
    netlink: Netlink,
    /// `None` until the host has its range. Held across an attachment: one changes the network at a
    /// time, an attachment takes single milliseconds.
    addresses: Mutex<Option<Addresses>>,
}

impl HostNetwork {
    /// Opens the network of the namespace this process runs in; changes nothing yet. Must be called
    /// within a tokio runtime.
    ///
    /// # Errors
    /// A netlink socket could not be opened.
    pub fn open(config: NetworkConfig) -> Result<Self, NetworkError> {
        let netlink = Netlink::open().map_err(io("opening a netlink socket"))?;
        Ok(Self { config, netlink, addresses: Mutex::new(None) })
    }

    /// Gives the host its range: makes the bridge with the range's first address, lets packets be
    /// forwarded, and masquerades what leaves the cluster.
    ///
    /// # Errors
    /// The kernel or the packet filter refused, or pods still have addresses of another range.
    pub async fn set_range(&self, range: Ipv4Cidr) -> Result<(), NetworkError> {
        let mut addresses = self.addresses.lock().await;
        match &*addresses {
            Some(current) if current.range() == range => {}
            Some(current) if !current.is_empty() => {
                return Err(NetworkError::RangeInUse { current: current.range(), wanted: range });
            }
            Some(_) | None => *addresses = None,
        }
        let fresh = Addresses::new(range)?;
        links::make_bridge(&self.netlink, &self.config, &fresh).await?;
        let forward = "/proc/sys/net/ipv4/ip_forward";
        std::fs::write(forward, "1").map_err(io(format!("writing {forward}")))?;
        firewall::apply(&self.config.bridge, self.config.cluster_cidr, range).await?;
        addresses.get_or_insert(fresh);
        Ok(())
    }

    /// Joins the pod whose pause process is `pid`; returns its address, the same one every time,
    /// also after a restart of this process unless another pod has it by now.
    ///
    /// # Errors
    /// No range or no free address, the process is gone, or the kernel refused.
    pub async fn attach(&self, pod_uid: &str, pid: u32) -> Result<Ipv4Addr, NetworkError> {
        let mut addresses = self.addresses.lock().await;
        let addresses = addresses.as_mut().ok_or(NetworkError::NoRange)?;
        let inside = Inside::enter(pod_namespace(pid)?).await?;
        if addresses.of(pod_uid).is_none()
            && let Some(had) = inside.address().await?
        {
            match addresses.adopt(pod_uid, had) {
                // One that it cannot keep is replaced.
                Ok(()) | Err(AddressError::Taken { .. } | AddressError::OutOfRange(..)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        links::join(&self.netlink, &self.config, addresses, pod_uid, inside).await
    }

    /// Takes over a pod that was joined before this process started, and returns its address: the
    /// one its device has, or if that is gone the one it is `told` to have, under which it is
    /// joined again. `None` for a pod that never was joined.
    ///
    /// # Errors
    /// No range, an address that is not this host's or another pod's, the process is gone, or the
    /// kernel refused.
    pub async fn adopt(
        &self,
        pod_uid: &str,
        pid: u32,
        told: Option<Ipv4Addr>,
    ) -> Result<Option<Ipv4Addr>, NetworkError> {
        let mut addresses = self.addresses.lock().await;
        let addresses = addresses.as_mut().ok_or(NetworkError::NoRange)?;
        let inside = Inside::enter(pod_namespace(pid)?).await?;
        let Some(address) = inside.address().await?.or(told) else { return Ok(None) };
        addresses.adopt(pod_uid, address)?;
        links::join(&self.netlink, &self.config, addresses, pod_uid, inside).await.map(Some)
    }

    /// Takes a pod off the network and frees its address; a pod that is gone is fine.
    ///
    /// # Errors
    /// The kernel refused.
    pub async fn detach(&self, pod_uid: &str) -> Result<(), NetworkError> {
        let mut addresses = self.addresses.lock().await;
        let name = links::device_name(pod_uid);
        let deleted = self.netlink.delete_link(&name).await;
        deleted.map_err(netlink(format!("deleting {name}")))?;
        if let Some(addresses) = addresses.as_mut() {
            addresses.release(pod_uid);
        }
        Ok(())
    }

    /// Connects to a port that a pod listens on at its own loopback address, as if from inside the
    /// pod; `pid` is its pause process, also that of a pod in the host's namespace.
    ///
    /// # Errors
    /// The process is gone, or nothing listens there.
    pub async fn connect(&self, pid: u32, port: u16) -> Result<TcpStream, NetworkError> {
        let dial = move || -> io::Result<std::net::TcpStream> {
            let addresses = [IpAddr::from(Ipv4Addr::LOCALHOST), Ipv6Addr::LOCALHOST.into()];
            let [v4, v6] = addresses.map(|address| SocketAddr::from((address, port)));
            // Who listens on neither is told of the first, which is what programs mean.
            let stream =
                std::net::TcpStream::connect_timeout(&v4, CONNECT_DEADLINE).or_else(|error| {
                    std::net::TcpStream::connect_timeout(&v6, CONNECT_DEADLINE).map_err(|_| error)
                })?;
            stream.set_nonblocking(true)?;
            Ok(stream)
        };
        let failed = || io(format!("connecting to port {port} of the pod"));
        let namespace = namespace::of_process(pid).map_err(failed())?;
        let stream = namespace::inside(namespace, dial).await.map_err(failed())?;
        TcpStream::from_std(stream).map_err(failed())
    }

    /// Makes these the routes to the other hosts' ranges, each through its host's address; routes of
    /// earlier calls that are not among them go. Every route is tried before the first error is
    /// returned, so that one unreachable host does not cost the others theirs.
    ///
    /// # Errors
    /// The kernel refused a route, mostly because its host is not on a shared link.
    pub async fn set_routes(&self, routes: &[(Ipv4Cidr, Ipv4Addr)]) -> Result<(), NetworkError> {
        let _one_at_a_time = self.addresses.lock().await;
        let present = self.netlink.routes(ROUTE_PROTOCOL).await;
        let mut outcome = Ok(());
        for (to, route) in present.map_err(netlink("listing routes"))? {
            if !routes.iter().any(|(wanted, _)| *wanted == to) {
                let deleted = self.netlink.delete_route(route).await;
                outcome = outcome.and(deleted.map_err(netlink(format!("deleting the route {to}"))));
            }
        }
        for (to, via) in routes {
            let set = self.netlink.set_route(*to, *via, ROUTE_PROTOCOL).await;
            outcome = outcome.and(set.map_err(netlink(format!("routing {to} through {via}"))));
        }
        outcome
    }
}

/// The network namespace of a pod's process, unless it is the host's.
fn pod_namespace(pid: u32) -> Result<File, NetworkError> {
    let found = namespace::of_process(pid);
    let found = found.map_err(io(format!("opening the network namespace of process {pid}")))?;
    found.ok_or(NetworkError::HostNamespace(pid))
}

fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> NetworkError {
    let what = what.into();
    move |source| NetworkError::Io { what, source }
}

fn netlink(what: impl Into<String>) -> impl FnOnce(NetlinkError) -> NetworkError {
    let what = what.into();
    move |source| NetworkError::Netlink { what, source }
}
