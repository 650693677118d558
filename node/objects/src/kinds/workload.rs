//! Deployments and replica sets: a count, a selector and a template.

use serde_json::{Value, json};

use crate::field::{Errors, Field};
use crate::lifecycle::validate_labels;
use crate::podspec;
use crate::selector::LabelSelector;
use crate::strategy::Strategy;

/// Pods in excess, and pods missing, during a rolling update.
const ROLLING: &str = "25%";

/// Old replica sets kept for a rollback.
const HISTORY: i64 = 10;

/// Seconds without progress after which a rollout counts as failed.
const PROGRESS_SECONDS: i64 = 600;

/// The largest count there is: all of them are int32.
const MOST: i64 = i32::MAX as i64;

pub(crate) struct ReplicaSetStrategy;

impl Strategy for ReplicaSetStrategy {
    fn default(&self, object: &mut Value) {
        default_replicas(object);
    }

    fn validate(&self, object: &Field<'_>, errors: &mut Errors) {
        validate_workload(object, "ReplicaSet", errors);
    }

    fn validate_update(&self, new: &Field<'_>, old: &Field<'_>, errors: &mut Errors) {
        validate_selector_kept(new, old, errors);
    }
}

pub(crate) struct DeploymentStrategy;

impl Strategy for DeploymentStrategy {
    fn default(&self, object: &mut Value) {
        default_replicas(object);
        let Some(spec) = object["spec"].as_object_mut() else { return };
        podspec::set(spec, "revisionHistoryLimit", HISTORY);
        podspec::set(spec, "progressDeadlineSeconds", PROGRESS_SECONDS);
        podspec::set(spec, "strategy", json!({}));
        let Some(strategy) = spec.get_mut("strategy").and_then(Value::as_object_mut) else {
            return;
        };
        podspec::set_text(strategy, "type", "RollingUpdate");
        if strategy.get("type").is_some_and(|kind| kind == "RollingUpdate") {
            podspec::set(strategy, "rollingUpdate", json!({}));
            if let Some(rolling) = strategy.get_mut("rollingUpdate").and_then(Value::as_object_mut)
            {
                podspec::set(rolling, "maxSurge", ROLLING);
                podspec::set(rolling, "maxUnavailable", ROLLING);
            }
        }
    }

    fn validate(&self, object: &Field<'_>, errors: &mut Errors) {
        validate_workload(object, "Deployment", errors);
        let spec = object.get("spec");
        validate_rollout(&spec.get("strategy"), errors);
        let limit = spec.get("revisionHistoryLimit");
        valid_count(&limit, errors);
        let (progress, ready) = (spec.get("progressDeadlineSeconds"), spec.get("minReadySeconds"));
        valid_count(&progress, errors);
        if progress.integer().is_some_and(|most| most <= ready.integer().unwrap_or(0)) {
            errors.invalid(&progress, "must be greater than minReadySeconds");
        }
    }

    fn validate_update(&self, new: &Field<'_>, old: &Field<'_>, errors: &mut Errors) {
        validate_selector_kept(new, old, errors);
    }
}

fn default_replicas(object: &mut Value) {
    if let Some(spec) = object["spec"].as_object_mut() {
        podspec::set(spec, "replicas", 1);
    }
    if let Some(template) = object.pointer_mut("/spec/template/spec") {
        podspec::default_pod_spec(template);
    }
}

/// Demands a count: not negative, and no more than the 32 bits it has in the Kubernetes types. A
/// decode sees to the latter too, but not every write is one: a scale sets a single number.
fn valid_count(at: &Field<'_>, errors: &mut Errors) {
    if !at.value.is_number() {
        return;
    }
    match at.integer() {
        Some(0..=MOST) => {}
        Some(..0) => errors.invalid(at, "must be greater than or equal to 0"),
        _ => errors.invalid(at, format!("must be an integer less than or equal to {MOST}")),
    }
}

fn validate_workload(object: &Field<'_>, kind: &str, errors: &mut Errors) {
    let spec = object.get("spec");
    valid_count(&spec.get("replicas"), errors);
    valid_count(&spec.get("minReadySeconds"), errors);
    let template = spec.get("template");
    let metadata = template.get("metadata");
    let labels = metadata.get("labels");
    validate_labels(&labels, errors);
    validate_selector(&spec.get("selector"), &labels, kind, errors);
    let pod = template.get("spec");
    podspec::validate_pod_spec(&pod, errors);
    let restart = pod.get("restartPolicy");
    if restart.is_set() && restart.text() != "Always" {
        errors.not_supported(&restart, &["Always"]);
    }
    let deadline = pod.get("activeDeadlineSeconds");
    if deadline.is_set() {
        errors.forbidden(&deadline, "activeDeadlineSeconds in ReplicaSet is not Supported");
    }
}

fn validate_selector(selector: &Field<'_>, labels: &Field<'_>, kind: &str, errors: &mut Errors) {
    if !selector.is_set() {
        errors.required(selector, "");
        return;
    }
    let typed = serde_json::from_value(selector.value.clone())
        .map_err(|error| error.to_string())
        .and_then(|spec| LabelSelector::from_spec(&spec).map_err(|error| error.message));
    match typed {
        Err(rule) => errors.invalid(selector, rule),
        Ok(typed) if typed.is_empty() => {
            let kind = kind.to_lowercase();
            errors.invalid(selector, format!("empty selector is invalid for {kind}"));
        }
        Ok(typed) => {
            let selected = json!({"metadata": {"labels": labels.value}});
            if !typed.matches(&selected) {
                errors.invalid(labels, "`selector` does not match template `labels`");
            }
        }
    }
}

fn validate_selector_kept(new: &Field<'_>, old: &Field<'_>, errors: &mut Errors) {
    let (spec, before) = (new.get("spec"), old.get("spec"));
    errors.immutable(&spec.get("selector"), &before.get("selector"));
}

fn validate_rollout(strategy: &Field<'_>, errors: &mut Errors) {
    let kind = strategy.get("type");
    let rolling = strategy.get("rollingUpdate");
    match kind.text() {
        "Recreate" if rolling.is_set() => {
            errors.forbidden(&rolling, "may not be specified when strategy `type` is 'Recreate'")
        }
        "Recreate" => {}
        "RollingUpdate" => {
            let (surge, missing) = (rolling.get("maxSurge"), rolling.get("maxUnavailable"));
            let counts = (count(&surge, errors), count(&missing, errors));
            if counts == (Some(0), Some(0)) {
                errors.invalid(&missing, "may not be 0 when `maxSurge` is 0");
            }
            if missing.value.is_string() && counts.1.is_some_and(|percent| percent > 100) {
                errors.invalid(&missing, "must not be greater than 100%");
            }
        }
        _ => errors.not_supported(&kind, &["Recreate", "RollingUpdate"]),
    }
}

/// A number or percentage that is not negative.
fn count(at: &Field<'_>, errors: &mut Errors) -> Option<i64> {
    let parsed = match at.value {
        Value::String(text) => {
            let percent = text.strip_suffix('%').and_then(|number| number.parse::<u32>().ok());
            if percent.is_none() {
                errors.invalid(
                    at,
                    "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')",
                );
            }
            percent.map(i64::from)
        }
        other => other.as_i64(),
    };
    valid_count(at, errors);
    parsed
}
