//! From Kubernetes objects to what the scheduler sees.

use std::net::IpAddr;

use k8s_openapi::{
    api::core::v1::{Container, Node, NodeSelectorRequirement, NodeSelectorTerm, Pod, PodSpec},
    apimachinery::pkg::api::resource::Quantity,
};
use skein_objects::quantity::{QuantityError, bytes, cpu_millis};
use skein_scheduler::{
    BoundPod, Effect, HostPort, Match, NodeView, Operator, PodView, Protocol, Requirement,
    Resources, Taint, Term, Toleration,
};

use crate::{owner::controller_of, pod};

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
    let mut view = NodeView {
        name: node.metadata.name.clone().unwrap_or_default(),
        labels: node.metadata.labels.clone().unwrap_or_default(),
        taints: spec
            .and_then(|spec| spec.taints.as_ref())
            .into_iter()
            .flatten()
            .filter_map(taint)
            .collect(),
        unschedulable: spec.and_then(|spec| spec.unschedulable).unwrap_or(false),
        allocatable: Resources::default(),
        max_pods: DEFAULT_MAX_PODS,
    };
    if !is_ready(node) && view.taints.is_empty() {
        let (key, value) = (NOT_READY.to_owned(), String::new());
        view.taints.push(Taint { key, value, effect: Effect::NoSchedule });
    }
    for (name, quantity) in allocatable.into_iter().flatten() {
        if name == "pods" {
            view.max_pods = bounded(bytes(&quantity.0));
        } else {
            set(&mut view.allocatable, name, quantity);
        }
    }
    view
}

/// A pod that waits for a node.
pub(super) fn pod_view(pod: &Pod) -> PodView {
    let empty = PodSpec::default();
    let spec = pod.spec.as_ref().unwrap_or(&empty);
    let affinity = spec.affinity.as_ref().and_then(|affinity| affinity.node_affinity.as_ref());
    let required = affinity
        .and_then(|affinity| affinity.required_during_scheduling_ignored_during_execution.as_ref());
    PodView {
        requests: requests(spec),
        host_ports: host_ports(spec),
        node_selector: spec.node_selector.clone().unwrap_or_default(),
        required_terms: required
            .map(|required| required.node_selector_terms.iter().map(term).collect()),
        tolerations: tolerations(spec),
        priority: spec.priority.unwrap_or(0),
        owner: owner(pod),
    }
}

/// A pod that has its node.
pub(super) fn bound_pod(pod: &Pod, node: &str) -> BoundPod {
    let empty = PodSpec::default();
    let spec = pod.spec.as_ref().unwrap_or(&empty);
    BoundPod {
        node: node.to_owned(),
        requests: requests(spec),
        host_ports: host_ports(spec),
        // A pod on its way out is no reason to keep its successor away.
        owner: owner(pod).filter(|_| !pod::is_terminating(pod)),
    }
}

fn is_ready(node: &Node) -> bool {
    let conditions = node.status.as_ref().and_then(|status| status.conditions.as_ref());
    conditions.into_iter().flatten().any(|one| one.type_ == "Ready" && one.status == "True")
}

/// The taints a pod tolerates.
fn tolerations(spec: &PodSpec) -> Vec<Toleration> {
    let tolerations = spec.tolerations.iter().flatten();
    tolerations
        .map(|toleration| Toleration {
            key: toleration.key.clone().filter(|key| !key.is_empty()),
            value: match toleration.operator.as_deref() {
                Some("Exists") => Match::Exists,
                _ => Match::Equal(toleration.value.clone().unwrap_or_default()),
            },
            effect: toleration.effect.as_deref().and_then(effect),
        })
        .collect()
}

fn owner(pod: &Pod) -> Option<String> {
    controller_of(&pod.metadata).map(|owner| owner.uid.clone())
}

fn taint(taint: &k8s_openapi::api::core::v1::Taint) -> Option<Taint> {
    Some(Taint {
        key: taint.key.clone(),
        value: taint.value.clone().unwrap_or_default(),
        effect: effect(&taint.effect)?,
    })
}

fn effect(effect: &str) -> Option<Effect> {
    match effect {
        "NoSchedule" => Some(Effect::NoSchedule),
        "PreferNoSchedule" => Some(Effect::PreferNoSchedule),
        "NoExecute" => Some(Effect::NoExecute),
        _ => None,
    }
}

fn term(term: &NodeSelectorTerm) -> Term {
    let all = |requirements: &Option<Vec<NodeSelectorRequirement>>| {
        requirements.iter().flatten().map(requirement).collect()
    };
    Term { labels: all(&term.match_expressions), fields: all(&term.match_fields) }
}

fn requirement(requirement: &NodeSelectorRequirement) -> Requirement {
    // Validation admits these six only; an unknown one must not place a pod anywhere.
    let (operator, values) = match requirement.operator.as_str() {
        "NotIn" => (Operator::NotIn, requirement.values.clone()),
        "Exists" => (Operator::Exists, None),
        "DoesNotExist" => (Operator::DoesNotExist, None),
        "Gt" => (Operator::Gt, requirement.values.clone()),
        "Lt" => (Operator::Lt, requirement.values.clone()),
        "In" => (Operator::In, requirement.values.clone()),
        _ => (Operator::In, None),
    };
    Requirement { key: requirement.key.clone(), operator, values: values.unwrap_or_default() }
}

/// What a pod asks for: the sum over its containers and sidecars, or what a single init container
/// needs beside the sidecars started before it if that is more, and its overhead.
fn requests(spec: &PodSpec) -> Resources {
    let mut running = Resources::default();
    for container in &spec.containers {
        running.add(&container_requests(container));
    }
    let (mut sidecars, mut peak) = (Resources::default(), Resources::default());
    for container in spec.init_containers.iter().flatten() {
        let mut need = container_requests(container);
        if container.restart_policy.as_deref() == Some("Always") {
            running.add(&need);
            sidecars.add(&need);
            peak.raise_to(&sidecars);
        } else {
            need.add(&sidecars);
            peak.raise_to(&need);
        }
    }
    running.raise_to(&peak);
    let mut overhead = Resources::default();
    for (name, quantity) in spec.overhead.iter().flatten() {
        set(&mut overhead, name, quantity);
    }
    running.add(&overhead);
    running
}

/// Requests; a limit without a request is a request too, as in Kubernetes.
fn container_requests(container: &Container) -> Resources {
    let mut amounts = Resources::default();
    let Some(stated) = container.resources.as_ref() else { return amounts };
    for (name, quantity) in stated.limits.iter().flatten().chain(stated.requests.iter().flatten()) {
        set(&mut amounts, name, quantity);
    }
    amounts
}

fn host_ports(spec: &PodSpec) -> Vec<HostPort> {
    let host_network = spec.host_network.unwrap_or(false);
    let ports = spec.containers.iter().flat_map(|container| container.ports.iter().flatten());
    ports
        .filter_map(|port| {
            let number = port
                .host_port
                .or(host_network.then_some(port.container_port))
                .filter(|n| *n > 0)?;
            let address: Option<IpAddr> = port.host_ip.as_ref().and_then(|ip| ip.parse().ok());
            Some(HostPort {
                address: address.filter(|address| !address.is_unspecified()),
                protocol: match port.protocol.as_deref() {
                    Some("UDP") => Protocol::Udp,
                    Some("SCTP") => Protocol::Sctp,
                    _ => Protocol::Tcp,
                },
                port: u16::try_from(number).ok()?,
            })
        })
        .collect()
}

fn set(amounts: &mut Resources, name: &str, quantity: &Quantity) {
    match name {
        "cpu" => amounts.cpu_milli = bounded(cpu_millis(&quantity.0)),
        "memory" => amounts.memory_bytes = bounded(bytes(&quantity.0)),
        "ephemeral-storage" => amounts.ephemeral_storage_bytes = bounded(bytes(&quantity.0)),
        _ => {
            amounts.extended.insert(name.to_owned(), bounded(bytes(&quantity.0)));
        }
    }
}

/// Validation admits no other quantities than positive ones; anything else counts as nothing.
fn bounded(amount: Result<i64, QuantityError>) -> u64 {
    amount.ok().and_then(|amount| u64::try_from(amount).ok()).unwrap_or(0)
}
