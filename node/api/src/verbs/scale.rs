//! The scale subresource: an autoscaling/v1 `Scale` read from and written to the object it counts.

use http::StatusCode;
use serde_json::{Map, Value, json};
use skein_objects::{Part, ScalePaths, StatusError, parse, set_at};
use skein_storage::Object;

use super::patch;
use crate::{
    call::Call,
    query::Version,
    reply::{Reply, json_value},
    service::Service,
};

/// The counts of an object.
pub(super) async fn get(service: &Service, call: &Call) -> Result<Reply, StatusError> {
    let target = &call.target;
    let consistency = call.consistency(Version::Latest);
    let object =
        service.storage.get(&target.kind, target.namespace(), target.name(), consistency).await?;
    reply(&paths(call)?, &service.storage.object_in_version(object).await?)
}

/// Sets the desired count.
pub(super) async fn update(service: &Service, call: Call) -> Result<Reply, StatusError> {
    let (bytes, media) = call.read_object().await?;
    let scale = parse(&bytes, media)?;
    write(service, &call, |_| Ok(scale.clone())).await
}

/// Changes the desired count by a patch of the `Scale`.
pub(super) async fn patch(service: &Service, call: Call) -> Result<Reply, StatusError> {
    let (patch_type, patch) = patch::read(&call).await?;
    write(service, &call, |current| patch::apply_plain(patch_type, current, &patch)).await
}

async fn write(
    service: &Service,
    call: &Call,
    mut change: impl FnMut(&Value) -> Result<Value, StatusError> + Send,
) -> Result<Reply, StatusError> {
    let options = call.query.write_options(&call.headers)?;
    let paths = paths(call)?;
    let target = &call.target;
    let set = |mut object: Value| {
        let scale = change(&scale_of(&paths, &object))?;
        let replicas = desired(&scale)?;
        set_at(&mut object, &paths.spec_replicas, json!(replicas))?;
        // The writer's version decides, not the one just read; without one, any will do.
        let version = scale.pointer("/metadata/resourceVersion").cloned();
        set_at(&mut object, "/metadata/resourceVersion", version.unwrap_or(Value::Null))?;
        Ok(object)
    };
    let object = service
        .storage
        .modify(&target.kind, target.namespace(), target.name(), Part::Scale, &options, set)
        .await?;
    reply(&paths, &object)
}

fn paths(call: &Call) -> Result<ScalePaths, StatusError> {
    call.target.kind.scale.clone().ok_or_else(StatusError::no_resource)
}

fn reply(paths: &ScalePaths, object: &Object) -> Result<Reply, StatusError> {
    Ok(json_value(StatusCode::OK, &scale_of(paths, &object.value()?)))
}

/// The `Scale` of an object.
fn scale_of(paths: &ScalePaths, object: &Value) -> Value {
    let number = |pointer: &str| object.pointer(pointer).and_then(Value::as_i64).unwrap_or(0);
    let mut metadata = Map::new();
    for member in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
        if let Some(value) = object["metadata"].get(member) {
            metadata.insert(member.to_owned(), value.clone());
        }
    }
    let selector = match &*paths.selector {
        "" => String::new(),
        pointer => object.pointer(pointer).map(selector_text).unwrap_or_default(),
    };
    json!({
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": metadata,
        "spec": {"replicas": number(&paths.spec_replicas)},
        "status": {"replicas": number(&paths.status_replicas), "selector": selector},
    })
}

/// A `metav1.LabelSelector`, or a plain map of labels, in the form of a query; which a text is.
fn selector_text(selector: &Value) -> String {
    if let Some(text) = selector.as_str() {
        return text.to_owned();
    }
    let maps = [selector, &selector["matchLabels"]].into_iter().filter_map(Value::as_object);
    let mut terms: Vec<String> = maps
        .flatten()
        .filter_map(|(key, value)| Some(format!("{key}={}", value.as_str()?)))
        .collect();
    for expression in selector["matchExpressions"].as_array().into_iter().flatten() {
        let key = expression["key"].as_str().unwrap_or_default();
        let values: Vec<&str> = expression["values"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let values = values.join(",");
        terms.push(match expression["operator"].as_str() {
            Some("In") => format!("{key} in ({values})"),
            Some("NotIn") => format!("{key} notin ({values})"),
            Some("DoesNotExist") => format!("!{key}"),
            _ => key.to_owned(),
        });
    }
    terms.join(",")
}

fn desired(scale: &Value) -> Result<i64, StatusError> {
    match &scale["spec"]["replicas"] {
        Value::Null => Ok(0),
        value => match value.as_i64() {
            Some(replicas) if replicas >= 0 => Ok(replicas),
            _ => Err(StatusError::bad_request(format!(
                "spec.replicas: Invalid value: {value}: must be an integer greater than or equal to 0"
            ))),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_are_written_as_queries() {
        let selector = json!({
            "matchLabels": {"app": "web"},
            "matchExpressions": [
                {"key": "tier", "operator": "In", "values": ["a", "b"]},
                {"key": "old", "operator": "DoesNotExist"},
            ],
        });
        assert_eq!(selector_text(&selector), "app=web,tier in (a,b),!old");
        assert_eq!(selector_text(&json!({"app": "web", "tier": "a"})), "app=web,tier=a");
    }

    #[test]
    fn counts_below_zero_are_refused() {
        assert!(desired(&json!({"spec": {"replicas": -1}})).is_err());
        assert_eq!(desired(&json!({"spec": {}})), Ok(0));
    }
}
