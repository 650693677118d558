//! Autoscalers: how far a workload is scaled, and by what.

use serde_json::{Map, Value, json};

use super::workload::valid_count;
use crate::field::{Errors, Field};
use crate::podspec::{
    made_member, member, require_text, set, set_content, set_text, validate_choice,
    validate_quantity,
};
use crate::strategy::Strategy;

/// The share of its requests that a workload's pods use where its autoscaler names no metric.
pub(super) const UTILIZATION: i64 = 80;

/// Most seconds over which past recommendations count: an hour.
const WINDOW: i64 = 3_600;

/// Most seconds for which a policy speaks: half an hour.
const PERIOD: i64 = 1_800;

/// The types of metrics and where in a metric each is described.
const METRICS: [(&str, &str); 5] = [
    ("ContainerResource", "containerResource"),
    ("External", "external"),
    ("Object", "object"),
    ("Pods", "pods"),
    ("Resource", "resource"),
];

const SELECTIONS: [&str; 3] = ["Disabled", "Max", "Min"];
const POLICIES: [&str; 2] = ["Percent", "Pods"];

pub(crate) struct AutoscalerStrategy;

impl Strategy for AutoscalerStrategy {
    fn default(&self, object: &mut Value) {
        let Some(spec) = object["spec"].as_object_mut() else { return };
        set(spec, "minReplicas", 1);
        let target = json!({"type": "Utilization", "averageUtilization": UTILIZATION});
        let cpu = json!([{"type": "Resource", "resource": {"name": "cpu", "target": target}}]);
        set_content(spec, "metrics", cpu);
        let Some(behavior) = member(spec, "behavior") else { return };
        let all = json!({"type": "Percent", "value": 100, "periodSeconds": 15});
        let four = json!({"type": "Pods", "value": 4, "periodSeconds": 15});
        if let Some(up) = default_rules(behavior, "scaleUp", json!([four, all])) {
            set(up, "stabilizationWindowSeconds", 0);
        }
        default_rules(behavior, "scaleDown", json!([all]));
    }

    fn validate(&self, object: &Field<'_>, errors: &mut Errors) {
        let spec = object.get("spec");
        let target = spec.get("scaleTargetRef");
        require_text(&target.get("kind"), errors);
        require_text(&target.get("name"), errors);
        let (least, most) = (spec.get("minReplicas"), spec.get("maxReplicas"));
        if least.integer().is_some_and(|least| least < 1) {
            errors.invalid(&least, "must be greater than or equal to 1");
        }
        match (least.integer(), most.integer()) {
            (_, None | Some(..1)) => errors.invalid(&most, "must be greater than 0"),
            (Some(least), Some(number)) if number < least => {
                errors.invalid(&most, "must be greater than or equal to `minReplicas`");
            }
            _ => {}
        }
        let metrics = spec.get("metrics");
        for metric in metrics.items() {
            validate_metric(&metric, errors);
        }
        let behavior = spec.get("behavior");
        for direction in ["scaleUp", "scaleDown"] {
            let rules = behavior.get(direction);
            if rules.is_set() {
                validate_rules(&rules, errors);
            }
        }
    }
}

/// Fills the rules of one direction.
fn default_rules<'v>(
    behavior: &'v mut Map<String, Value>,
    direction: &str,
    policies: Value,
) -> Option<&'v mut Map<String, Value>> {
    let rules = made_member(behavior, direction)?;
    set_text(rules, "selectPolicy", "Max");
    set_content(rules, "policies", policies);
    Some(rules)
}

fn validate_metric(metric: &Field<'_>, errors: &mut Errors) {
    let kind = metric.get("type");
    if kind.is_empty() {
        errors.required(&kind, "must specify a metric source type");
        return;
    }
    let Some((_, name)) = METRICS.into_iter().find(|(known, _)| *known == kind.text()) else {
        return errors.not_supported(&kind, &METRICS.map(|(known, _)| known));
    };
    let source = metric.get(name);
    if !source.is_set() {
        errors.required(&source, "must populate information for the given metric source");
        return;
    }
    if matches!(name, "resource" | "containerResource") {
        let resource = source.get("name");
        if resource.is_empty() {
            errors.required(&resource, "must specify a resource name");
        }
    } else {
        let identity = source.get("metric");
        require_text(&identity.get("name"), errors);
    }
    if name == "containerResource" {
        require_text(&source.get("container"), errors);
    }
    if name == "object" {
        let described = source.get("describedObject");
        require_text(&described.get("kind"), errors);
        require_text(&described.get("name"), errors);
    }
    validate_target(&source.get("target"), name, errors);
}

fn validate_target(target: &Field<'_>, source: &str, errors: &mut Errors) {
    let kind = target.get("type");
    if kind.is_empty() {
        errors.required(&kind, "must specify a metric target type");
    } else if !matches!(kind.text(), "Utilization" | "Value" | "AverageValue") {
        errors.invalid(&kind, "must be either Utilization, Value, or AverageValue");
    }
    let (value, average) = (target.get("value"), target.get("averageValue"));
    let share = target.get("averageUtilization");
    for amount in [&value, &average].into_iter().filter(|amount| amount.is_set()) {
        validate_quantity(amount, errors);
    }
    if share.integer().is_some_and(|percent| percent < 1) {
        errors.invalid(&share, "must be greater than 0");
    }
    match source {
        "resource" | "containerResource" => match (share.is_set(), average.is_set()) {
            (true, true) => errors.forbidden(
                &average,
                "may not set both a target raw value and a target utilization",
            ),
            (false, false) => errors
                .required(&share, "must set either a target raw value or a target utilization"),
            _ => {}
        },
        "pods" if !average.is_set() => {
            errors.required(&average, "must specify a positive target averageValue");
        }
        "pods" => {}
        _ => match (value.is_set(), average.is_set()) {
            (true, true) => errors.forbidden(
                &value,
                "may not set both a target value for metric and a per-pod target",
            ),
            (false, false) => errors.required(
                &average,
                "must set either a target value for metric or a per-pod target",
            ),
            _ => {}
        },
    }
}

fn validate_rules(rules: &Field<'_>, errors: &mut Errors) {
    let window = rules.get("stabilizationWindowSeconds");
    valid_count(&window, errors);
    if window.integer().is_some_and(|seconds| seconds > WINDOW) {
        errors.invalid(&window, format!("must be less than or equal to {WINDOW}"));
    }
    validate_choice(&rules.get("selectPolicy"), &SELECTIONS, errors);
    let tolerance = rules.get("tolerance");
    if tolerance.is_set() {
        validate_quantity(&tolerance, errors);
    }
    let policies = rules.get("policies");
    if policies.is_empty() {
        errors.required(&policies, "must specify at least one Policy");
    }
    for policy in policies.items() {
        validate_choice(&policy.get("type"), &POLICIES, errors);
        let (value, period) = (policy.get("value"), policy.get("periodSeconds"));
        for number in [&value, &period] {
            if number.integer().is_none_or(|number| number < 1) {
                errors.invalid(number, "must be greater than zero");
            }
        }
        if period.integer().is_some_and(|seconds| seconds > PERIOD) {
            errors.invalid(&period, format!("must be less than or equal to {PERIOD}"));
        }
    }
}
