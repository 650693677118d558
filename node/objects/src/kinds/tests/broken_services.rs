//! What services and what leads to them must be, and what is said when they are not.

use super::stable::{merge, named, of, refused};
use super::*;

fn service(spec: Value) -> Value {
    let mut all = json!({"ports": [{"port": 80}]});
    merge(&mut all, spec);
    of(all)
}

fn ingress(path: Value) -> Value {
    let mut all = json!({"path": "/", "pathType": "Prefix",
        "backend": {"service": {"name": "web", "port": {"number": 80}}}});
    merge(&mut all, path);
    of(json!({"rules": [{"http": {"paths": [all]}}]}))
}

#[test]
fn broken_services_are_refused_with_the_field_at_fault() {
    refused(vec![
        ("services", of(json!({})), "spec.ports: Required value"),
        (
            "services",
            service(json!({"ports": [{"port": 0}]})),
            "spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive",
        ),
        (
            "services",
            service(json!({"ports": [{"port": 1}, {"port": 2}]})),
            "spec.ports[0].name: Required value",
        ),
        (
            "services",
            service(json!({"ports": [{"name": "a", "port": 1}, {"name": "a", "port": 1}]})),
            "spec.ports[1].name: Duplicate value: \"a\", spec.ports[1]: Duplicate value",
        ),
        (
            "services",
            service(json!({"ports": [{"port": 1, "nodePort": 30000}]})),
            "spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'",
        ),
        (
            "services",
            service(json!({"clusterIP": "here"})),
            "spec.clusterIPs[0]: Invalid value: \"here\": must be a valid IP address",
        ),
        (
            "services",
            service(json!({"clusterIP": "None", "type": "NodePort"})),
            "spec.clusterIPs[0]: Invalid value: \"None\": may not be set to 'None' for NodePort services",
        ),
        (
            "services",
            service(
                json!({"clusterIP": "10.43.0.9", "type": "ExternalName", "externalName": "a.b"}),
            ),
            "spec.clusterIPs: Forbidden: may not be set for ExternalName services",
        ),
        ("services", service(json!({"type": "ExternalName"})), "spec.externalName: Required value"),
        (
            "services",
            service(json!({"externalTrafficPolicy": "Local"})),
            "spec.externalTrafficPolicy: Invalid value: \"Local\": may only be set for externally-accessible services",
        ),
        (
            "services",
            service(json!({"externalIPs": ["127.0.0.1"]})),
            "spec.externalIPs[0]: Invalid value: \"127.0.0.1\": may not be in the loopback range",
        ),
        (
            "services",
            service(json!({"loadBalancerClass": "a"})),
            "spec.loadBalancerClass: Forbidden: may only be used when `type` is 'LoadBalancer'",
        ),
        (
            "services",
            named("1st", json!({"spec": {"ports": [{"port": 1}]}})),
            "metadata.name: Invalid value: \"1st\": a DNS-1035 label",
        ),
        (
            "endpoints",
            named("x", json!({"subsets": [{"ports": [{"port": 1}]}]})),
            "subsets[0]: Required value: must specify `addresses` or `notReadyAddresses`",
        ),
        (
            "endpointslices.discovery.k8s.io",
            named("x", json!({"addressType": "IPv4", "endpoints": [{"addresses": ["web"]}]})),
            "endpoints[0].addresses[0]: Invalid value: \"web\": must be a valid IPv4 address",
        ),
        ("endpointslices.discovery.k8s.io", named("x", json!({})), "addressType: Required value"),
        (
            "ingresses.networking.k8s.io",
            of(json!({})),
            "spec: Invalid value: {}: either `defaultBackend` or `rules` must be specified",
        ),
        (
            "ingresses.networking.k8s.io",
            ingress(json!({"pathType": ""})),
            "spec.rules[0].http.paths[0].pathType: Required value: pathType must be specified",
        ),
        (
            "ingresses.networking.k8s.io",
            ingress(json!({"path": "web"})),
            "spec.rules[0].http.paths[0].path: Invalid value: \"web\": must be an absolute path",
        ),
        (
            "ingresses.networking.k8s.io",
            ingress(json!({"backend": {"service": {"name": "web"}}})),
            "spec.rules[0].http.paths[0].backend: Required value: port name or number is required",
        ),
        (
            "ingresses.networking.k8s.io",
            of(json!({"rules": [{"host": "a.*.b"}]})),
            "spec.rules[0].host: Invalid value: \"a.*.b\": a wildcard DNS-1123 subdomain",
        ),
        (
            "ingressclasses.networking.k8s.io",
            of(json!({"controller": "proxy"})),
            "spec.controller: Invalid value: \"proxy\": must be a domain-prefixed path",
        ),
        (
            "networkpolicies.networking.k8s.io",
            of(json!({"ingress": [{"from": [{"ipBlock": {"cidr": "10.0.0.0/33"}}]}]})),
            "spec.ingress[0].from[0].ipBlock.cidr: Invalid value: \"10.0.0.0/33\": must be a valid CIDR",
        ),
        (
            "networkpolicies.networking.k8s.io",
            of(json!({"ingress": [{"from": [{"ipBlock":
                {"cidr": "10.0.0.0/8", "except": ["11.0.0.0/16"]}}]}]})),
            "spec.ingress[0].from[0].ipBlock.except[0]: Invalid value: \"11.0.0.0/16\": must be a strict subset of `cidr`",
        ),
        (
            "networkpolicies.networking.k8s.io",
            of(json!({"egress": [{"ports": [{"port": 90, "endPort": 80}]}]})),
            "spec.egress[0].ports[0].endPort: Invalid value: 80: must be greater than or equal to `port`",
        ),
    ]);
}
