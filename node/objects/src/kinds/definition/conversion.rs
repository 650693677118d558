//! How a definition says that its versions are made of each other (`spec.conversion`).

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::custom::is_established;
use crate::field::{Errors, Field};
use crate::kinds::client_config;
use crate::names;
use crate::podspec::{member, set};
use crate::webhook::{ca_bundle, certificates};

const STRATEGIES: [&str; 2] = ["None", "Webhook"];

/// The one version of reviews that is spoken.
const REVIEW: &str = "v1";

pub(super) fn default(spec: &mut Map<String, Value>) {
    set(spec, "conversion", json!({"strategy": "None"}));
    let webhook = member(spec, "conversion").and_then(|conversion| member(conversion, "webhook"));
    client_config::default(webhook.and_then(|webhook| member(webhook, "clientConfig")));
}

pub(super) fn validate(conversion: &Field<'_>, errors: &mut Errors) {
    let (strategy, webhook) = (conversion.get("strategy"), conversion.get("webhook"));
    match strategy.text() {
        "Webhook" => validate_webhook(&webhook, errors),
        _ if webhook.is_set() => {
            errors.forbidden(&webhook, "should not be set when strategy is not set to Webhook");
        }
        _ => {}
    }
    if strategy.is_empty() {
        errors.required(&strategy, "");
    } else if !STRATEGIES.contains(&strategy.text()) {
        errors.not_supported(&strategy, &STRATEGIES);
    }
}

fn validate_webhook(webhook: &Field<'_>, errors: &mut Errors) {
    let client = webhook.get("clientConfig");
    if client.is_set() {
        client_config::validate(&client, errors);
    } else {
        errors.required(&client, "required when strategy is set to Webhook");
    }
    let (versions, mut seen) = (webhook.get("conversionReviewVersions"), BTreeSet::new());
    if versions.is_empty() {
        return errors.required(&versions, "");
    }
    for version in versions.items() {
        if !seen.insert(version.text()) {
            errors.invalid(&version, "duplicate version");
        } else if let Err(rule) = names::service(version.text()) {
            errors.invalid(&version, rule);
        }
    }
    if !seen.contains(REVIEW) {
        errors.invalid(&versions, format!("must include at least one of {REVIEW}"));
    }
}

/// Refuses a `caBundle` without certificates where the one before had some. A new definition may
/// have what somebody will replace, as may one that has never had better.
pub(super) fn validate_update(new: &Field<'_>, old: &Field<'_>, errors: &mut Errors) {
    let before = &old.value["spec"]["conversion"]["webhook"]["clientConfig"]["caBundle"];
    if !is_established(old.value) || !is_usable(before) {
        return;
    }
    let (spec, client) = (new.get("spec"), ["conversion", "webhook", "clientConfig"]);
    let conversion = spec.get(client[0]);
    let webhook = conversion.get(client[1]);
    let client = webhook.get(client[2]);
    let bundle = client.get("caBundle");
    if !is_usable(bundle.value) {
        errors.invalid(
            &bundle,
            "unable to load root certificates: unable to parse bytes as PEM block",
        );
    }
}

/// Whether a `caBundle` is empty, or has certificates.
fn is_usable(bundle: &Value) -> bool {
    bundle.as_str().is_none_or(str::is_empty) || certificates(&ca_bundle(bundle)).is_ok()
}
