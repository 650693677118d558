//! Columns and cells of what bounds others: budgets, priorities, quotas, autoscalers.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use super::columns::{AGE, NAME, list, text};
use super::{Cell, Column, NONE};

/// Autoscalers.
pub(crate) const AUTOSCALER: &[Column<'static>] = &[
    NAME,
    Column::new("Reference", Cell::Computed(reference), "What it scales."),
    Column::new("Targets", Cell::Computed(targets), "What its metrics are, and should be."),
    Column::new("MinPods", Cell::Computed(min_pods), "How few pods there may be."),
    Column::new("MaxPods", Cell::Number("/spec/maxReplicas"), "How many pods there may be."),
    Column::new("Replicas", Cell::Number("/status/currentReplicas"), "How many there are."),
    AGE,
];

/// Disruption budgets.
pub(crate) const BUDGET: &[Column<'static>] = &[
    NAME,
    Column::new("Min Available", Cell::Computed(min_available), "Pods that must be there."),
    Column::new("Max Unavailable", Cell::Computed(max_unavailable), "Pods that may be missing."),
    Column::new(
        "Allowed Disruptions",
        Cell::Number("/status/disruptionsAllowed"),
        "Pods that may be evicted now.",
    ),
    AGE,
];

/// Priority classes.
pub(crate) const PRIORITY_CLASS: &[Column<'static>] = &[
    NAME,
    Column::new("Value", Cell::Number("/value"), "How important its pods are."),
    Column::new("Global-Default", Cell::Computed(global_default), "Whether pods get it unasked."),
    AGE,
    Column::new("PreemptionPolicy", Cell::Optional("/preemptionPolicy"), "Whether it makes room."),
];

/// Quotas.
pub(crate) const QUOTA: &[Column<'static>] = &[
    NAME,
    Column::new("Request", Cell::Computed(requests), "What is requested of what there is."),
    Column::new("Limit", Cell::Computed(limits), "What is limited to of what there is."),
    AGE,
];

fn reference(scaler: &Value, _now: Timestamp) -> Value {
    let target = &scaler["spec"]["scaleTargetRef"];
    Value::from(format!("{}/{}", text(target, "/kind"), text(target, "/name")))
}

fn min_pods(scaler: &Value, _now: Timestamp) -> Value {
    let least = scaler.pointer("/spec/minReplicas");
    Value::from(least.map_or("<unset>".to_owned(), Value::to_string))
}

/// Metrics named in a cell; the rest are counted.
const METRICS: usize = 2;

fn targets(scaler: &Value, _now: Timestamp) -> Value {
    let current = list(scaler, "/status/currentMetrics");
    let metrics = list(scaler, "/spec/metrics");
    if metrics.is_empty() {
        return Value::from(NONE);
    }
    let shown = metrics.iter().take(METRICS).enumerate();
    let shown: Vec<String> = shown.map(|(at, metric)| target(metric, current.get(at))).collect();
    let more = metrics.len().saturating_sub(METRICS);
    let more = if more > 0 { format!(" + {more} more...") } else { String::new() };
    Value::from(format!("{}{more}", shown.join(", ")))
}

/// One metric: `cpu: 10%/80%`.
fn target(metric: &Value, seen: Option<&Value>) -> String {
    let (member, named) = match text(metric, "/type") {
        "Resource" => ("resource", true),
        "ContainerResource" => ("containerResource", true),
        "Pods" => ("pods", false),
        "Object" => ("object", false),
        "External" => ("external", false),
        _ => return "<unknown type>".to_owned(),
    };
    let wanted = &metric[member]["target"];
    let is_average = wanted.get("averageValue").is_some();
    let (amount, unit) = match (named, is_average) {
        (true, false) => ("averageUtilization", "%"),
        (false, false) if member != "pods" => ("value", ""),
        _ => ("averageValue", ""),
    };
    let show = |of: &Value, otherwise: &str| match &of[amount] {
        Value::Null => otherwise.to_owned(),
        Value::String(quantity) => quantity.clone(),
        number => format!("{number}{unit}"),
    };
    let seen = seen.map_or(&Value::Null, |seen| &seen[member]["current"]);
    let shown = format!("{}/{}", show(seen, "<unknown>"), show(wanted, "<auto>"));
    match (named, is_average) {
        (true, _) => format!("{}: {shown}", text(&metric[member], "/name")),
        (false, true) if member != "pods" => format!("{shown} (avg)"),
        (false, _) => shown,
    }
}

fn bound(budget: &Value, at: &str) -> Value {
    Value::from(match budget.pointer(at) {
        None => "N/A".to_owned(),
        Some(Value::String(percent)) => percent.clone(),
        Some(number) => number.to_string(),
    })
}

fn min_available(budget: &Value, _now: Timestamp) -> Value {
    bound(budget, "/spec/minAvailable")
}

fn max_unavailable(budget: &Value, _now: Timestamp) -> Value {
    bound(budget, "/spec/maxUnavailable")
}

fn global_default(class: &Value, _now: Timestamp) -> Value {
    Value::from(class.get("globalDefault").and_then(Value::as_bool).unwrap_or(false))
}

/// `cpu: 1/2, …` for the bounds that `wanted` names.
fn used(quota: &Value, wanted: impl Fn(&str) -> bool) -> Value {
    let hard = quota.pointer("/status/hard");
    let entries = hard.and_then(Value::as_object).into_iter().flatten();
    let entries: BTreeMap<&str, &str> = entries
        .filter(|(name, _)| wanted(name))
        .map(|(name, amount)| (name.as_str(), amount.as_str().unwrap_or("")))
        .collect();
    let shown = entries.into_iter().map(|(name, hard)| {
        let used = quota.pointer("/status/used").and_then(|used| used.get(name));
        format!("{name}: {}/{hard}", used.and_then(Value::as_str).unwrap_or("0"))
    });
    Value::from(shown.collect::<Vec<_>>().join(", "))
}

fn requests(quota: &Value, _now: Timestamp) -> Value {
    used(quota, |name| !name.starts_with("limits."))
}

fn limits(quota: &Value, _now: Timestamp) -> Value {
    used(quota, |name| name.starts_with("limits."))
}
