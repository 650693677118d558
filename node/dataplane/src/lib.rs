//! Pod network of one host: a bridge, an address for each pod, routes to the other hosts.
//!
//! Every pod reaches every pod without translation, as the Kubernetes network model asks; only
//! traffic that leaves the cluster's range is masqueraded.

mod addresses;
mod cidr;
mod firewall;
mod limits;
mod namespace;
mod netlink;
mod network;

pub use addresses::AddressError;
pub use cidr::{CidrError, Ipv4Cidr};
pub use firewall::FirewallError;
pub use netlink::NetlinkError;
pub use network::{HostNetwork, NetworkConfig, NetworkError};
