//! The three-way merge of `apply`. Pure.
//!
//! The result is a merge patch (RFC 7386), which replaces lists as a whole. A list is therefore
//! sent only if the manifest's differs from the one applied before, or if what is there does not
//! contain it: the cluster fills its defaults into the elements, and those are no difference.

use serde_json::{Map, Value};

/// The patch that brings `live` to `desired`; `None` if there is nothing to do.
///
/// Members of `original` that `desired` lacks are removed, other members of `live` are kept.
pub(super) fn three_way(original: &Value, desired: &Value, live: &Value) -> Option<Value> {
    let empty = Map::new();
    let members =
        |value: &'_ Value| -> Map<String, Value> { value.as_object().unwrap_or(&empty).clone() };
    let patch = objects(&members(original), &members(desired), &members(live));
    (!patch.is_empty()).then_some(Value::Object(patch))
}

fn objects(
    original: &Map<String, Value>,
    desired: &Map<String, Value>,
    live: &Map<String, Value>,
) -> Map<String, Value> {
    let mut patch = Map::new();
    for (name, wanted) in desired {
        if let Some(change) = member(original.get(name), wanted, live.get(name)) {
            patch.insert(name.clone(), change);
        }
    }
    let removed =
        original.keys().filter(|name| !desired.contains_key(*name) && live.contains_key(*name));
    patch.extend(removed.map(|name| (name.clone(), Value::Null)));
    patch
}

fn member(original: Option<&Value>, wanted: &Value, live: Option<&Value>) -> Option<Value> {
    let Some(live) = live else {
        return (!wanted.is_null()).then(|| wanted.clone());
    };
    match (wanted, live) {
        (Value::Object(wanted), Value::Object(live)) => {
            let empty = Map::new();
            let original = original.and_then(Value::as_object).unwrap_or(&empty);
            let patch = objects(original, wanted, live);
            (!patch.is_empty()).then_some(Value::Object(patch))
        }
        (Value::Array(_), Value::Array(_)) => {
            let is_new = original.is_some_and(|original| original != wanted);
            (is_new || !contains(live, wanted)).then(|| wanted.clone())
        }
        _ => (wanted != live).then(|| wanted.clone()),
    }
}

/// Whether `live` is `wanted` with perhaps more members in its objects.
fn contains(live: &Value, wanted: &Value) -> bool {
    match (live, wanted) {
        (Value::Object(live), Value::Object(wanted)) => wanted
            .iter()
            .all(|(name, wanted)| live.get(name).is_some_and(|live| contains(live, wanted))),
        (Value::Array(live), Value::Array(wanted)) => {
            live.len() == wanted.len()
                && live.iter().zip(wanted).all(|(live, wanted)| contains(live, wanted))
        }
        _ => live == wanted,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_there_needs_no_patch() {
        let desired = json!({"spec": {"replicas": 3}});
        let live = json!({"spec": {"replicas": 3, "paused": false}, "status": {"replicas": 3}});
        assert_eq!(three_way(&desired, &desired, &live), None);
    }

    #[test]
    fn a_changed_field_is_set() {
        let patch = three_way(
            &json!({"spec": {"replicas": 3}}),
            &json!({"spec": {"replicas": 5}}),
            &json!({"spec": {"replicas": 3}}),
        );
        assert_eq!(patch, Some(json!({"spec": {"replicas": 5}})));
    }

    #[test]
    fn a_field_that_drifted_is_set_back() {
        let applied = json!({"spec": {"replicas": 3}});
        assert_eq!(
            three_way(&applied, &applied, &json!({"spec": {"replicas": 9}})),
            Some(json!({"spec": {"replicas": 3}}))
        );
    }

    #[test]
    fn a_field_that_left_the_manifest_is_removed() {
        let patch = three_way(
            &json!({"data": {"a": "1", "b": "2"}}),
            &json!({"data": {"a": "1"}}),
            &json!({"data": {"a": "1", "b": "2", "c": "3"}}),
        );
        assert_eq!(patch, Some(json!({"data": {"b": null}})));
    }

    #[test]
    fn a_field_of_somebody_else_is_left_alone() {
        let applied = json!({"metadata": {"labels": {"a": "1"}}});
        let live = json!({"metadata": {"labels": {"a": "1", "theirs": "2"}}});
        assert_eq!(three_way(&applied, &applied, &live), None);
    }

    #[test]
    fn defaults_inside_list_elements_are_no_difference() {
        let applied = json!({"containers": [{"name": "web", "ports": [{"containerPort": 80}]}]});
        let live = json!({"containers": [{"name": "web", "ports": [{"containerPort": 80, "protocol": "TCP"}], "pull": "Always"}]});
        assert_eq!(three_way(&applied, &applied, &live), None);
    }

    #[test]
    fn a_changed_list_is_sent_whole() {
        let original = json!({"containers": [{"name": "web", "image": "web:1", "tty": true}]});
        let desired = json!({"containers": [{"name": "web", "image": "web:1"}]});
        let live = json!({"containers": [{"name": "web", "image": "web:1", "tty": true, "pull": "Always"}]});
        assert_eq!(three_way(&original, &desired, &live), Some(desired));
    }

    #[test]
    fn a_list_that_drifted_is_sent_whole() {
        let applied = json!({"args": ["a", "b"]});
        assert_eq!(three_way(&applied, &applied, &json!({"args": ["a"]})), Some(applied));
    }

    #[test]
    fn an_explicit_null_removes() {
        let patch = three_way(
            &json!({}),
            &json!({"spec": {"paused": null}}),
            &json!({"spec": {"paused": true}}),
        );
        assert_eq!(patch, Some(json!({"spec": {"paused": null}})));
        assert_eq!(three_way(&json!({}), &json!({"paused": null}), &json!({})), None);
    }
}
