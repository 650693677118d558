//! Network policies: which pods may talk to which.

use serde_json::{Value, json};

use super::network::{validate_cidr, validate_port};
use super::selectors;
use crate::field::{Errors, Field};
use crate::podspec::{
    PROTOCOLS, items, set_content, set_text, validate_choice, validate_port_number,
};
use crate::strategy::Strategy;

const TYPES: [&str; 2] = ["Ingress", "Egress"];

pub(crate) struct NetworkPolicyStrategy;

impl Strategy for NetworkPolicyStrategy {
    fn default(&self, object: &mut Value) {
        let Some(spec) = object["spec"].as_object_mut() else { return };
        // Whoever says nothing means what comes in, and what goes out where there are rules for it.
        let egress = items(spec, "egress").next().is_some();
        let types = if egress { json!(TYPES) } else { json!(["Ingress"]) };
        set_content(spec, "policyTypes", types);
        for direction in ["ingress", "egress"] {
            for port in items(spec, direction).flat_map(|rule| items(rule, "ports")) {
                set_text(port, "protocol", "TCP");
            }
        }
    }

    fn validate(&self, object: &Field<'_>, errors: &mut Errors) {
        let spec = object.get("spec");
        selectors::validate(&spec.get("podSelector"), errors);
        let types = spec.get("policyTypes");
        if types.items().nth(TYPES.len()).is_some() {
            errors.invalid(&types, "may not specify more than two policyTypes");
        }
        for kind in types.items() {
            validate_choice(&kind, &TYPES, errors);
        }
        for (direction, side) in [("ingress", "from"), ("egress", "to")] {
            let rules = spec.get(direction);
            for rule in rules.items() {
                let (ports, peers) = (rule.get("ports"), rule.get(side));
                ports.items().for_each(|port| validate_policy_port(&port, errors));
                peers.items().for_each(|peer| validate_peer(&peer, errors));
            }
        }
    }
}

fn validate_policy_port(port: &Field<'_>, errors: &mut Errors) {
    validate_choice(&port.get("protocol"), &PROTOCOLS, errors);
    let (number, end) = (port.get("port"), port.get("endPort"));
    if number.is_set() {
        validate_port(&number, errors);
    }
    if !end.is_set() {
        return;
    }
    validate_port_number(&end, errors);
    match number.integer() {
        Some(first) if end.integer().is_some_and(|last| last < first) => {
            errors.invalid(&end, "must be greater than or equal to `port`");
        }
        Some(_) => {}
        None if number.is_set() => {
            errors.invalid(&end, "may not be specified when `port` is non-numeric");
        }
        None => errors.invalid(&end, "may not be specified when `port` is not specified"),
    }
}

fn validate_peer(peer: &Field<'_>, errors: &mut Errors) {
    let (block, pods) = (peer.get("ipBlock"), peer.get("podSelector"));
    let namespaces = peer.get("namespaceSelector");
    selectors::validate(&pods, errors);
    selectors::validate(&namespaces, errors);
    match (block.is_set(), pods.is_set() || namespaces.is_set()) {
        (false, false) => errors.required(peer, "must specify a peer"),
        (true, true) => {
            errors.forbidden(peer, "may not specify both ipBlock and another peer");
        }
        (true, false) => validate_block(&block, errors),
        (false, true) => {}
    }
}

fn validate_block(block: &Field<'_>, errors: &mut Errors) {
    let (cidr, exceptions) = (block.get("cidr"), block.get("except"));
    if cidr.is_empty() {
        errors.required(&cidr, "");
        return;
    }
    let range = validate_cidr(&cidr, errors);
    for exception in exceptions.items() {
        if let (Some(range), Some(part)) = (range, validate_cidr(&exception, errors))
            && !range.exceeds(part)
        {
            errors.invalid(&exception, "must be a strict subset of `cidr`");
        }
    }
}
