//! Deployments and replica sets: a count, a selector and a template.

use serde_json::Value;

use super::selectors;
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
        let Some(strategy) = podspec::made_member(spec, "strategy") else { return };
        podspec::set_text(strategy, "type", "RollingUpdate");
        if strategy.get("type").is_some_and(|kind| kind == "RollingUpdate")
            && let Some(rolling) = podspec::made_member(strategy, "rollingUpdate")
        {
            podspec::set(rolling, "maxSurge", ROLLING);
            podspec::set(rolling, "maxUnavailable", ROLLING);
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

pub(super) fn default_replicas(object: &mut Value) {
    if let Some(spec) = object["spec"].as_object_mut() {
        podspec::set(spec, "replicas", 1);
    }
    default_template(object);
}

/// Fills the template of pods.
pub(super) fn default_template(object: &mut Value) {
    if let Some(template) = object.pointer_mut("/spec/template/spec") {
        podspec::default_pod_spec(template);
    }
}

/// Demands a count: not negative, and no more than the 32 bits it has in the Kubernetes types. A
/// decode sees to the latter too, but not every write is one: a scale sets a single number.
pub(super) fn valid_count(at: &Field<'_>, errors: &mut Errors) {
    if !at.value.is_number() {
        return;
    }
    match at.integer() {
        Some(0..=MOST) => {}
        Some(..0) => errors.invalid(at, "must be greater than or equal to 0"),
        _ => errors.invalid(at, format!("must be an integer less than or equal to {MOST}")),
    }
}

/// Demands that a number of 64 bits is not negative.
pub(super) fn validate_not_negative(at: &Field<'_>, errors: &mut Errors) {
    if at.integer().is_some_and(|number| number < 0) {
        errors.invalid(at, "must be greater than or equal to 0");
    }
}

/// The labels of the template of pods, if it has any.
pub(super) fn template_labels(object: &Value) -> Option<Value> {
    let labels = object.pointer("/spec/template/metadata/labels")?;
    labels.as_object().filter(|labels| !labels.is_empty())?;
    Some(labels.clone())
}

fn validate_workload(object: &Field<'_>, kind: &str, errors: &mut Errors) {
    let spec = object.get("spec");
    valid_count(&spec.get("replicas"), errors);
    valid_count(&spec.get("minReadySeconds"), errors);
    validate_selector(&spec, kind, errors);
    validate_template(&spec, &[], errors);
    // Kubernetes speaks of the replica set here, whichever of the two kinds it is.
    validate_always(&spec, "ReplicaSet", errors);
}

/// Checks the labels and the pod spec of a template. `claims` are the volumes that its containers
/// may mount besides the pod's own.
pub(super) fn validate_template(spec: &Field<'_>, claims: &[&str], errors: &mut Errors) {
    let template = spec.get("template");
    let metadata = template.get("metadata");
    validate_labels(&metadata.get("labels"), errors);
    let pod = template.get("spec");
    podspec::validate_pod_spec(&pod, claims, errors);
    let ephemeral = pod.get("ephemeralContainers");
    if !ephemeral.is_empty() {
        errors.forbidden(&ephemeral, "ephemeral containers not allowed in pod template");
    }
}

/// Demands that the pods of a template are meant to run for ever.
pub(super) fn validate_always(spec: &Field<'_>, kind: &str, errors: &mut Errors) {
    let template = spec.get("template");
    let pod = template.get("spec");
    let restart = pod.get("restartPolicy");
    if restart.is_set() && restart.text() != "Always" {
        errors.not_supported(&restart, &["Always"]);
    }
    let deadline = pod.get("activeDeadlineSeconds");
    if deadline.is_set() {
        errors.forbidden(&deadline, format!("activeDeadlineSeconds in {kind} is not Supported"));
    }
}

/// Demands a selector that selects the pods of the template and not all pods.
pub(super) fn validate_selector(spec: &Field<'_>, kind: &str, errors: &mut Errors) {
    let selector = spec.get("selector");
    if !selector.is_set() {
        errors.required(&selector, "");
        return;
    }
    match selectors::read(&selector) {
        Err(rule) => errors.invalid(&selector, rule),
        Ok(typed) if typed.is_empty() => {
            let kind = kind.to_lowercase();
            errors.invalid(&selector, format!("empty selector is invalid for {kind}"));
        }
        Ok(typed) => validate_selected(&typed, spec, errors),
    }
}

/// Demands that a selector selects the pods of the template.
pub(super) fn validate_selected(selector: &LabelSelector, spec: &Field<'_>, errors: &mut Errors) {
    let template = spec.get("template");
    let metadata = template.get("metadata");
    let labels = metadata.get("labels");
    if !selectors::selects(selector, labels.value) {
        errors.invalid(&labels, "`selector` does not match template `labels`");
    }
}

pub(super) fn validate_selector_kept(new: &Field<'_>, old: &Field<'_>, errors: &mut Errors) {
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
            let counts =
                (validate_count_or_percent(&surge, errors), validate_share(&missing, errors));
            if counts == (Some(0), Some(0)) {
                errors.invalid(&missing, "may not be 0 when `maxSurge` is 0");
            }
        }
        _ => errors.not_supported(&kind, &["Recreate", "RollingUpdate"]),
    }
}

/// A number or percentage that is not negative.
pub(super) fn validate_count_or_percent(at: &Field<'_>, errors: &mut Errors) -> Option<i64> {
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

/// As [`validate_count_or_percent`], but of a part: more than all of them there cannot be.
pub(super) fn validate_share(at: &Field<'_>, errors: &mut Errors) -> Option<i64> {
    let count = validate_count_or_percent(at, errors);
    if at.value.is_string() && count.is_some_and(|percent| percent > 100) {
        errors.invalid(at, "must not be greater than 100%");
    }
    count
}
