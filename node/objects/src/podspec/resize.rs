//! Resizing in place: what a container's resize policy may say, and what a resize may change.
//!
//! The rules are those of Kubernetes 1.33: a resize never takes back a request or a limit, and
//! lowers a memory limit only where the container is restarted for it, so that no container is
//! killed for memory it has in use.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::field::{Errors, Field};
use crate::lifecycle::remove;
use crate::quantity::Quantity;

use super::containers::validate_choice;
use super::resources::quality_of_service;

/// What a resize may change.
const RESIZABLE: [&str; 2] = ["cpu", "memory"];
const NOT_REQUIRED: &str = "NotRequired";
const RESTART: &str = "RestartContainer";
const ONLY_RESIZABLE: &str = "only cpu and memory resources are mutable";
const ONLY_RESIZABLE_OF_SIDECARS: &str =
    "only cpu and memory resources for sidecar containers are mutable";

/// Gives each container that lasts a policy for each resource it states.
pub(crate) fn default_resize_policy(spec: &mut Value) {
    for list in ["containers", "initContainers"] {
        let containers = spec.get_mut(list).and_then(Value::as_array_mut);
        for container in containers.into_iter().flatten() {
            if list == "containers" || is_sidecar(container) {
                default_policies(container);
            }
        }
    }
}

fn default_policies(container: &mut Value) {
    let mut missing = Vec::new();
    for resource in RESIZABLE {
        let states = |list: &str| container["resources"][list].get(resource).is_some();
        if (states("limits") || states("requests")) && policy(container, resource).is_none() {
            missing.push(json!({"resourceName": resource, "restartPolicy": NOT_REQUIRED}));
        }
    }
    let Some(container) = container.as_object_mut().filter(|_| !missing.is_empty()) else { return };
    let policies = container.entry("resizePolicy").or_insert(Value::Null);
    if policies.is_null() {
        *policies = json!([]);
    }
    if let Some(policies) = policies.as_array_mut() {
        policies.extend(missing);
    }
}

fn is_sidecar(container: &Value) -> bool {
    container.get("restartPolicy").and_then(Value::as_str) == Some("Always")
}

/// What is to happen to a container when this resource of it changes, as far as it says.
fn policy<'c>(container: &'c Value, resource: &str) -> Option<&'c str> {
    let policies = container.get("resizePolicy").and_then(Value::as_array);
    let found = policies
        .into_iter()
        .flatten()
        .find(|one| one.get("resourceName").and_then(Value::as_str) == Some(resource))?;
    found.get("restartPolicy").and_then(Value::as_str)
}

/// Checks the resize policies of a pod spec.
pub(super) fn validate_policies(spec: &Field<'_>, errors: &mut Errors) {
    let never = spec.get("restartPolicy").text() == "Never";
    for container in spec.get("containers").items() {
        validate_policy(&container.get("resizePolicy"), never, errors);
    }
    for container in spec.get("initContainers").items() {
        let policies = container.get("resizePolicy");
        if is_sidecar(container.value) {
            validate_policy(&policies, never, errors);
        } else if !policies.is_empty() {
            errors.invalid(&policies, "must not be set for init containers");
        }
    }
}

fn validate_policy(policies: &Field<'_>, never: bool, errors: &mut Errors) {
    let mut seen = BTreeSet::new();
    for one in policies.items() {
        let (resource, restart) = (one.get("resourceName"), one.get("restartPolicy"));
        if !RESIZABLE.contains(&resource.text()) {
            errors.not_supported(&resource, &RESIZABLE);
        } else if !seen.insert(resource.text().to_owned()) {
            errors.duplicate(&resource);
        }
        if restart.text().is_empty() {
            errors.required(&restart, "");
        } else {
            validate_choice(&restart, &[NOT_REQUIRED, RESTART], errors);
        }
        if never && restart.text() == RESTART {
            errors.invalid(&restart, "must be 'NotRequired' when `restartPolicy` is 'Never'");
        }
    }
}

/// Checks the change that a resize makes to a pod spec.
pub(crate) fn validate_resize(spec: &Field<'_>, before: &Field<'_>, errors: &mut Errors) {
    let class = quality_of_service(spec.value);
    if class != quality_of_service(before.value) {
        errors.invalid_value(spec, class, "Pod QOS Class may not change as a result of resizing");
    }
    for list in ["containers", "initContainers"] {
        let (containers, known) = (spec.get(list), before.get(list));
        if containers.items().count() != known.items().count() {
            errors.forbidden(&containers, "containers may not be added or removed on resize");
            continue;
        }
        for (container, was) in containers.items().zip(known.items()) {
            let name = container.get("name");
            if name.value != was.get("name").value {
                errors.forbidden(&name, "containers may not be renamed or reordered on resize");
            } else if list == "containers" {
                validate_container(&container, &was, errors);
                only_resizable(spec, &container, &was, ONLY_RESIZABLE, errors);
            } else if is_sidecar(container.value) {
                validate_container(&container, &was, errors);
                only_resizable(spec, &container, &was, ONLY_RESIZABLE_OF_SIDECARS, errors);
            } else if container.value != was.value {
                errors.forbidden(spec, "resources for non-sidecar init containers are immutable");
            }
        }
    }
}

fn validate_container(container: &Field<'_>, was: &Field<'_>, errors: &mut Errors) {
    let (resources, before) = (container.get("resources"), was.get("resources"));
    let (requests, limits) = (resources.get("requests"), resources.get("limits"));
    let is_removed = |now: &Field<'_>, was: &Field<'_>| {
        was.entries().any(|(name, _)| now.value.get(name).is_none())
    };
    if is_removed(&requests, &before.get("requests")) {
        errors.forbidden(&requests, "resource requests cannot be removed");
    }
    let known_limits = before.get("limits");
    if is_removed(&limits, &known_limits) {
        errors.forbidden(&limits, "resource limits cannot be removed");
    }
    if policy(container.value, "memory") == Some(RESTART) {
        return;
    }
    let (memory, known) = (limits.key("memory"), known_limits.key("memory"));
    let refused = match (quantity(memory.value), quantity(known.value)) {
        (Some(now), Some(was)) if now < was => "decreased",
        // What was unlimited is lowered by any limit.
        (Some(_), None) => "added",
        _ => return,
    };
    let rule = format!("memory limits cannot be {refused} unless resizePolicy is {RESTART}");
    errors.forbidden(&memory, rule);
}

fn quantity(text: &Value) -> Option<Quantity> {
    Quantity::parse(text.as_str()?).ok()
}

/// Refuses a change of anything but amounts of CPU and memory.
fn only_resizable(
    spec: &Field<'_>,
    container: &Field<'_>,
    was: &Field<'_>,
    rule: &str,
    errors: &mut Errors,
) {
    let same_rest = without_sizes(container.value) == without_sizes(was.value);
    if !same_rest || !keeps_policies(container, was) {
        errors.forbidden(spec, rule);
    }
}

/// A container without the amounts and policies that a resize is about.
fn without_sizes(container: &Value) -> Value {
    let mut container = container.clone();
    remove(&mut container, "resizePolicy");
    let resources = container.get_mut("resources").and_then(Value::as_object_mut);
    if let Some(resources) = resources {
        for list in ["requests", "limits"] {
            if let Some(amounts) = resources.get_mut(list).and_then(Value::as_object_mut) {
                RESIZABLE.iter().for_each(|name| drop(amounts.remove(*name)));
            }
        }
        resources.retain(|_, member| !member.as_object().is_some_and(Map::is_empty));
    }
    container
}

/// Whether all policies are as before, but for the defaults of resources stated anew.
fn keeps_policies(container: &Field<'_>, was: &Field<'_>) -> bool {
    RESIZABLE.iter().all(|resource| {
        let (now, before) = (policy(container.value, resource), policy(was.value, resource));
        now == before || (before.is_none() && now == Some(NOT_REQUIRED))
    })
}
