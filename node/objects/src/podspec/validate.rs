//! Rules of the pod spec as a whole.

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::field::{Errors, Field};
use crate::lifecycle::validate_labels;
use crate::names;

use super::containers::{self, Shared, require_text, validate_choice};
use super::{resize, volumes};

const RESTARTS: [&str; 3] = ["Always", "OnFailure", "Never"];
const DNS: [&str; 4] = ["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"];
const EFFECTS: [&str; 3] = ["NoSchedule", "PreferNoSchedule", "NoExecute"];
const NODE_OPERATORS: [&str; 6] = ["DoesNotExist", "Exists", "Gt", "In", "Lt", "NotIn"];

/// Checks a pod spec. `claims` are the volumes that its containers may mount besides its own.
pub(crate) fn validate_pod_spec(spec: &Field<'_>, claims: &[&str], errors: &mut Errors) {
    let volume_list = spec.get("volumes");
    let mut names = volumes::validate(&volume_list, errors);
    names.extend(claims.iter().copied());
    let containers = spec.get("containers");
    if containers.items().next().is_none() {
        errors.required(&containers, "");
    }
    let mut shared = Shared {
        volumes: &names,
        host_network: spec.get("hostNetwork").is_true(),
        names: BTreeSet::new(),
        host_ports: BTreeSet::new(),
    };
    containers::validate(&containers, &mut shared, errors);
    // An init container is over before the others listen, so its host ports clash with nothing.
    shared.host_ports.clear();
    containers::validate(&spec.get("initContainers"), &mut shared, errors);
    containers::validate_ephemeral(&spec.get("ephemeralContainers"), &mut shared, errors);
    resize::validate_policies(spec, errors);
    validate_choice(&spec.get("restartPolicy"), &RESTARTS, errors);
    validate_choice(&spec.get("dnsPolicy"), &DNS, errors);
    validate_numbers(spec, errors);
    validate_names(spec, errors);
    validate_labels(&spec.get("nodeSelector"), errors);
    validate_tolerations(&spec.get("tolerations"), errors);
    validate_spread(&spec.get("topologySpreadConstraints"), errors);
    validate_node_affinity(spec, errors);
}

fn validate_numbers(spec: &Field<'_>, errors: &mut Errors) {
    let grace = spec.get("terminationGracePeriodSeconds");
    if grace.integer().is_some_and(|seconds| seconds < 0) {
        errors.invalid(&grace, "must be greater than or equal to 0");
    }
    let deadline = spec.get("activeDeadlineSeconds");
    if deadline.integer().is_some_and(|seconds| !(1..=i64::from(i32::MAX)).contains(&seconds)) {
        errors.invalid(&deadline, "must be between 1 and 2147483647, inclusive");
    }
}

fn validate_names(spec: &Field<'_>, errors: &mut Errors) {
    for name in ["nodeName", "serviceAccountName"] {
        let name = spec.get(name);
        if let Err(rule) = names::subdomain(name.text())
            && !name.text().is_empty()
        {
            errors.invalid(&name, rule);
        }
    }
    for name in ["hostname", "subdomain"] {
        let name = spec.get(name);
        if let Err(rule) = names::label(name.text())
            && !name.text().is_empty()
        {
            errors.invalid(&name, rule);
        }
    }
    let aliases = spec.get("hostAliases");
    for alias in aliases.items() {
        let ip = alias.get("ip");
        if ip.text().parse::<IpAddr>().is_err() {
            errors.invalid(&ip, "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)");
        }
    }
    let dns = spec.get("dnsConfig");
    let servers = dns.get("nameservers");
    if spec.get("dnsPolicy").text() == "None" && servers.items().next().is_none() {
        errors.required(
            &servers,
            "must provide at least one DNS nameserver when `dnsPolicy` is None",
        );
    }
}

/// Checks tolerations of taints.
pub(crate) fn validate_tolerations(list: &Field<'_>, errors: &mut Errors) {
    for toleration in list.items() {
        let (key, operator) = (toleration.get("key"), toleration.get("operator"));
        if !key.text().is_empty()
            && let Err(rule) = names::qualified(key.text())
        {
            errors.invalid(&key, rule);
        }
        if key.text().is_empty() && operator.text() != "Exists" {
            errors.invalid(
                &operator,
                "operator must be Exists when `key` is empty, which means \"match all values and all keys\"",
            );
        }
        validate_choice(&operator, &["", "Equal", "Exists", "Gt", "Lt"], errors);
        let value = toleration.get("value");
        if operator.text() == "Exists" && !value.text().is_empty() {
            errors.invalid(&operator, "value must be empty when `operator` is 'Exists'");
        }
        let effect = toleration.get("effect");
        if !effect.text().is_empty() {
            validate_choice(&effect, &EFFECTS, errors);
        }
        if toleration.get("tolerationSeconds").is_set() && effect.text() != "NoExecute" {
            errors.invalid(&effect, "effect must be 'NoExecute' when `tolerationSeconds` is set");
        }
    }
}

fn validate_spread(list: &Field<'_>, errors: &mut Errors) {
    for constraint in list.items() {
        let skew = constraint.get("maxSkew");
        if skew.integer().unwrap_or(0) <= 0 {
            errors.invalid(&skew, "must be greater than zero");
        }
        require_text(&constraint.get("topologyKey"), errors);
        let action = constraint.get("whenUnsatisfiable");
        validate_choice(&action, &["DoNotSchedule", "ScheduleAnyway"], errors);
    }
}

fn validate_node_affinity(spec: &Field<'_>, errors: &mut Errors) {
    let affinity = spec.get("affinity");
    let node = affinity.get("nodeAffinity");
    let required = node.get("requiredDuringSchedulingIgnoredDuringExecution");
    if !required.is_set() {
        return;
    }
    let terms = required.get("nodeSelectorTerms");
    if terms.items().next().is_none() {
        errors.required(&terms, "must have at least one node selector term");
    }
    for term in terms.items() {
        let expressions = term.get("matchExpressions");
        for expression in expressions.items() {
            let operator = expression.get("operator");
            if !NODE_OPERATORS.contains(&operator.text()) {
                errors.not_supported(&operator, &NODE_OPERATORS);
            }
            let values = expression.get("values");
            let some = values.items().next().is_some();
            match operator.text() {
                "In" | "NotIn" if !some => {
                    errors.required(&values, "must be specified when `operator` is 'In' or 'NotIn'")
                }
                "Exists" | "DoesNotExist" if some => errors.forbidden(
                    &values,
                    "may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
                ),
                _ => {}
            }
        }
    }
}
