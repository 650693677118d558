//! The quality-of-service class of a pod.

use k8s_openapi::api::core::v1::{Container, Pod};

/// `Guaranteed` if every container's limits of CPU and memory equal its requests, `BestEffort` if
/// none names any, `Burstable` otherwise.
pub(super) fn class(pod: &Pod) -> &'static str {
    let Some(spec) = &pod.spec else { return "BestEffort" };
    let all = || spec.init_containers.iter().flatten().chain(&spec.containers);
    if all().all(is_unbounded) {
        "BestEffort"
    } else if all().all(is_fixed) {
        "Guaranteed"
    } else {
        "Burstable"
    }
}

const COUNTED: [&str; 2] = ["cpu", "memory"];

fn is_unbounded(container: &Container) -> bool {
    let Some(resources) = &container.resources else { return true };
    let lists = [&resources.limits, &resources.requests];
    !lists.into_iter().flatten().any(|list| COUNTED.iter().any(|name| list.contains_key(*name)))
}

fn is_fixed(container: &Container) -> bool {
    let Some(resources) = &container.resources else { return false };
    COUNTED.iter().all(|name| {
        let limit = resources.limits.as_ref().and_then(|list| list.get(*name));
        let request = resources.requests.as_ref().and_then(|list| list.get(*name));
        limit.is_some() && (request.is_none() || request == limit)
    })
}
