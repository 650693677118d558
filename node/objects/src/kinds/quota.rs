//! What a namespace may use: quotas and limit ranges.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::field::{Errors, Field};
use crate::names;
use crate::podspec::{items, set, validate_quantity};
use crate::quantity::Quantity;
use crate::strategy::Strategy;

/// The amounts that a quota can bound without a domain before their names.
const AMOUNTS: [&str; 10] = [
    "cpu",
    "memory",
    "ephemeral-storage",
    "requests.cpu",
    "requests.memory",
    "requests.storage",
    "requests.ephemeral-storage",
    "limits.cpu",
    "limits.memory",
    "limits.ephemeral-storage",
];

/// The numbers of objects that a quota can bound likewise.
const OBJECTS: [&str; 9] = [
    "configmaps",
    "persistentvolumeclaims",
    "pods",
    "replicationcontrollers",
    "resourcequotas",
    "secrets",
    "services",
    "services.loadbalancers",
    "services.nodeports",
];

const SCOPES: [&str; 7] = [
    "BestEffort",
    "CrossNamespacePodAffinity",
    "NotBestEffort",
    "NotTerminating",
    "PriorityClass",
    "Terminating",
    "VolumeAttributesClass",
];

/// Scopes that exclude one another.
const CONFLICTS: [[&str; 2]; 2] =
    [["BestEffort", "NotBestEffort"], ["Terminating", "NotTerminating"]];

pub(crate) struct QuotaStrategy;

impl Strategy for QuotaStrategy {
    fn validate(&self, object: &Field<'_>, errors: &mut Errors) {
        let spec = object.get("spec");
        let hard = spec.get("hard");
        for (name, amount) in hard.entries() {
            if let Err(rule) = names::qualified(name) {
                errors.invalid_value(&amount, name, rule);
            } else if !is_bounded(name) {
                errors.invalid_value(&amount, name, "must be a standard resource for quota");
            }
            validate_quantity(&amount, errors);
            let broken = Quantity::parse(amount.text()).is_ok_and(|amount| !amount.is_whole());
            if OBJECTS.contains(&name) && broken {
                errors.invalid(&amount, "must be an integer");
            }
        }
        let scopes = spec.get("scopes");
        let known: BTreeSet<&str> = scopes.items().map(|scope| scope.text()).collect();
        if !known.iter().all(|scope| SCOPES.contains(scope)) {
            errors.invalid(&scopes, "unsupported scope");
        }
        if CONFLICTS.iter().any(|pair| pair.iter().all(|scope| known.contains(scope))) {
            errors.invalid(&scopes, "conflicting scopes");
        }
    }

    fn validate_update(&self, new: &Field<'_>, old: &Field<'_>, errors: &mut Errors) {
        let (spec, before) = (new.get("spec"), old.get("spec"));
        errors.immutable(&spec.get("scopes"), &before.get("scopes"));
    }
}

fn is_bounded(name: &str) -> bool {
    let bare = name.strip_prefix("requests.").unwrap_or(name);
    AMOUNTS.contains(&name)
        || OBJECTS.contains(&name)
        || bare.starts_with("hugepages-")
        || name.contains('/')
}

const TYPES: [&str; 3] = ["Container", "PersistentVolumeClaim", "Pod"];

/// A member of a limit, and what errors call it.
type Bound = (&'static str, &'static str);

const MIN: Bound = ("min", "min");
const MAX: Bound = ("max", "max");
const DEFAULT: Bound = ("default", "default");
const REQUEST: Bound = ("defaultRequest", "default request");

/// The less, the more, and where the error is when they are the wrong way round.
const ORDER: [(Bound, Bound, &str); 6] = [
    (MIN, MAX, "min"),
    (MIN, REQUEST, "defaultRequest"),
    (REQUEST, MAX, "defaultRequest"),
    (REQUEST, ("default", "default limit"), "defaultRequest"),
    (MIN, DEFAULT, "default"),
    (DEFAULT, MAX, "default"),
];

pub(crate) struct LimitRangeStrategy;

impl Strategy for LimitRangeStrategy {
    /// A container's greatest amount is its default limit, and that, or the least, its request.
    fn default(&self, object: &mut Value) {
        let Some(spec) = object["spec"].as_object_mut() else { return };
        for limit in items(spec, "limits") {
            if limit.get("type").is_none_or(|kind| kind != "Container") {
                continue;
            }
            for (to, from) in
                [("default", "max"), ("defaultRequest", "default"), ("defaultRequest", "min")]
            {
                let Some(Value::Object(amounts)) = limit.get(from).cloned() else { continue };
                set(limit, to, json!({}));
                let Some(Value::Object(defaults)) = limit.get_mut(to) else { continue };
                for (resource, amount) in amounts {
                    defaults.entry(resource).or_insert(amount);
                }
            }
        }
    }

    fn validate(&self, object: &Field<'_>, errors: &mut Errors) {
        let spec = object.get("spec");
        let limits = spec.get("limits");
        let mut seen = BTreeSet::new();
        for limit in limits.items() {
            let kind = limit.get("type");
            if let Err(rule) = names::qualified(kind.text()) {
                errors.invalid(&kind, rule);
            } else if !TYPES.contains(&kind.text()) && !kind.text().contains('/') {
                errors.invalid(&kind, "must be a standard limit type or fully qualified");
            }
            if !seen.insert(kind.text().to_owned()) {
                errors.duplicate(&kind);
            }
            validate_limit(&limit, errors);
        }
    }
}

fn validate_limit(limit: &Field<'_>, errors: &mut Errors) {
    for name in ["max", "min", "default", "defaultRequest", "maxLimitRequestRatio"] {
        let amounts = limit.get(name);
        for (_, amount) in amounts.entries() {
            validate_quantity(&amount, errors);
        }
    }
    if limit.get("type").text() == "Pod" {
        for name in ["default", "defaultRequest"] {
            let amounts = limit.get(name);
            if !amounts.is_empty() {
                errors.forbidden(&amounts, "may not be specified when `type` is 'Pod'");
            }
        }
    }
    let quantity = |name: &str, resource: &str| {
        let text = limit.value.get(name)?.get(resource)?.as_str()?;
        Some((Quantity::parse(text).ok()?, text.to_owned()))
    };
    for ((less, less_name), (more, more_name), place) in ORDER {
        let (at, lower) = (limit.get(place), limit.get(less));
        for (resource, _) in lower.entries() {
            if let (Some((low, low_text)), Some((high, high_text))) =
                (quantity(less, resource), quantity(more, resource))
                && low > high
            {
                let rule = format!(
                    "{less_name} value {low_text} is greater than {more_name} value {high_text}"
                );
                errors.invalid(&at.key(resource), rule);
            }
        }
    }
    let ratios = limit.get("maxLimitRequestRatio");
    for (_, ratio) in ratios.entries() {
        if Quantity::parse(ratio.text()).is_ok_and(|ratio| ratio.millis() < 1000) {
            errors.invalid(&ratio, format!("ratio {} is less than 1", ratio.text()));
        }
    }
}
