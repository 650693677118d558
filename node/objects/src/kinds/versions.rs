//! Kinds that are served in two versions and stored in one: how each is made of the other.
//!
//! The rules are those of the stored version, which the other one goes through.

use serde_json::{Map, Value, json};

use super::autoscaler::{AutoscalerStrategy, UTILIZATION};
use super::event::EventStrategy;
use crate::field::{Errors, Field};
use crate::lifecycle::{Part, remove};
use crate::names;
use crate::podspec::{require_text, validate_choice};
use crate::strategy::Strategy;

/// Members of an `events.k8s.io/v1` event and what `v1` calls them; the others have one name.
const EVENT_NAMES: [(&str, &str); 7] = [
    ("deprecatedCount", "count"),
    ("deprecatedFirstTimestamp", "firstTimestamp"),
    ("deprecatedLastTimestamp", "lastTimestamp"),
    ("deprecatedSource", "source"),
    ("note", "message"),
    ("regarding", "involvedObject"),
    ("reportingController", "reportingComponent"),
];

/// Most characters of what an event says of itself, and most bytes of its note.
const EVENT_TEXT: usize = 128;
const EVENT_NOTE: usize = 1_024;

/// Where an `autoscaling/v1` autoscaler keeps what that version has no members for, as Kubernetes
/// has it: `v2` metrics and behavior, and of the status metrics and conditions.
const AUTOSCALER_NOTES: [(&str, &str, &str); 4] = [
    ("autoscaling.alpha.kubernetes.io/metrics", "spec", "metrics"),
    ("autoscaling.alpha.kubernetes.io/behavior", "spec", "behavior"),
    ("autoscaling.alpha.kubernetes.io/current-metrics", "status", "currentMetrics"),
    ("autoscaling.alpha.kubernetes.io/conditions", "status", "conditions"),
];

/// `events.k8s.io/v1` events.
pub(crate) struct NewEventStrategy;

impl Strategy for NewEventStrategy {
    fn validate(&self, object: &Field<'_>, errors: &mut Errors) {
        validate_stored_event(object, errors);
        let controller = object.get("reportingController");
        require_text(&controller, errors);
        if let Err(rule) = names::qualified(controller.text())
            && !controller.is_empty()
        {
            errors.invalid(&controller, rule);
        }
        let time = object.get("eventTime");
        if !time.is_set() {
            errors.required(&time, "");
        }
        for name in ["reportingInstance", "action", "reason"] {
            let field = object.get(name);
            require_text(&field, errors);
            if field.text().len() > EVENT_TEXT {
                errors.too_long(&field, EVENT_TEXT);
            }
        }
        let note = object.get("note");
        if note.text().len() > EVENT_NOTE {
            errors.too_long(&note, EVENT_NOTE);
        }
        validate_choice(&object.get("type"), &["Normal", "Warning"], errors);
    }

    /// An event that came in the other version need not be as this one demands.
    fn validate_change(&self, _: Part, new: &Field<'_>, _: &Field<'_>, errors: &mut Errors) {
        validate_stored_event(new, errors);
    }
}

fn validate_stored_event(event: &Field<'_>, errors: &mut Errors) {
    EventStrategy.validate(&Field::root(&event_to_stored(event.value.clone())), errors);
}

pub(crate) fn event_to_stored(object: Value) -> Value {
    renamed(object, "v1", EVENT_NAMES)
}

pub(crate) fn event_from_stored(object: Value) -> Value {
    renamed(object, "events.k8s.io/v1", EVENT_NAMES.map(|(new, old)| (old, new)))
}

fn renamed(mut object: Value, api_version: &str, names: [(&str, &str); 7]) -> Value {
    object["apiVersion"] = json!(api_version);
    if let Some(members) = object.as_object_mut() {
        for (from, to) in names {
            if let Some(value) = members.remove(from) {
                members.insert(to.to_owned(), value);
            }
        }
    }
    object
}

/// `autoscaling/v1` autoscalers.
pub(crate) struct OldAutoscalerStrategy;

impl Strategy for OldAutoscalerStrategy {
    fn default(&self, object: &mut Value) {
        let mut stored = autoscaler_to_stored(object.take());
        AutoscalerStrategy.default(&mut stored);
        *object = autoscaler_from_stored(stored);
    }

    fn validate(&self, object: &Field<'_>, errors: &mut Errors) {
        let percent = object.get("spec");
        let percent = percent.get("targetCPUUtilizationPercentage");
        if percent.integer().is_some_and(|percent| percent < 1) {
            return errors.invalid(&percent, "must be greater than 0");
        }
        let stored = autoscaler_to_stored(object.value.clone());
        AutoscalerStrategy.validate(&Field::root(&stored), errors);
    }
}

pub(crate) fn autoscaler_to_stored(mut object: Value) -> Value {
    object["apiVersion"] = json!("autoscaling/v2");
    let mut kept = Map::new();
    if let Some(annotations) = object["metadata"]["annotations"].as_object_mut() {
        for (note, _, _) in AUTOSCALER_NOTES {
            kept.extend(annotations.remove(note).map(|text| (note.to_owned(), text)));
        }
        if annotations.is_empty() {
            remove(&mut object["metadata"], "annotations");
        }
    }
    for (note, part, member) in AUTOSCALER_NOTES {
        let text = kept.get(note).and_then(Value::as_str);
        let value: Option<Value> = text.and_then(|text| serde_json::from_str(text).ok());
        if let (Some(part), Some(value)) = (object[part].as_object_mut(), value) {
            part.insert(member.to_owned(), value);
        }
    }
    for (part, old, new, metric) in [
        ("spec", "targetCPUUtilizationPercentage", "metrics", wanted as fn(Value) -> Value),
        ("status", "currentCPUUtilizationPercentage", "currentMetrics", seen),
    ] {
        let Some(part) = object[part].as_object_mut() else { continue };
        let Some(percent) = part.remove(old) else { continue };
        let list = part.entry(new).or_insert_with(|| json!([]));
        if let Some(list) = list.as_array_mut() {
            list.insert(0, metric(percent));
        }
    }
    tidy(&mut object);
    object
}

pub(crate) fn autoscaler_from_stored(mut object: Value) -> Value {
    object["apiVersion"] = json!("autoscaling/v1");
    for (part, old, new, at) in [
        ("spec", "targetCPUUtilizationPercentage", "metrics", "/resource/target"),
        ("status", "currentCPUUtilizationPercentage", "currentMetrics", "/resource/current"),
    ] {
        let Some(part) = object[part].as_object_mut() else { continue };
        let Some(list) = part.get_mut(new).and_then(Value::as_array_mut) else { continue };
        let percent = |metric: &Value| {
            let percent = &metric.pointer(at)?["averageUtilization"];
            (metric["resource"]["name"] == "cpu" && percent.is_number()).then(|| percent.clone())
        };
        let Some(found) = list.iter().position(|metric| percent(metric).is_some()) else {
            continue;
        };
        let value = percent(&list.remove(found));
        part.extend(value.map(|value| (old.to_owned(), value)));
    }
    let mut notes = Map::new();
    for (note, part, member) in AUTOSCALER_NOTES {
        let Some(part) = object[part].as_object_mut() else { continue };
        let is_something = |value: &Value| value.as_array().is_none_or(|list| !list.is_empty());
        if let Some(value) = part.remove(member).filter(is_something) {
            notes.insert(note.to_owned(), json!(value.to_string()));
        }
    }
    if !notes.is_empty() {
        if object["metadata"]["annotations"].is_null() {
            object["metadata"]["annotations"] = json!({});
        }
        let annotations = object["metadata"]["annotations"].as_object_mut();
        annotations.into_iter().for_each(|all| all.extend(notes.clone()));
    }
    tidy(&mut object);
    object
}

/// Takes out what looking for it has left behind.
fn tidy(object: &mut Value) {
    if object["metadata"]["annotations"].is_null() {
        remove(&mut object["metadata"], "annotations");
    }
    for part in ["metadata", "spec", "status"] {
        if object[part].is_null() {
            remove(object, part);
        }
    }
}

fn wanted(percent: Value) -> Value {
    let percent = if percent.is_null() { json!(UTILIZATION) } else { percent };
    let target = json!({"type": "Utilization", "averageUtilization": percent});
    json!({"type": "Resource", "resource": {"name": "cpu", "target": target}})
}

fn seen(percent: Value) -> Value {
    let current = json!({"averageUtilization": percent});
    json!({"type": "Resource", "resource": {"name": "cpu", "current": current}})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn autoscalers_lose_nothing_on_the_way_through_the_other_version() {
        let cpu = wanted(json!(50));
        let memory = json!({"type": "Resource", "resource": {"name": "memory",
            "target": {"type": "AverageValue", "averageValue": "1Gi"}}});
        let stored = json!({
            "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": "web", "annotations": {"a": "b"}},
            "spec": {"maxReplicas": 3, "metrics": [cpu, memory],
                "behavior": {"scaleUp": {"selectPolicy": "Max"}}},
            "status": {"conditions": [{"type": "AbleToScale", "status": "True"}],
                "currentMetrics": [seen(json!(7))], "desiredReplicas": 1},
        });
        let served = autoscaler_from_stored(stored.clone());
        assert_eq!(served["spec"]["targetCPUUtilizationPercentage"], 50);
        assert_eq!(served["status"]["currentCPUUtilizationPercentage"], 7);
        assert!(served["spec"]["metrics"].is_null(), "{served}");
        assert_eq!(autoscaler_to_stored(served), stored);
    }

    #[test]
    fn a_plain_autoscaler_is_as_plain_in_the_other_version() {
        let served = json!({
            "apiVersion": "autoscaling/v1", "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": "web"},
            "spec": {"maxReplicas": 3, "targetCPUUtilizationPercentage": 50},
        });
        let stored = autoscaler_to_stored(served.clone());
        assert_eq!(stored["spec"], json!({"maxReplicas": 3, "metrics": [wanted(json!(50))]}));
        assert_eq!(autoscaler_from_stored(stored), served);
    }

    #[test]
    fn events_are_renamed_both_ways() {
        let served = json!({
            "apiVersion": "events.k8s.io/v1", "kind": "Event", "note": "n", "reason": "r",
            "regarding": {"kind": "Pod"}, "reportingController": "c", "deprecatedCount": 2,
        });
        let stored = json!({
            "apiVersion": "v1", "kind": "Event", "message": "n", "reason": "r",
            "involvedObject": {"kind": "Pod"}, "reportingComponent": "c", "count": 2,
        });
        assert_eq!(event_to_stored(served.clone()), stored);
        assert_eq!(event_from_stored(stored), served);
    }
}
