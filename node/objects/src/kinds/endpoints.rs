//! Where services lead: endpoints and endpoint slices.

use std::collections::BTreeSet;

use serde_json::Value;

use super::network::{validate_app_protocol, validate_routed_address};
use crate::field::{Errors, Field};
use crate::names;
use crate::podspec::{PROTOCOLS, items, set, set_text, validate_choice, validate_port_number};
use crate::strategy::Strategy;

/// Most endpoints in one slice, as Kubernetes has it.
const ENDPOINTS: usize = 1_000;

/// Most addresses of one of them, likewise.
const ADDRESSES: usize = 100;

const ADDRESS_TYPES: [&str; 3] = ["FQDN", "IPv4", "IPv6"];

pub(crate) struct EndpointsStrategy;

impl Strategy for EndpointsStrategy {
    fn default(&self, object: &mut Value) {
        let Some(object) = object.as_object_mut() else { return };
        for port in items(object, "subsets").flat_map(|subset| items(subset, "ports")) {
            set_text(port, "protocol", "TCP");
        }
    }

    fn validate(&self, object: &Field<'_>, errors: &mut Errors) {
        let subsets = object.get("subsets");
        for subset in subsets.items() {
            let (ready, waiting) = (subset.get("addresses"), subset.get("notReadyAddresses"));
            if ready.is_empty() && waiting.is_empty() {
                errors.required(&subset, "must specify `addresses` or `notReadyAddresses`");
            }
            for address in ready.items().chain(waiting.items()) {
                validate_routed_address(&address.get("ip"), errors);
                validate_host(&address, errors);
            }
            let ports = subset.get("ports");
            let several = ports.items().nth(1).is_some();
            for port in ports.items() {
                let name = port.get("name");
                if several && name.is_empty() {
                    errors.required(&name, "");
                }
                validate_port(&port, errors);
            }
        }
    }
}

pub(crate) struct EndpointSliceStrategy;

impl Strategy for EndpointSliceStrategy {
    fn default(&self, object: &mut Value) {
        let Some(object) = object.as_object_mut() else { return };
        for port in items(object, "ports") {
            set(port, "name", "");
            set_text(port, "protocol", "TCP");
        }
    }

    fn validate(&self, object: &Field<'_>, errors: &mut Errors) {
        let kind = object.get("addressType");
        if kind.is_empty() {
            errors.required(&kind, "");
        } else {
            validate_choice(&kind, &ADDRESS_TYPES, errors);
        }
        let endpoints = object.get("endpoints");
        if endpoints.items().nth(ENDPOINTS).is_some() {
            errors.too_many(&endpoints, ENDPOINTS);
            return;
        }
        for endpoint in endpoints.items() {
            let addresses = endpoint.get("addresses");
            if addresses.is_empty() {
                errors.required(&addresses, "must contain at least 1 address");
            } else if addresses.items().nth(ADDRESSES).is_some() {
                errors.too_many(&addresses, ADDRESSES);
            }
            for address in addresses.items() {
                validate_slice_address(&address, kind.text(), errors);
            }
            validate_host(&endpoint, errors);
        }
        let ports = object.get("ports");
        let mut seen = BTreeSet::new();
        for port in ports.items() {
            let name = port.get("name");
            if !seen.insert(name.text().to_owned()) {
                errors.duplicate(&name);
            }
            validate_port(&port, errors);
        }
    }

    fn validate_update(&self, new: &Field<'_>, old: &Field<'_>, errors: &mut Errors) {
        errors.immutable(&new.get("addressType"), &old.get("addressType"));
    }
}

fn validate_slice_address(address: &Field<'_>, kind: &str, errors: &mut Errors) {
    let text = address.text();
    match kind {
        "IPv4" if text.parse::<std::net::Ipv4Addr>().is_err() => {
            errors.invalid(address, "must be a valid IPv4 address");
        }
        "IPv6" if text.parse::<std::net::Ipv6Addr>().is_err() => {
            errors.invalid(address, "must be a valid IPv6 address");
        }
        "IPv4" | "IPv6" => validate_routed_address(address, errors),
        _ => {
            if let Err(rule) = names::subdomain(text.trim_end_matches('.')) {
                errors.invalid(address, rule);
            } else if !text.contains('.') {
                errors.invalid(
                    address,
                    "should be a domain with at least two segments separated by dots",
                );
            }
        }
    }
}

/// Checks the names that an endpoint has besides its addresses.
fn validate_host(endpoint: &Field<'_>, errors: &mut Errors) {
    let (host, node) = (endpoint.get("hostname"), endpoint.get("nodeName"));
    for (name, verdict) in
        [(&host, names::label(host.text())), (&node, names::subdomain(node.text()))]
    {
        if let Err(rule) = verdict
            && !name.is_empty()
        {
            errors.invalid(name, rule);
        }
    }
}

fn validate_port(port: &Field<'_>, errors: &mut Errors) {
    let (name, number) = (port.get("name"), port.get("port"));
    if let Err(rule) = names::label(name.text())
        && !name.is_empty()
    {
        errors.invalid(&name, rule);
    }
    // A slice leaves out the number of a port that is any.
    if number.is_set() {
        validate_port_number(&number, errors);
    }
    validate_choice(&port.get("protocol"), &PROTOCOLS, errors);
    validate_app_protocol(port, errors);
}
