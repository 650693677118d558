//! From what the controllers know of nodes and pods to what the scheduler sees.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Node;
use skein_scheduler::{BoundPod, Effect, NodeView, Taint};

use crate::{
    placement::{count, resources, taint},
    pod::Pod,
};

/// Pods of a node that does not say how many it runs; Kubernetes' usual limit.
const DEFAULT_MAX_PODS: u64 = 110;

/// The taint of a node that is not ready.
const NOT_READY: &str = "node.kubernetes.io/not-ready";

/// A node as the scheduler sees it. One that is not ready counts as tainted even before the taint
/// is written, so that no pod slips in between.
pub(super) fn node_view(node: &Node) -> NodeView {
    let spec = node.spec.as_ref();
    let status = node.status.as_ref();
    let allocatable =
        status.and_then(|status| status.allocatable.as_ref().or(status.capacity.as_ref()));
    let (max_pods, allocatable): (Vec<_>, Vec<_>) =
        allocatable.into_iter().flatten().partition(|(name, _)| *name == "pods");
    let taints = spec.and_then(|spec| spec.taints.as_ref());
    let mut view = NodeView {
        name: node.metadata.name.clone().unwrap_or_default(),
        labels: node.metadata.labels.clone().unwrap_or_default(),
        taints: taints.into_iter().flatten().filter_map(taint).collect(),
        unschedulable: spec.and_then(|spec| spec.unschedulable).unwrap_or(false),
        allocatable: resources(allocatable),
        max_pods: max_pods.first().map_or(DEFAULT_MAX_PODS, |(_, pods)| count(pods)),
    };
    if !is_ready(node) && view.taints.is_empty() {
        let (key, value) = (NOT_READY.to_owned(), String::new());
        view.taints.push(Taint { key, value, effect: Effect::NoSchedule });
    }
    view
}

/// A pod that has its node.
pub(super) fn bound_pod(pod: &Pod, node: Arc<str>) -> BoundPod {
    let placement = &pod.shape.placement;
    BoundPod {
        node,
        requests: placement.requests.clone(),
        host_ports: placement.host_ports.clone(),
        // A pod on its way out is no reason to keep its successor away.
        owner: placement.owner.clone().filter(|_| !pod.is_terminating),
    }
}

fn is_ready(node: &Node) -> bool {
    let conditions = node.status.as_ref().and_then(|status| status.conditions.as_ref());
    conditions.into_iter().flatten().any(|one| one.type_ == "Ready" && one.status == "True")
}
