//! The part of a pod that a resize touches.

use serde_json::Value;

use super::{remove, take_over};
use crate::kind::Kind;
use crate::status::StatusError;

const CONTAINER_LISTS: [&str; 2] = ["containers", "initContainers"];

/// The members of a container that a resize is about.
const MEMBERS: [&str; 2] = ["resources", "resizePolicy"];

/// The old object with the sizes of the new one. Containers that are not those of the old object
/// are taken as they come, for the validation to name.
pub(super) fn part(kind: &Kind, mut new: Value, old: &Value) -> Result<Value, StatusError> {
    if !kind.strategy().can_be_resized() {
        return Err(StatusError::no_resource());
    }
    let mut object = old.clone();
    take_over(&mut object["metadata"], &mut new["metadata"], "managedFields");
    for list in CONTAINER_LISTS {
        let given = new["spec"][list].take();
        let containers = &mut object["spec"][list];
        if names(&given) != names(containers) {
            *containers = given;
            continue;
        }
        let pairs = containers.as_array_mut().into_iter().flatten();
        let given = given.as_array().cloned().into_iter().flatten();
        for (container, mut given) in
            pairs.zip(given).filter(|(container, _)| container.is_object())
        {
            for member in MEMBERS {
                remove(container, member);
                take_over(container, &mut given, member);
            }
        }
    }
    Ok(object)
}

fn names(containers: &Value) -> Vec<&Value> {
    let containers = containers.as_array().into_iter().flatten();
    containers.map(|container| container.get("name").unwrap_or(&Value::Null)).collect()
}

/// Leaves of an object's spec what a resize is about.
pub(crate) fn retain_sizes(object: &mut Value) {
    let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut) else { return };
    spec.retain(|name, _| CONTAINER_LISTS.contains(&name.as_str()));
    let containers = spec.values_mut().filter_map(Value::as_array_mut).flatten();
    for container in containers.filter_map(Value::as_object_mut) {
        container.retain(|name, _| name == "name" || MEMBERS.contains(&name.as_str()));
    }
}
