//! The ways to the other hosts' pods.

use std::{net::IpAddr, sync::Arc};

use k8s_openapi::api::core::v1::Node;

use crate::Route;

/// A route to each other node that has a range and an address, in order.
pub(super) fn routes(nodes: &[Arc<Node>], own: &str) -> Vec<Route> {
    let others = nodes.iter().filter(|node| node.metadata.name.as_deref() != Some(own));
    let mut routes: Vec<Route> = others.filter_map(|node| route(node)).collect();
    routes.sort();
    routes
}

fn route(node: &Node) -> Option<Route> {
    let cidr = node.spec.as_ref()?.pod_cidr.clone()?;
    let addresses = node.status.as_ref()?.addresses.as_ref()?;
    let internal = addresses.iter().find(|address| address.type_ == "InternalIP")?;
    Some(Route { cidr, via: internal.address.parse::<IpAddr>().ok()? })
}
