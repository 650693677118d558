//! Environments, as tables.

use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};
use skein_runtime::Resources;

use super::*;

fn sources() -> Sources {
    let mut sources = Sources { namespace: "n".into(), ..Sources::default() };
    let data = [("A".to_owned(), b"from-map".to_vec()), ("B".to_owned(), b"two".to_vec())];
    sources.add(SourceKind::ConfigMap, "map", data.into());
    sources.add(SourceKind::Secret, "secret", [("KEY".to_owned(), b"hidden".to_vec())].into());
    sources
}

fn resolved(container: Value) -> Result<Resolved, ConfigError> {
    let pod = json!({
        "metadata": {"name": "p", "namespace": "n", "uid": "u", "labels": {"app": "web"}},
        "spec": {"nodeName": "h1", "containers": [container]},
    });
    let pod: Pod = serde_json::from_value(pod).expect("a pod");
    let fields = FieldContext {
        pod: &pod,
        pod_ip: Some("10.42.0.9".parse().expect("an address")),
        host_ip: "10.77.0.1".parse().expect("an address"),
        host: Resources {
            cpu_limit_millis: 4000,
            memory_limit_bytes: 1 << 30,
            ..Resources::default()
        },
    };
    let container = &pod.spec.as_ref().expect("a spec").containers[0];
    resolve(container, &sources(), &fields)
}

fn env(env: Value) -> Result<Vec<(String, String)>, ConfigError> {
    resolved(json!({"name": "c", "env": env})).map(|resolved| resolved.env)
}

#[test]
fn values_come_from_where_they_refer_to() {
    let field = |path: &str| json!({"fieldRef": {"fieldPath": path}});
    let resource = |resource: &str| json!({"resourceFieldRef": {"resource": resource}});
    let cases = [
        (json!({"configMapKeyRef": {"name": "map", "key": "A"}}), "from-map"),
        (json!({"secretKeyRef": {"name": "secret", "key": "KEY"}}), "hidden"),
        (field("metadata.name"), "p"),
        (field("metadata.namespace"), "n"),
        (field("metadata.uid"), "u"),
        (field("metadata.labels['app']"), "web"),
        (field("metadata.labels['none']"), ""),
        (field("spec.nodeName"), "h1"),
        (field("status.podIP"), "10.42.0.9"),
        (field("status.hostIP"), "10.77.0.1"),
        (resource("limits.cpu"), "4"),
        (resource("limits.memory"), "1073741824"),
        (resource("requests.cpu"), "0"),
    ];
    for (from, expected) in cases {
        let env = env(json!([{"name": "X", "valueFrom": from}]));
        assert_eq!(env, Ok(vec![("X".into(), expected.into())]), "{from}");
    }
}

#[test]
fn missing_sources_are_errors_unless_optional() {
    let missing = |name: &str, key: &str, optional: bool| {
        let key = json!({"name": name, "key": key, "optional": optional});
        let env = env(json!([{"name": "X", "valueFrom": {"configMapKeyRef": key}}]));
        env.map_err(|error| error.to_string())
    };
    assert_eq!(missing("none", "A", false), Err("configmap \"none\" not found".into()));
    assert_eq!(missing("map", "Z", false), Err("couldn't find key Z in configmap n/map".into()));
    assert_eq!(missing("none", "A", true), Ok(vec![]));
    assert_eq!(missing("map", "Z", true), Ok(vec![]));
}

#[test]
fn later_values_replace_earlier_ones_and_may_refer_to_them() {
    let container = json!({
        "name": "c",
        "envFrom": [{"prefix": "P_", "configMapRef": {"name": "map"}}],
        "env": [
            {"name": "X", "value": "$(P_A)/$(LATER)"},
            {"name": "P_B", "value": "own"},
            {"name": "LATER", "value": "$$(X)"},
        ],
        "command": ["run", "$(P_B)", "$(NONE)"],
        "args": ["$(X)"],
    });
    let resolved = resolved(container).expect("resolved");
    let env: Vec<_> = resolved.env.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    let expected =
        [("P_A", "from-map"), ("P_B", "own"), ("X", "from-map/$(LATER)"), ("LATER", "$(X)")];
    assert_eq!(env, expected);
    assert_eq!(resolved.command, ["run", "own", "$(NONE)"]);
    assert_eq!(resolved.args, ["from-map/$(LATER)"]);
}

#[test]
fn only_a_reference_to_the_pods_address_needs_it() {
    let needs = |path: &str| {
        let container = json!({
            "name": "c",
            "env": [{"name": "X", "valueFrom": {"fieldRef": {"fieldPath": path}}}],
        });
        needs_pod_ip(&serde_json::from_value(container).expect("a container"))
    };
    assert!(needs("status.podIP"));
    assert!(!needs("status.hostIP"));
}
