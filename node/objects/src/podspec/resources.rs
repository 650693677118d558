//! Requests and limits: defaults, the quality of service class, validation.

use serde_json::{Map, Value};

use crate::field::{Errors, Field};
use crate::names;
use crate::quantity::Quantity;

/// The resources every node has.
const STANDARD: [&str; 3] = ["cpu", "memory", "ephemeral-storage"];

const CONTAINER_LISTS: [&str; 2] = ["initContainers", "containers"];

/// What a container limits but does not request, it requests.
pub(crate) fn limits_to_requests(spec: &mut Value) {
    for list in CONTAINER_LISTS {
        let containers = spec.get_mut(list).and_then(Value::as_array_mut);
        for container in containers.into_iter().flatten() {
            let Some(resources) = container.get_mut("resources").and_then(Value::as_object_mut)
            else {
                continue;
            };
            let limits = resources.get("limits").and_then(Value::as_object).cloned();
            let Some(limits) = limits.filter(|limits| !limits.is_empty()) else { continue };
            let requests = resources.entry("requests").or_insert_with(|| Value::Object(Map::new()));
            if let Some(requests) = requests.as_object_mut() {
                for (name, limit) in limits {
                    requests.entry(name).or_insert(limit);
                }
            }
        }
    }
}

/// `Guaranteed`, `Burstable` or `BestEffort`.
pub(crate) fn quality_of_service(spec: &Value) -> &'static str {
    let (mut any, mut all_fixed) = (false, true);
    let lists = CONTAINER_LISTS.iter().filter_map(|list| spec.get(list)?.as_array());
    for container in lists.flatten() {
        let quantity = |of: &str, name: &str| {
            let text = container.get("resources")?.get(of)?.get(name)?.as_str()?;
            Quantity::parse(text).ok().filter(|q| q.millis() > 0)
        };
        for name in ["cpu", "memory"] {
            let (request, limit) = (quantity("requests", name), quantity("limits", name));
            any |= request.is_some() || limit.is_some();
            all_fixed &= limit.is_some() && (request.is_none() || request == limit);
        }
    }
    match (any, all_fixed) {
        (false, _) => "BestEffort",
        (true, true) => "Guaranteed",
        (true, false) => "Burstable",
    }
}

/// Checks the quantities of a container.
pub(super) fn validate(resources: &Field<'_>, errors: &mut Errors) {
    let limits = resources.get("limits");
    let requests = resources.get("requests");
    for list in [&limits, &requests] {
        for (name, quantity) in list.entries() {
            validate_name(&quantity, name, errors);
            validate_quantity(&quantity, errors);
        }
    }
    for (name, request) in requests.entries() {
        let Some(limit) = limits.value.get(name).and_then(Value::as_str) else { continue };
        let parsed = (Quantity::parse(request.text()), Quantity::parse(limit));
        if let (Ok(wanted), Ok(allowed)) = parsed
            && wanted > allowed
        {
            let rule = format!("must be less than or equal to {name} limit of {limit}");
            errors.invalid_value(&requests, request.text(), rule);
        }
    }
}

fn validate_name(at: &Field<'_>, name: &str, errors: &mut Errors) {
    let standard = STANDARD.contains(&name) || name.starts_with("hugepages-");
    if let Err(rule) = names::qualified(name) {
        errors.invalid_value(at, name, rule);
    } else if !standard && !name.contains('/') {
        errors.invalid_value(at, name, "must be a standard resource for containers");
    }
}

/// Checks one quantity that may not be negative.
pub(crate) fn validate_quantity(at: &Field<'_>, errors: &mut Errors) {
    match Quantity::parse(at.text()) {
        Err(error) => errors.invalid(at, error.to_string()),
        Ok(quantity) if quantity.is_negative() => {
            errors.invalid(at, "must be greater than or equal to 0");
        }
        Ok(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_class_follows_requests_and_limits() {
        let fixed = json!({"limits": {"cpu": "1", "memory": "1Gi"},
            "requests": {"cpu": "1000m", "memory": "1024Mi"}});
        for (resources, class) in [
            (vec![json!({})], "BestEffort"),
            (vec![fixed.clone()], "Guaranteed"),
            (vec![fixed.clone(), json!({})], "Burstable"),
            (vec![json!({"requests": {"cpu": "1"}})], "Burstable"),
            (vec![json!({"limits": {"cpu": "1", "memory": "1Gi"}})], "Guaranteed"),
        ] {
            let containers: Vec<Value> =
                resources.into_iter().map(|one| json!({"resources": one})).collect();
            assert_eq!(quality_of_service(&json!({"containers": containers})), class);
        }
    }

    #[test]
    fn limits_become_requests_where_none_are_given() {
        let mut spec = json!({"containers": [{"resources": {
            "limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "500m"}}}]});
        limits_to_requests(&mut spec);
        let requests = &spec["containers"][0]["resources"]["requests"];
        assert_eq!(requests, &json!({"cpu": "500m", "memory": "1Gi"}));
    }
}
