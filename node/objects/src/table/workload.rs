//! Cells of deployments and replica sets.

use jiff::Timestamp;
use serde_json::Value;

use super::columns::labels;

pub(super) fn ready(object: &Value, _now: Timestamp) -> Value {
    let number = |at| object.pointer(at).and_then(Value::as_i64).unwrap_or(0);
    Value::from(format!("{}/{}", number("/status/readyReplicas"), number("/spec/replicas")))
}

fn of_containers(object: &Value, member: &str) -> Value {
    let list = object.pointer("/spec/template/spec/containers").and_then(Value::as_array);
    let texts: Vec<&str> =
        list.into_iter().flatten().filter_map(|one| one.get(member)?.as_str()).collect();
    Value::from(texts.join(","))
}

pub(super) fn containers(object: &Value, _now: Timestamp) -> Value {
    of_containers(object, "name")
}

pub(super) fn images(object: &Value, _now: Timestamp) -> Value {
    of_containers(object, "image")
}

/// The selector in the form of a query string.
pub(super) fn selector(object: &Value, _now: Timestamp) -> Value {
    label_selector(object.pointer("/spec/selector"))
}

/// A `metav1.LabelSelector`, or a plain map of labels, in the form of a query string.
pub(super) fn label_selector(selector: Option<&Value>) -> Value {
    let plain = |map: &&Value| {
        let members = ["matchLabels", "matchExpressions"];
        !members.iter().any(|member| map.get(member).is_some())
    };
    if let Some(map) = selector.filter(plain) {
        return Value::from(labels(Some(map)));
    }
    let equalities = selector.and_then(|all| all.get("matchLabels"));
    let expressions = selector.and_then(|all| all.get("matchExpressions"));
    let expressions: Vec<String> = expressions
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(expression)
        .collect();
    if expressions.is_empty() {
        return Value::from(labels(equalities));
    }
    match equalities {
        Some(map) => Value::from(format!("{},{}", labels(Some(map)), expressions.join(","))),
        None => Value::from(expressions.join(",")),
    }
}

fn expression(one: &Value) -> Option<String> {
    let key = one.get("key")?.as_str()?;
    let values: Vec<&str> = one
        .get("values")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let values = values.join(",");
    Some(match one.get("operator")?.as_str()? {
        "In" => format!("{key} in ({values})"),
        "NotIn" => format!("{key} notin ({values})"),
        "Exists" => key.to_owned(),
        _ => format!("!{key}"),
    })
}
