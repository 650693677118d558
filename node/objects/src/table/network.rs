//! Columns and cells of services, endpoints, ingresses and network policies.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::Value;

use super::columns::{AGE, NAME, joined, labels, list, text};
use super::{Cell, Column, NONE, workload};

/// Endpoints named in a cell; the rest are counted.
const SHOWN: usize = 3;

/// Services.
pub(crate) const SERVICE: &[Column<'static>] = &[
    NAME,
    Column::new("Type", Cell::Text("/spec/type"), "How it is reached."),
    Column::new("Cluster-IP", Cell::Text("/spec/clusterIPs/0"), "Its address in the cluster."),
    Column::new("External-IP", Cell::Computed(external_ip), "Its addresses outside."),
    Column::new("Port(s)", Cell::Computed(service_ports), "What it listens on."),
    AGE,
    Column::new("Selector", Cell::Computed(service_selector), "Which pods it leads to.").wide(),
];

/// Endpoints.
pub(crate) const ENDPOINTS: &[Column<'static>] =
    &[NAME, Column::new("Endpoints", Cell::Computed(endpoints), "Where a service leads."), AGE];

/// Endpoint slices.
pub(crate) const ENDPOINT_SLICE: &[Column<'static>] = &[
    NAME,
    Column::new("AddressType", Cell::Text("/addressType"), "What its addresses are."),
    Column::new("Ports", Cell::Computed(slice_ports), "What its endpoints listen on."),
    Column::new("Endpoints", Cell::Computed(slice_endpoints), "Where a service leads."),
    AGE,
];

/// Ingresses.
pub(crate) const INGRESS: &[Column<'static>] = &[
    NAME,
    Column::new("Class", Cell::Text("/spec/ingressClassName"), "Who serves it."),
    Column::new("Hosts", Cell::Computed(ingress_hosts), "Which hosts it is for."),
    Column::new("Address", Cell::Computed(ingress_address), "Where it is reached."),
    Column::new("Ports", Cell::Computed(ingress_ports), "What it listens on."),
    AGE,
];

/// Ingress classes.
pub(crate) const INGRESS_CLASS: &[Column<'static>] = &[
    NAME,
    Column::new("Controller", Cell::Text("/spec/controller"), "Who serves it."),
    Column::new("Parameters", Cell::Computed(class_parameters), "What more it needs."),
    AGE,
];

/// Network policies.
pub(crate) const NETWORK_POLICY: &[Column<'static>] = &[
    NAME,
    Column::new("Pod-Selector", Cell::Computed(policy_selector), "Which pods it is for."),
    AGE,
];

/// The addresses and names of a load balancer, each once.
fn balancer(object: &Value) -> BTreeSet<&str> {
    let ingress = list(object, "/status/loadBalancer/ingress").iter();
    let name = |one| match text(one, "/ip") {
        "" => text(one, "/hostname"),
        address => address,
    };
    ingress.map(name).filter(|name| !name.is_empty()).collect()
}

fn external_ip(service: &Value, _now: Timestamp) -> Value {
    let given = list(service, "/spec/externalIPs").iter().filter_map(Value::as_str);
    Value::from(match text(service, "/spec/type") {
        "ExternalName" => text(service, "/spec/externalName").to_owned(),
        "LoadBalancer" => joined(balancer(service).into_iter().chain(given), "<pending>"),
        _ => joined(given, NONE),
    })
}

fn service_ports(service: &Value, _now: Timestamp) -> Value {
    let ports = list(service, "/spec/ports").iter().map(|port| {
        let (number, node) = (&port["port"], port["nodePort"].as_i64().unwrap_or(0));
        let protocol = text(port, "/protocol");
        if node > 0 {
            format!("{number}:{node}/{protocol}")
        } else {
            format!("{number}/{protocol}")
        }
    });
    Value::from(joined(ports, NONE))
}

fn service_selector(service: &Value, _now: Timestamp) -> Value {
    Value::from(labels(service.pointer("/spec/selector")))
}

/// The first few of a list, and how many more there are; `none` for an empty one.
fn first(all: &[String], none: &str) -> String {
    let shown = joined(all.iter().take(SHOWN), none);
    match all.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} + {more} more..."),
    }
}

fn endpoints(endpoints: &Value, _now: Timestamp) -> Value {
    let subsets = list(endpoints, "/subsets");
    let mut all = Vec::new();
    for subset in subsets {
        let addresses: Vec<&str> =
            list(subset, "/addresses").iter().map(|address| text(address, "/ip")).collect();
        let ports = list(subset, "/ports");
        if ports.is_empty() {
            all.extend(addresses.iter().map(|address| (*address).to_owned()));
        }
        for port in ports {
            all.extend(addresses.iter().map(|address| with_port(address, &port["port"])));
        }
    }
    Value::from(first(&all, if subsets.is_empty() { NONE } else { "" }))
}

/// An IPv6 address stands in brackets before a port.
fn with_port(address: &str, port: &Value) -> String {
    if address.contains(':') { format!("[{address}]:{port}") } else { format!("{address}:{port}") }
}

fn slice_ports(slice: &Value, _now: Timestamp) -> Value {
    let ports = list(slice, "/ports").iter().map(|port| match (&port["port"], &port["name"]) {
        (Value::Null, Value::String(name)) => name.clone(),
        (Value::Null, _) => "*".to_owned(),
        (number, _) => number.to_string(),
    });
    Value::from(or_unset(first(&ports.collect::<Vec<_>>(), "")))
}

fn slice_endpoints(slice: &Value, _now: Timestamp) -> Value {
    let addresses = list(slice, "/endpoints")
        .iter()
        .flat_map(|endpoint| list(endpoint, "/addresses"))
        .filter_map(Value::as_str)
        .map(str::to_owned);
    Value::from(or_unset(first(&addresses.collect::<Vec<_>>(), "")))
}

fn or_unset(text: String) -> String {
    if text.is_empty() { "<unset>".to_owned() } else { text }
}

fn ingress_hosts(ingress: &Value, _now: Timestamp) -> Value {
    let hosts: Vec<String> = list(ingress, "/spec/rules")
        .iter()
        .map(|rule| text(rule, "/host"))
        .filter(|host| !host.is_empty())
        .map(str::to_owned)
        .collect();
    Value::from(first(&hosts, "*"))
}

fn ingress_address(ingress: &Value, _now: Timestamp) -> Value {
    Value::from(joined(balancer(ingress).into_iter(), ""))
}

fn ingress_ports(ingress: &Value, _now: Timestamp) -> Value {
    let tls = !list(ingress, "/spec/tls").is_empty();
    Value::from(if tls { "80, 443" } else { "80" })
}

fn class_parameters(class: &Value, _now: Timestamp) -> Value {
    let Some(parameters) = class.pointer("/spec/parameters") else { return Value::from(NONE) };
    let (group, kind) = (text(parameters, "/apiGroup"), text(parameters, "/kind"));
    let kind = if group.is_empty() { kind.to_owned() } else { format!("{kind}.{group}") };
    Value::from(format!("{kind}/{}", text(parameters, "/name")))
}

fn policy_selector(policy: &Value, _now: Timestamp) -> Value {
    workload::label_selector(policy.pointer("/spec/podSelector"))
}
