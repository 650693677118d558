//! Rules of probes and lifecycle hooks.

use serde_json::Value;

use crate::field::{Errors, Field};
use crate::names;

/// Checks the probes and hooks of a container.
pub(super) fn validate(container: &Field<'_>, errors: &mut Errors) {
    for name in ["livenessProbe", "readinessProbe", "startupProbe"] {
        let probe = container.get(name);
        if probe.is_set() {
            validate_probe(&probe, name != "readinessProbe", errors);
        }
    }
    let lifecycle = container.get("lifecycle");
    for name in ["postStart", "preStop"] {
        let hook = lifecycle.get(name);
        if hook.is_set() {
            validate_handler(&hook, &["exec", "httpGet", "tcpSocket", "sleep"], errors);
        }
    }
}

fn validate_probe(probe: &Field<'_>, succeeds_once: bool, errors: &mut Errors) {
    validate_handler(probe, &["exec", "httpGet", "tcpSocket", "grpc"], errors);
    let counts = [
        "initialDelaySeconds",
        "timeoutSeconds",
        "periodSeconds",
        "successThreshold",
        "failureThreshold",
    ];
    for name in counts {
        let count = probe.get(name);
        if count.integer().is_some_and(|number| number < 0) {
            errors.invalid(&count, "must be greater than or equal to 0");
        }
    }
    let threshold = probe.get("successThreshold");
    if succeeds_once && threshold.integer().is_some_and(|number| number != 1) {
        errors.invalid(&threshold, "must be 1");
    }
}

fn validate_handler(at: &Field<'_>, kinds: &[&str], errors: &mut Errors) {
    let set: Vec<&str> = kinds.iter().copied().filter(|kind| at.get(kind).is_set()).collect();
    match set.as_slice() {
        [] => errors.required(at, "must specify a handler type"),
        [_] => {}
        [_, second, ..] => {
            errors.forbidden(&at.get(second), "may not specify more than 1 handler type");
        }
    }
    let exec = at.get("exec");
    let command = exec.get("command");
    if exec.is_set() && command.items().next().is_none() {
        errors.required(&command, "");
    }
    for name in ["httpGet", "tcpSocket"] {
        let handler = at.get(name);
        if handler.is_set() {
            validate_port(&handler.get("port"), errors);
        }
    }
    let http = at.get("httpGet");
    let scheme = http.get("scheme");
    if scheme.is_set() && !matches!(scheme.text(), "HTTP" | "HTTPS") {
        errors.not_supported(&scheme, &["HTTP", "HTTPS"]);
    }
}

/// A port by number or by name.
fn validate_port(port: &Field<'_>, errors: &mut Errors) {
    match port.value {
        Value::String(name) => {
            if let Err(rule) = names::port(name) {
                errors.invalid(port, rule);
            }
        }
        Value::Null => errors.required(port, ""),
        _ => super::containers::validate_port_number(port, errors),
    }
}
