//! From the fields of Kubernetes objects to what the scheduler decides on.

use std::net::IpAddr;

use k8s_openapi::{
    api::core::v1::{self, ContainerPort, NodeSelectorRequirement, NodeSelectorTerm},
    apimachinery::pkg::api::resource::Quantity,
};
use skein_objects::quantity::{QuantityError, bytes, cpu_millis};
use skein_scheduler::{
    Effect, HostPort, Match, Operator, Protocol, Requirement, Resources, Taint, Term, Toleration,
};

/// A taint; none if its effect is unknown.
pub(crate) fn taint(taint: &v1::Taint) -> Option<Taint> {
    Some(Taint {
        key: taint.key.clone(),
        value: taint.value.clone().unwrap_or_default(),
        effect: effect(&taint.effect)?,
    })
}

/// What a pod tolerates. An empty key is every key.
pub(crate) fn toleration(toleration: &v1::Toleration) -> Toleration {
    Toleration {
        key: toleration.key.clone().filter(|key| !key.is_empty()),
        value: match toleration.operator.as_deref() {
            Some("Exists") => Match::Exists,
            _ => Match::Equal(toleration.value.clone().unwrap_or_default()),
        },
        effect: toleration.effect.as_deref().and_then(effect),
    }
}

fn effect(effect: &str) -> Option<Effect> {
    match effect {
        "NoSchedule" => Some(Effect::NoSchedule),
        "PreferNoSchedule" => Some(Effect::PreferNoSchedule),
        "NoExecute" => Some(Effect::NoExecute),
        _ => None,
    }
}

/// A term of a node affinity.
pub(crate) fn term(term: &NodeSelectorTerm) -> Term {
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

/// The port that a container takes on its host: in the host's network all that it names.
pub(crate) fn host_port(port: &ContainerPort, host_network: bool) -> Option<HostPort> {
    let number =
        port.host_port.or(host_network.then_some(port.container_port)).filter(|n| *n > 0)?;
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
}

/// Amounts by the names of resources.
pub(crate) fn resources<'a>(
    stated: impl IntoIterator<Item = (&'a String, &'a Quantity)>,
) -> Resources {
    let mut amounts = Resources::default();
    for (name, quantity) in stated {
        match name.as_str() {
            "cpu" => amounts.cpu_milli = bounded(cpu_millis(&quantity.0)),
            "memory" => amounts.memory_bytes = bounded(bytes(&quantity.0)),
            "ephemeral-storage" => amounts.ephemeral_storage_bytes = bounded(bytes(&quantity.0)),
            _ => {
                amounts.extended.insert(name.clone(), count(quantity));
            }
        }
    }
    amounts
}

/// A number of whole things.
pub(crate) fn count(quantity: &Quantity) -> u64 {
    bounded(bytes(&quantity.0))
}

/// Validation admits no other quantities than positive ones; anything else counts as nothing.
fn bounded(amount: Result<i64, QuantityError>) -> u64 {
    amount.ok().and_then(|amount| u64::try_from(amount).ok()).unwrap_or(0)
}
