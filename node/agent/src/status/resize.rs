//! What a pod's status says of what it was given, and of a resize under way.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::core::v1::{Container, PodCondition, ResourceRequirements},
    apimachinery::pkg::api::resource::Quantity,
};
use skein_runtime::{ContainerInfo, ContainerState, Resources};

use super::{View, time};
use crate::lifecycle::{ContainerSpec, Intent, Role, Step};

const PENDING: &str = "PodResizePending";
const IN_PROGRESS: &str = "PodResizeInProgress";

/// The conditions that are there only while they hold.
pub(super) const CONDITIONS: [&str; 2] = [PENDING, IN_PROGRESS];

const MEBIBYTE: u64 = 1 << 20;

/// The requests that a container was given.
pub(super) fn allocated(
    spec: &ContainerSpec,
    container: &Container,
) -> Option<BTreeMap<String, Quantity>> {
    let stated = container.resources.as_ref().filter(|_| spec.role != Role::Ephemeral)?;
    stated.requests.clone()
}

/// What a container has: what it was given, but for what its runtime does not give it yet.
pub(super) fn resources(
    spec: &ContainerSpec,
    container: &Container,
    newest: Option<&ContainerInfo>,
) -> Option<ResourceRequirements> {
    if spec.role == Role::Ephemeral {
        return None;
    }
    let given = container.resources.clone().unwrap_or_default();
    let running = newest.filter(|info| matches!(info.state, ContainerState::Running { .. }));
    let behind = running.filter(|info| is_behind(spec, info));
    Some(behind.map_or(given.clone(), |info| actual(given, info.resources)))
}

/// What was given, with what the runtime says in its place.
fn actual(given: ResourceRequirements, actual: Resources) -> ResourceRequirements {
    let put = |list: Option<BTreeMap<String, Quantity>>, name: &str, amount: Option<Quantity>| {
        let mut list = list.unwrap_or_default();
        list.remove(name);
        list.extend(amount.map(|amount| (name.to_owned(), amount)));
        Some(list).filter(|list| !list.is_empty())
    };
    let limits = put(given.limits, "cpu", cores(actual.cpu_limit_millis));
    ResourceRequirements {
        requests: put(given.requests, "cpu", cores(actual.cpu_request_millis)),
        limits: put(limits, "memory", memory(actual.memory_limit_bytes)),
        ..given
    }
}

fn cores(millis: u64) -> Option<Quantity> {
    let text = match millis {
        0 => return None,
        millis if millis % 1000 == 0 => (millis / 1000).to_string(),
        millis => format!("{millis}m"),
    };
    Some(Quantity(text))
}

fn memory(bytes: u64) -> Option<Quantity> {
    let text = match bytes {
        0 => return None,
        bytes if bytes % MEBIBYTE == 0 => format!("{}Mi", bytes / MEBIBYTE),
        bytes => bytes.to_string(),
    };
    Some(Quantity(text))
}

fn is_behind(spec: &ContainerSpec, info: &ContainerInfo) -> bool {
    spec.size.is_some_and(|size| size.change(info.resources).is_some())
}

/// Whether a container is yet to be brought to what the pod was given.
pub(crate) fn is_in_progress(view: &View<'_>) -> bool {
    view.desired.all().any(|spec| {
        let mut running = view.observed.running();
        let newest = view.observed.newest(&spec.name);
        view.memory.renews(view.observed, &spec.name)
            || running.any(|info| newest == Some(info) && is_behind(spec, info))
    })
}

/// The conditions of a resize that waits or is under way.
pub(super) fn conditions(view: &View<'_>) -> Vec<PodCondition> {
    let condition = |type_: &str, reason: Option<&str>, message: Option<&String>| PodCondition {
        type_: type_.to_owned(),
        status: "True".to_owned(),
        reason: reason.map(str::to_owned),
        message: message.cloned(),
        observed_generation: view.pod.metadata.generation,
        last_transition_time: Some(time(view.now)),
        ..PodCondition::default()
    };
    if view.desired.intent != Intent::Run {
        return Vec::new();
    }
    let pending =
        view.memory.shortage.as_ref().map(|refusal| {
            condition(PENDING, Some(refusal.shortage.reason()), Some(&refusal.message))
        });
    let in_progress = is_in_progress(view).then(|| {
        let mut failures = view.memory.failures.iter();
        let failure = failures.find(|(step, _)| matches!(step, Step::Update(_)));
        let message = failure.map(|(_, failure)| &failure.message);
        condition(IN_PROGRESS, message.map(|_| "Error"), message)
    });
    pending.into_iter().chain(in_progress).collect()
}
