//! What a service must be, and what of it must stay.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::{OF_BALANCERS, has_address, has_health_port, has_node_ports, is_external};
use crate::field::{Errors, Field};
use crate::kinds::network::{
    validate_address, validate_app_protocol, validate_cidr, validate_port, validate_routed_address,
};
use crate::lifecycle::validate_labels;
use crate::names;
use crate::podspec::{PROTOCOLS, validate_choice, validate_port_number};

/// Most seconds for which a client stays with its endpoint: a day.
const AFFINITY_MOST: i64 = 86_400;

/// The port on which kubelets listen: Kubernetes lets no load balancer open it to the world.
const KUBELET_PORT: i64 = 10_250;

/// What stands for an address where a service has none.
const HEADLESS: &str = "None";

const TYPES: [&str; 4] = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
const POLICIES: [&str; 2] = ["Cluster", "Local"];
const FAMILIES: [&str; 2] = ["IPv4", "IPv6"];
const FAMILY_POLICIES: [&str; 3] = ["PreferDualStack", "RequireDualStack", "SingleStack"];
const DISTRIBUTIONS: [&str; 3] = ["PreferClose", "PreferSameNode", "PreferSameZone"];

/// Checks the spec of a service.
pub(super) fn validate(spec: &Field<'_>, errors: &mut Errors) {
    let kind = spec.get("type");
    validate_choice(&kind, &TYPES, errors);
    validate_addresses(spec, errors);
    validate_ports(spec, errors);
    validate_affinity(spec, errors);
    validate_policies(spec, errors);
    validate_labels(&spec.get("selector"), errors);
    let external = spec.get("externalIPs");
    for address in external.items() {
        validate_routed_address(&address, errors);
    }
    for name in OF_BALANCERS {
        let field = spec.get(name);
        if field.is_set() && kind.text() != "LoadBalancer" {
            errors.forbidden(&field, "may only be used when `type` is 'LoadBalancer'");
        }
    }
    let ranges = spec.get("loadBalancerSourceRanges");
    for range in ranges.items() {
        validate_cidr(&range, errors);
    }
    let class = spec.get("loadBalancerClass");
    if let Err(rule) = names::qualified(class.text())
        && class.is_set()
    {
        errors.invalid(&class, rule);
    }
}

/// Checks a change of the spec of a service.
pub(super) fn validate_update(spec: &Field<'_>, before: &Field<'_>, errors: &mut Errors) {
    let (kind, was) = (spec.get("type"), before.get("type"));
    if kind.text() == "ExternalName" || was.text() == "ExternalName" {
        return;
    }
    for name in ["clusterIPs", "ipFamilies"] {
        let (list, had) = (spec.get(name), before.get(name));
        // The first one stays; a second one may come and go.
        let (first, former) = (list.items().next(), had.items().next());
        if let Some(former) = former
            && first.is_none_or(|first| first.value != former.value)
        {
            errors.invalid(&list, "may not change once set");
        }
    }
    let (class, had) = (spec.get("loadBalancerClass"), before.get("loadBalancerClass"));
    if (kind.text(), was.text()) == ("LoadBalancer", "LoadBalancer") && class.value != had.value {
        errors.invalid(&class, "may not change once set");
    }
}

fn validate_addresses(spec: &Field<'_>, errors: &mut Errors) {
    let (kind, address) = (spec.get("type"), spec.get("clusterIP"));
    let (addresses, families) = (spec.get("clusterIPs"), spec.get("ipFamilies"));
    let policy = spec.get("ipFamilyPolicy");
    if kind.text() == "ExternalName" {
        for field in [&addresses, &families, &policy] {
            if !field.is_empty() {
                errors.forbidden(field, "may not be set for ExternalName services");
            }
        }
        let name = spec.get("externalName");
        let host = name.text().trim_end_matches('.');
        if host.is_empty() {
            errors.required(&name, "");
        } else if let Err(rule) = names::subdomain(host) {
            errors.invalid(&name, rule);
        }
        return;
    }
    validate_choice(&policy, &FAMILY_POLICIES, errors);
    for family in families.items() {
        validate_choice(&family, &FAMILIES, errors);
    }
    if addresses.items().next().is_some_and(|first| first.value != address.value) {
        errors.invalid(&addresses, "first value must match `clusterIP`");
    }
    for list in [&addresses, &families] {
        if list.items().nth(2).is_some() {
            errors.too_many(list, 2);
        }
    }
    for (place, address) in addresses.items().enumerate() {
        if address.text() == HEADLESS {
            if has_node_ports(kind.text()) {
                let rule = format!("may not be set to 'None' for {} services", kind.text());
                errors.invalid(&address, rule);
            }
            continue;
        }
        let family = families.items().nth(place);
        let (read, family) = (validate_address(&address, errors), family.map_or("", |f| f.text()));
        if let Some(read) = read
            && FAMILIES.contains(&family)
            && (family == "IPv6") != matches!(read, IpAddr::V6(_))
        {
            let rule = format!("expected an {family} value as indicated by `ipFamilies[{place}]`");
            errors.invalid(&address, rule);
        }
    }
}

fn validate_ports(spec: &Field<'_>, errors: &mut Errors) {
    let (kind, address, ports) = (spec.get("type"), spec.get("clusterIP"), spec.get("ports"));
    if ports.is_empty() && address.text() != HEADLESS && has_address(kind.text()) {
        errors.required(&ports, "");
    }
    let several = ports.items().nth(1).is_some();
    let (mut known, mut numbers, mut on_nodes) =
        (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for port in ports.items() {
        let (name, number) = (port.get("name"), port.get("port"));
        if name.is_empty() && several {
            errors.required(&name, "");
        } else if !name.is_empty() {
            if let Err(rule) = names::label(name.text()) {
                errors.invalid(&name, rule);
            }
            if !known.insert(name.text().to_owned()) {
                errors.duplicate(&name);
            }
        }
        validate_port_number(&number, errors);
        if kind.text() == "LoadBalancer" && number.integer() == Some(KUBELET_PORT) {
            let rule = format!(
                "may not expose port {KUBELET_PORT} externally since it is used by kubelet"
            );
            errors.invalid(&port, rule);
        }
        let protocol = port.get("protocol");
        validate_choice(&protocol, &PROTOCOLS, errors);
        if !numbers.insert((protocol.text().to_owned(), number.integer())) {
            errors.duplicate(&port);
        }
        validate_port(&port.get("targetPort"), errors);
        validate_app_protocol(&port, errors);
        let on_node = port.get("nodePort");
        if on_node.integer().unwrap_or(0) != 0 {
            validate_port_number(&on_node, errors);
            if !has_node_ports(kind.text()) {
                let rule = format!("may not be used when `type` is '{}'", kind.text());
                errors.forbidden(&on_node, rule);
            } else if !on_nodes.insert((protocol.text().to_owned(), on_node.integer())) {
                errors.duplicate(&on_node);
            }
        }
    }
}

fn validate_affinity(spec: &Field<'_>, errors: &mut Errors) {
    validate_choice(&spec.get("sessionAffinity"), &["ClientIP", "None"], errors);
    let config = spec.get("sessionAffinityConfig");
    let client = config.get("clientIP");
    let seconds = client.get("timeoutSeconds");
    if seconds.integer().is_some_and(|seconds| !(1..=AFFINITY_MOST).contains(&seconds)) {
        let rule = format!("must be greater than 0 and less than {AFFINITY_MOST}");
        errors.invalid(&seconds, rule);
    }
}

fn validate_policies(spec: &Field<'_>, errors: &mut Errors) {
    validate_choice(&spec.get("internalTrafficPolicy"), &POLICIES, errors);
    validate_choice(&spec.get("trafficDistribution"), &DISTRIBUTIONS, errors);
    let (external, health) = (spec.get("externalTrafficPolicy"), spec.get("healthCheckNodePort"));
    let Some(map) = spec.value.as_object() else { return };
    if is_external(map) {
        validate_choice(&external, &POLICIES, errors);
    } else if external.is_set() {
        errors.invalid(&external, "may only be set for externally-accessible services");
    }
    if !has_health_port(map) && health.integer().unwrap_or(0) != 0 {
        let rule =
            "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'";
        errors.invalid(&health, rule);
    }
}
