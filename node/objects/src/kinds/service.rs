//! Services: a stable address for a changing set of pods.

mod rules;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::field::{Errors, Field};
use crate::lifecycle::{Part, Stamp};
use crate::podspec::{items, made_member, set, set_content, set_text};
use crate::strategy::{NameRule, Strategy};

/// Seconds for which a client stays with its endpoint where it does at all.
const AFFINITY_SECONDS: i64 = 10_800;

/// What only services with an address in the cluster have.
const OF_ADDRESSED: [&str; 4] = ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"];

/// What only load balancers have.
const OF_BALANCERS: [&str; 3] =
    ["allocateLoadBalancerNodePorts", "loadBalancerClass", "loadBalancerSourceRanges"];

pub(crate) struct ServiceStrategy;

impl Strategy for ServiceStrategy {
    fn name_rule(&self) -> NameRule {
        NameRule::ServiceLabel
    }

    fn default(&self, object: &mut Value) {
        if let Some(spec) = object["spec"].as_object_mut() {
            default_spec(spec);
        }
    }

    fn start(&self, object: &mut Value, _stamp: &Stamp) {
        object["status"] = json!({"loadBalancer": {}});
    }

    /// What the cluster gave a service it keeps when a new version says nothing about it, so that
    /// the manifest it was made from can be sent again; and what a new type has no use for goes.
    fn observe(&self, object: &mut Value, old: &Value, part: Part, _now: Timestamp) {
        let spec = object.get_mut("spec").and_then(Value::as_object_mut);
        let before = old.get("spec").and_then(Value::as_object);
        if let (Part::Main, Some(spec), Some(before)) = (part, spec, before) {
            keep_allocated(spec, before);
            drop_unneeded(spec, before);
        }
    }

    fn validate(&self, object: &Field<'_>, errors: &mut Errors) {
        rules::validate(&object.get("spec"), errors);
    }

    fn validate_update(&self, new: &Field<'_>, old: &Field<'_>, errors: &mut Errors) {
        rules::validate_update(&new.get("spec"), &old.get("spec"), errors);
    }
}

fn text<'m>(map: &'m Map<String, Value>, name: &str) -> &'m str {
    map.get(name).and_then(Value::as_str).unwrap_or("")
}

fn number(map: &Map<String, Value>, name: &str) -> i64 {
    map.get(name).and_then(Value::as_i64).unwrap_or(0)
}

fn has_address(kind: &str) -> bool {
    kind != "ExternalName"
}

fn has_node_ports(kind: &str) -> bool {
    matches!(kind, "NodePort" | "LoadBalancer")
}

fn is_external(spec: &Map<String, Value>) -> bool {
    let kind = text(spec, "type");
    let addresses = spec.get("externalIPs").and_then(Value::as_array);
    has_node_ports(kind) || (kind == "ClusterIP" && addresses.is_some_and(|all| !all.is_empty()))
}

fn has_health_port(spec: &Map<String, Value>) -> bool {
    text(spec, "type") == "LoadBalancer" && text(spec, "externalTrafficPolicy") == "Local"
}

fn default_spec(spec: &mut Map<String, Value>) {
    set_text(spec, "type", "ClusterIP");
    set_text(spec, "sessionAffinity", "None");
    for port in items(spec, "ports") {
        set_text(port, "protocol", "TCP");
        let target = port.get("targetPort");
        let is_named = target.and_then(Value::as_str).is_some_and(|name| !name.is_empty());
        if !is_named && number(port, "targetPort") == 0 {
            let same = port.get("port").cloned().unwrap_or_default();
            port.insert("targetPort".to_owned(), same);
        }
    }
    match text(spec, "sessionAffinity") {
        "ClientIP" => {
            let config = made_member(spec, "sessionAffinityConfig");
            if let Some(client) = config.and_then(|config| made_member(config, "clientIP")) {
                set(client, "timeoutSeconds", AFFINITY_SECONDS);
            }
        }
        "None" => {
            spec.remove("sessionAffinityConfig");
        }
        _ => {}
    }
    if is_external(spec) {
        set_text(spec, "externalTrafficPolicy", "Cluster");
    }
    let kind = text(spec, "type").to_owned();
    if kind == "LoadBalancer" {
        set(spec, "allocateLoadBalancerNodePorts", true);
    }
    if has_address(&kind) {
        set_text(spec, "internalTrafficPolicy", "Cluster");
        set_text(spec, "ipFamilyPolicy", "SingleStack");
        set_content(spec, "ipFamilies", json!(["IPv4"]));
    }
    // The old form of the address and the new one stay alike.
    let first = spec.get("clusterIPs").and_then(|all| all.get(0)?.as_str()).map(str::to_owned);
    match (text(spec, "clusterIP").to_owned(), first) {
        (address, None) if !address.is_empty() => set_content(spec, "clusterIPs", json!([address])),
        (address, Some(first)) if address.is_empty() => set_text(spec, "clusterIP", &first),
        _ => {}
    }
}

fn keep_allocated(spec: &mut Map<String, Value>, before: &Map<String, Value>) {
    let (kind, was) = (text(spec, "type").to_owned(), text(before, "type"));
    if has_address(&kind) && has_address(was) && text(spec, "clusterIP").is_empty() {
        for name in ["clusterIP", "clusterIPs"] {
            spec.extend(before.get(name).map(|value| (name.to_owned(), value.clone())));
        }
    }
    if has_node_ports(&kind) && has_node_ports(was) {
        let taken: Vec<i64> = items(spec, "ports").map(|port| number(port, "nodePort")).collect();
        for port in items(spec, "ports").filter(|port| number(port, "nodePort") == 0) {
            let given = former_port(before, text(port, "name"));
            if given != 0 && !taken.contains(&given) {
                port.insert("nodePort".to_owned(), json!(given));
            }
        }
    }
    let health = number(before, "healthCheckNodePort");
    if has_health_port(spec) && health != 0 && number(spec, "healthCheckNodePort") == 0 {
        spec.insert("healthCheckNodePort".to_owned(), json!(health));
    }
}

/// The port on every node that a port of this name had, 0 when it had none.
fn former_port(before: &Map<String, Value>, name: &str) -> i64 {
    let ports = before.get("ports").and_then(Value::as_array).into_iter().flatten();
    let mut ports = ports.filter_map(Value::as_object);
    ports.find(|port| text(port, "name") == name).map_or(0, |port| number(port, "nodePort"))
}

fn drop_unneeded(spec: &mut Map<String, Value>, before: &Map<String, Value>) {
    let kind = text(spec, "type").to_owned();
    let needs: [(bool, &[&str]); 4] = [
        (has_address(&kind), &OF_ADDRESSED),
        (kind == "LoadBalancer", &OF_BALANCERS),
        (is_external(spec), &["externalTrafficPolicy"]),
        (has_health_port(spec), &["healthCheckNodePort"]),
    ];
    for name in needs.into_iter().filter(|(needed, _)| !needed).flat_map(|(_, names)| names) {
        if spec.get(*name) == before.get(*name) {
            spec.remove(*name);
        }
    }
    if !has_node_ports(&kind) {
        for port in items(spec, "ports") {
            if number(port, "nodePort") == former_port(before, text(port, "name")) {
                port.remove("nodePort");
            }
        }
    }
}
