//! The bridge, and the pair of devices between it and a pod.

use std::{fs::File, io as std_io, net::Ipv4Addr, os::fd::AsRawFd};

use rtnetlink::{
    LinkBridge, LinkMessageBuilder, LinkUnspec, LinkVeth,
    packet_route::link::{InfoData, InfoKind, InfoVeth},
};

use super::{NetworkConfig, NetworkError, io, netlink};
use crate::{addresses::Addresses, namespace, netlink::Netlink};

/// The pod's device inside its namespace.
const POD_DEVICE: &str = "eth0";

/// Settings of a new pod namespace, as container engines make them for networks of their own: any
/// user may listen on any port and send echo requests.
const POD_SETTINGS: [(&str, &str); 2] = [
    ("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0"),
    ("/proc/sys/net/ipv4/ping_group_range", "0 2147483647"),
];

/// The name of a pod's device on the bridge: 15 characters are all there is, so 52 bits of the
/// uid's FNV-1a hash have to do; uids are random, and a host has some hundred pods.
pub(super) fn device_name(pod_uid: &str) -> String {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    let hash =
        pod_uid.bytes().fold(OFFSET, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME));
    format!("sk{:013x}", hash >> 12)
}

/// A locally administered hardware address that follows from the IP address.
fn hardware_address(address: Ipv4Addr) -> Vec<u8> {
    let [a, b, c, d] = address.octets();
    vec![0x0a, 0x58, a, b, c, d]
}

/// Makes the bridge as it should be, whatever it was before.
pub(super) async fn make_bridge(
    kernel: &Netlink,
    config: &NetworkConfig,
    addresses: &Addresses,
) -> Result<(), NetworkError> {
    let name = &config.bridge;
    let failed = |step: &str| netlink(format!("{step} the bridge {name}"));
    kernel.add_link(LinkBridge::new(name).build()).await.map_err(failed("making"))?;
    let index = index(kernel, name).await?;
    // Without an address of its own a bridge takes the least of its ports' and changes with them.
    let wanted = LinkUnspec::new_with_index(index)
        .address(hardware_address(addresses.bridge()))
        .mtu(config.mtu)
        .up()
        .build();
    kernel.set_link(wanted).await.map_err(failed("setting up"))?;
    let set = kernel.set_address(index, addresses.bridge(), addresses.range().prefix()).await;
    set.map_err(failed("addressing"))
}

/// The index of a device that must be there.
async fn index(kernel: &Netlink, name: &str) -> Result<u32, NetworkError> {
    let what = || format!("finding the device {name}");
    let found = kernel.index(name).await.map_err(netlink(what()))?;
    found.ok_or_else(|| io(what())(std_io::ErrorKind::NotFound.into()))
}

/// A pod's namespace, entered.
pub(super) struct Inside {
    namespace: File,
    netlink: Netlink,
}

impl Inside {
    pub(super) async fn enter(namespace: File) -> Result<Self, NetworkError> {
        let own = namespace.try_clone().map_err(io("keeping a pod's namespace"))?;
        let open = || prepare_pod().and_then(|()| Netlink::open());
        let netlink = namespace::inside(own, open).await;
        Ok(Self { namespace, netlink: netlink.map_err(io("entering a pod's namespace"))? })
    }

    /// The address that the pod's device has, be it from an earlier run of this process.
    pub(super) async fn address(&self) -> Result<Option<Ipv4Addr>, NetworkError> {
        let failed = || netlink("looking for the pod's address");
        let Some(eth0) = self.netlink.index(POD_DEVICE).await.map_err(failed())? else {
            return Ok(None);
        };
        let present = self.netlink.addresses(eth0).await.map_err(failed())?;
        Ok(present.first().map(|(address, _)| *address))
    }
}

/// Joins a pod and returns its address; does nothing if it is joined.
pub(super) async fn join(
    kernel: &Netlink,
    config: &NetworkConfig,
    addresses: &mut Addresses,
    pod_uid: &str,
    Inside { namespace, netlink: pod }: Inside,
) -> Result<Ipv4Addr, NetworkError> {
    let address = addresses.allocate(pod_uid)?;
    let name = device_name(pod_uid);
    let outside = kernel.index(&name).await.map_err(netlink(format!("finding {name}")))?;
    let inside = pod.index(POD_DEVICE).await.map_err(netlink("finding the pod's eth0"))?;
    if outside.is_none() || inside.is_none() {
        // One end of an earlier pair: of a sandbox that was replaced, or of a half-done attempt.
        kernel.delete_link(&name).await.map_err(netlink(format!("deleting {name}")))?;
        make_pair(kernel, config, &name, address, &namespace).await?;
    }
    let bridge = index(kernel, &config.bridge).await?;
    let port = LinkUnspec::new_with_name(&name).controller(bridge).up().build();
    kernel.set_link(port).await.map_err(netlink(format!("joining {name} to the bridge")))?;
    configure_pod(&pod, address, addresses).await?;
    Ok(address)
}

/// Makes both ends in one request, the inner one with its final name right inside the pod: there is
/// no moment at which it could collide with a device of the host. It cannot be made up yet: it has
/// no peer before the request is done.
async fn make_pair(
    kernel: &Netlink,
    config: &NetworkConfig,
    name: &str,
    address: Ipv4Addr,
    namespace: &File,
) -> Result<(), NetworkError> {
    let inner = LinkMessageBuilder::<LinkUnspec>::new()
        .name(POD_DEVICE)
        .setns_by_fd(namespace.as_raw_fd())
        .address(hardware_address(address))
        .mtu(config.mtu)
        .build();
    let outer = LinkMessageBuilder::<LinkVeth>::new_with_info_kind(InfoKind::Veth)
        .name(name)
        .mtu(config.mtu)
        .set_info_data(InfoData::Veth(InfoVeth::Peer(inner)))
        .build();
    let made = kernel.add_link(outer).await;
    made.map(drop).map_err(netlink(format!("making the devices of a pod, {name}")))
}

async fn configure_pod(
    pod: &Netlink,
    address: Ipv4Addr,
    addresses: &Addresses,
) -> Result<(), NetworkError> {
    let failed = |what: &str| netlink(format!("{what} in a pod's namespace"));
    pod.set_up(index(pod, "lo").await?).await.map_err(failed("setting lo up"))?;
    let eth0 = index(pod, POD_DEVICE).await?;
    pod.set_up(eth0).await.map_err(failed("setting eth0 up"))?;
    let set = pod.set_address(eth0, address, addresses.range().prefix()).await;
    set.map_err(failed("addressing eth0"))?;
    pod.set_default_route(addresses.bridge()).await.map_err(failed("setting the default route"))
}

/// Runs on a thread inside the pod's namespace.
fn prepare_pod() -> std_io::Result<()> {
    POD_SETTINGS.iter().try_for_each(|(path, value)| std::fs::write(path, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_names_fit_and_differ() {
        let names = ["5f0c1b7e-0001", "5f0c1b7e-0002", ""].map(device_name);
        assert!(names.iter().all(|name| name.len() == 15), "{names:?}");
        assert_ne!(names[0], names[1]);
        assert_eq!(device_name("5f0c1b7e-0001"), names[0]);
    }

    #[test]
    fn hardware_addresses_are_local_unicast() {
        let address = hardware_address(Ipv4Addr::new(10, 42, 1, 2));
        assert_eq!(address, [0x0a, 0x58, 10, 42, 1, 2]);
        assert_eq!(address[0] & 0b11, 0b10);
    }
}
