//! Configurations of admission webhooks. They are kept for whoever brings them along; no hook is
//! called yet.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::{client_config, selectors};
use crate::field::{Errors, Field};
use crate::names;
use crate::podspec::{items, member, set, set_text, validate_choice};
use crate::strategy::Strategy;

/// Seconds that a hook may take, and most of them.
const TIMEOUT: i64 = 10;
const LONGEST_TIMEOUT: i64 = 30;

/// The versions of reviews there are.
const REVIEWS: [&str; 2] = ["v1", "v1beta1"];

const SCOPES: [&str; 3] = ["*", "Cluster", "Namespaced"];

/// Hooks that change objects.
pub(crate) struct MutatingStrategy;

/// Hooks that only refuse them.
pub(crate) struct ValidatingStrategy;

impl Strategy for MutatingStrategy {
    fn default(&self, object: &mut Value) {
        default_hooks(object, |hook| set_text(hook, "reinvocationPolicy", "Never"));
    }

    fn validate(&self, object: &Field<'_>, errors: &mut Errors) {
        validate_hooks(object, errors);
    }
}

impl Strategy for ValidatingStrategy {
    fn default(&self, object: &mut Value) {
        default_hooks(object, |_| {});
    }

    fn validate(&self, object: &Field<'_>, errors: &mut Errors) {
        validate_hooks(object, errors);
    }
}

fn default_hooks(object: &mut Value, more: fn(&mut Map<String, Value>)) {
    let Some(object) = object.as_object_mut() else { return };
    for hook in items(object, "webhooks") {
        set_text(hook, "failurePolicy", "Fail");
        set_text(hook, "matchPolicy", "Equivalent");
        set(hook, "namespaceSelector", json!({}));
        set(hook, "objectSelector", json!({}));
        set(hook, "timeoutSeconds", TIMEOUT);
        for rule in items(hook, "rules") {
            set_text(rule, "scope", "*");
        }
        client_config::default(member(hook, "clientConfig"));
        more(hook);
    }
}

fn validate_hooks(object: &Field<'_>, errors: &mut Errors) {
    let (hooks, mut seen) = (object.get("webhooks"), BTreeSet::new());
    for hook in hooks.items() {
        let name = hook.get("name");
        if let Err(rule) = names::subdomain(name.text()) {
            errors.invalid(&name, rule);
        } else if name.text().split('.').count() < 3 {
            errors.invalid(
                &name,
                "should be a domain with at least three segments separated by dots",
            );
        }
        if !seen.insert(name.text().to_owned()) {
            errors.duplicate(&name);
        }
        validate_hook(&hook, errors);
    }
}

fn validate_hook(hook: &Field<'_>, errors: &mut Errors) {
    for (name, choices) in [
        ("failurePolicy", ["Fail", "Ignore"]),
        ("matchPolicy", ["Equivalent", "Exact"]),
        ("reinvocationPolicy", ["IfNeeded", "Never"]),
    ] {
        validate_choice(&hook.get(name), &choices, errors);
    }
    let effects = hook.get("sideEffects");
    if effects.is_empty() {
        errors.required(&effects, "must specify one of None, NoneOnDryRun");
    } else {
        validate_choice(&effects, &["None", "NoneOnDryRun"], errors);
    }
    let seconds = hook.get("timeoutSeconds");
    if seconds.integer().is_some_and(|seconds| !(1..=LONGEST_TIMEOUT).contains(&seconds)) {
        errors.invalid(&seconds, "the timeout value must be between 1 and 30 seconds");
    }
    let versions = hook.get("admissionReviewVersions");
    if versions.is_empty() {
        errors.required(&versions, "must specify one of v1, v1beta1");
    } else if !versions.items().any(|version| REVIEWS.contains(&version.text())) {
        errors.invalid(&versions, "must include at least one of v1, v1beta1");
    }
    selectors::validate(&hook.get("namespaceSelector"), errors);
    selectors::validate(&hook.get("objectSelector"), errors);
    let rules = hook.get("rules");
    for rule in rules.items() {
        for name in ["operations", "apiGroups", "apiVersions", "resources"] {
            let list = rule.get(name);
            if list.is_empty() {
                errors.required(&list, "");
            }
        }
        validate_choice(&rule.get("scope"), &SCOPES, errors);
    }
    client_config::validate(&hook.get("clientConfig"), errors);
}
