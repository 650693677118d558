//! What each kind fills in and what it refuses, as tables.

mod broken_others;
mod broken_services;
mod broken_workloads;
mod changes;
mod ephemeral;
mod resize;
mod stable;

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::lifecycle::{Part, Stamp, prepare_create, prepare_update};
use crate::{FieldValidation, Kind, StatusError, check, registry};

fn kind(resource: &str) -> &'static Kind {
    registry().by_store_resource(resource).unwrap()
}

fn stamp() -> Stamp {
    Stamp {
        now: "2026-01-01T00:00:00Z".parse().unwrap(),
        uid: uuid::Uuid::from_u128(7),
        suffix: "abcde".to_owned(),
    }
}

/// Creates an object as the API does.
fn create(resource: &str, object: Value) -> Result<Value, StatusError> {
    let kind = kind(resource);
    let object = check(kind, object, FieldValidation::Strict)?.object;
    prepare_create(
        kind,
        object,
        if kind.is_namespaced() { "default" } else { "" },
        &stamp(),
        Some("any"),
    )
}

fn update(resource: &str, new: Value, old: &Value) -> Result<Value, StatusError> {
    let kind = kind(resource);
    let new = check(kind, new, FieldValidation::Strict)?.object;
    prepare_update(kind, new, old, Part::Main, stamp().now, None)
}

fn pod(container: Value, more: Value) -> Value {
    let mut container = container;
    for (name, value) in [("name", "web"), ("image", "hello:1")] {
        if container.get(name).is_none() {
            container[name] = json!(value);
        }
    }
    let mut spec = more;
    spec["containers"] = json!([container]);
    json!({"metadata": {"name": "p"}, "spec": spec})
}

fn deployment() -> Value {
    json!({"metadata": {"name": "d"}, "spec": {
        "selector": {"matchLabels": {"app": "web"}},
        "template": {"metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "web", "image": "hello:1"}]}}}})
}

#[test]
fn a_pod_gets_what_kubernetes_documents() {
    let probe = json!({"readinessProbe": {"httpGet": {"port": 80}}, "ports": [{"containerPort": 80}],
        "env": [{"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}],
        "resources": {"limits": {"cpu": 1}}});
    let volumes = json!({"volumes": [{"name": "a"}, {"name": "c", "configMap": {"name": "x"}}]});
    insta::assert_snapshot!(
        serde_json::to_string_pretty(&create("pods", pod(probe, volumes)).unwrap()).unwrap()
    );
}

#[test]
fn a_deployment_gets_what_kubernetes_documents() {
    insta::assert_snapshot!(
        serde_json::to_string_pretty(&create("deployments.apps", deployment()).unwrap()).unwrap()
    );
}

#[test]
fn a_namespace_is_labelled_and_held() {
    let namespace = create("namespaces", json!({"metadata": {"name": "n"}})).unwrap();
    assert_eq!(namespace["metadata"]["labels"]["kubernetes.io/metadata.name"], "n");
    assert_eq!(namespace["spec"]["finalizers"], json!(["kubernetes"]));
    assert_eq!(namespace["status"]["phase"], "Active");
}

#[test]
fn plain_texts_of_a_secret_become_data() {
    let secret =
        json!({"metadata": {"name": "s"}, "stringData": {"a": "1"}, "data": {"b": "Mg=="}});
    let secret = create("secrets", secret).unwrap();
    assert_eq!(secret["data"], json!({"a": "MQ==", "b": "Mg=="}));
    assert_eq!(secret["type"], "Opaque");
    assert_eq!(secret.get("stringData"), None);
}

#[test]
fn a_node_registers_with_its_status() {
    let node = json!({"metadata": {"name": "h1"}, "spec": {"podCIDR": "10.42.1.0/24"},
        "status": {"capacity": {"cpu": "2"}}});
    let node = create("nodes", node).unwrap();
    assert_eq!(node["spec"]["podCIDRs"], json!(["10.42.1.0/24"]));
    assert_eq!(node["status"]["allocatable"]["cpu"], "2");
}

#[test]
fn broken_pods_are_refused_with_the_field_at_fault() {
    let cases = [
        (
            json!({"name": "Web"}),
            json!({}),
            "spec.containers[0].name: Invalid value: \"Web\": a lowercase RFC 1123 label",
        ),
        (json!({"image": ""}), json!({}), "spec.containers[0].image: Required value"),
        (
            json!({"imagePullPolicy": "Maybe"}),
            json!({}),
            "spec.containers[0].imagePullPolicy: Unsupported value: \"Maybe\": supported values: \"Always\", \"IfNotPresent\", \"Never\"",
        ),
        (
            json!({"ports": [{"containerPort": 70000}]}),
            json!({}),
            "spec.containers[0].ports[0].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive",
        ),
        (
            json!({"ports": [{"name": "a", "containerPort": 1}, {"name": "a", "containerPort": 2}]}),
            json!({}),
            "spec.containers[0].ports[1].name: Duplicate value: \"a\"",
        ),
        (
            json!({"ports": [{"hostPort": 1, "containerPort": 1}, {"hostPort": 1, "containerPort": 2}]}),
            json!({}),
            "spec.containers[0].ports[1].hostPort: Duplicate value: 1",
        ),
        (
            json!({"env": [{"name": "A=B"}]}),
            json!({}),
            "spec.containers[0].env[0].name: Invalid value: \"A=B\"",
        ),
        (
            json!({"env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "spec.x"}}}]}),
            json!({}),
            "spec.containers[0].env[0].valueFrom.fieldRef.fieldPath: Unsupported value: \"spec.x\"",
        ),
        (
            json!({"volumeMounts": [{"name": "v", "mountPath": "/v"}]}),
            json!({}),
            "spec.containers[0].volumeMounts[0].name: Not found: \"v\"",
        ),
        (
            json!({"resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}}),
            json!({}),
            "spec.containers[0].resources.requests: Invalid value: \"2\": must be less than or equal to cpu limit of 1",
        ),
        (
            json!({"resources": {"limits": {"memory": "1 GB"}}}),
            json!({}),
            "spec.containers[0].resources.limits[memory]: Invalid value: \"1 GB\": quantities must match",
        ),
        (
            json!({"resources": {"limits": {"gpu": "1"}}}),
            json!({}),
            "must be a standard resource for containers",
        ),
        (
            json!({"livenessProbe": {}}),
            json!({}),
            "spec.containers[0].livenessProbe: Required value: must specify a handler type",
        ),
        (
            json!({"livenessProbe": {"successThreshold": 2, "tcpSocket": {"port": 1}}}),
            json!({}),
            "successThreshold: Invalid value: 2: must be 1",
        ),
        (
            json!({}),
            json!({"restartPolicy": "Sometimes"}),
            "spec.restartPolicy: Unsupported value: \"Sometimes\"",
        ),
        (
            json!({}),
            json!({"volumes": [{"name": "v"}, {"name": "v"}]}),
            "spec.volumes[1].name: Duplicate value: \"v\"",
        ),
        (
            json!({}),
            json!({"volumes": [{"name": "v", "emptyDir": {}, "hostPath": {"path": "/x"}}]}),
            "may not specify more than 1 volume type",
        ),
        (
            json!({}),
            json!({"volumes": [{"name": "v", "secret": {}}]}),
            "spec.volumes[0].secret.secretName: Required value",
        ),
        (
            json!({}),
            json!({"tolerations": [{"key": "", "operator": "Equal"}]}),
            "spec.tolerations[0].operator: Invalid value: \"Equal\": operator must be Exists",
        ),
        (
            json!({}),
            json!({"terminationGracePeriodSeconds": -1}),
            "spec.terminationGracePeriodSeconds: Invalid value: -1: must be greater than or equal to 0",
        ),
        (
            json!({}),
            json!({"nodeSelector": {"a b": "c"}}),
            "spec.nodeSelector: Invalid value: \"a b\"",
        ),
        (
            json!({}),
            json!({"initContainers": [{"name": "web", "image": "x"}]}),
            "spec.initContainers[0].name: Duplicate value: \"web\"",
        ),
    ];
    for (container, more, expected) in cases {
        let error = create("pods", pod(container, more)).unwrap_err();
        assert_eq!(error.code, 422, "{error}");
        assert!(error.message.contains(expected), "{error}\n  should contain {expected}");
    }
}

#[test]
fn several_faults_are_reported_together() {
    let error = create("pods", json!({"metadata": {"name": "P"}, "spec": {"containers": []}}));
    let error = error.unwrap_err();
    assert!(
        error.message.starts_with("Pod \"P\" is invalid: [metadata.name: Invalid value: \"P\"")
    );
    assert!(error.message.ends_with("spec.containers: Required value]"), "{error}");
    assert_eq!(error.details.causes.len(), 2);
    assert_eq!(error.to_value()["details"]["causes"][1]["field"], "spec.containers");
}

#[test]
fn a_pod_changes_only_where_it_may() {
    let old = create("pods", pod(json!({}), json!({}))).unwrap();
    let with = |pointer: &str, value: Value| {
        let mut new = old.clone();
        let (parent, member) = pointer.rsplit_once('/').unwrap();
        new.pointer_mut(parent).unwrap()[member] = value;
        update("pods", new, &old)
    };
    let image = with("/spec/containers/0/image", json!("hello:2")).unwrap();
    assert_eq!(image["metadata"]["generation"], 2);
    assert!(with("/spec/activeDeadlineSeconds", json!(9)).is_ok());
    for (pointer, value) in [
        ("/spec/nodeName", json!("h2")),
        ("/spec/containers/0/args", json!(["x"])),
        ("/spec/restartPolicy", json!("Never")),
    ] {
        let error = with(pointer, value).unwrap_err();
        let expected = "spec: Forbidden: pod updates may not change fields other than";
        assert!(error.message.contains(expected), "{error}");
    }
    let mut tolerant = old.clone();
    tolerant["spec"]["tolerations"] = json!([{"key": "a", "operator": "Exists"}]);
    let tolerant = update("pods", tolerant, &old).unwrap();
    let error = update("pods", old.clone(), &tolerant).unwrap_err();
    assert!(error.message.contains("existing toleration can not be modified"), "{error}");
}

#[test]
fn broken_deployments_are_refused_with_the_field_at_fault() {
    let cases = [
        (
            "/spec/replicas",
            json!(-1),
            "spec.replicas: Invalid value: -1: must be greater than or equal to 0",
        ),
        (
            "/spec/selector",
            json!({}),
            "spec.selector: Invalid value: {}: empty selector is invalid for deployment",
        ),
        (
            "/spec/selector",
            json!({"matchLabels": {"app": "db"}}),
            "spec.template.metadata.labels: Invalid value: {\"app\":\"web\"}: `selector` does not match template `labels`",
        ),
        (
            "/spec/template/spec/restartPolicy",
            json!("Never"),
            "spec.template.spec.restartPolicy: Unsupported value: \"Never\": supported values: \"Always\"",
        ),
        (
            "/spec/strategy",
            json!({"type": "Recreate", "rollingUpdate": {}}),
            "spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'",
        ),
        (
            "/spec/strategy",
            json!({"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 0}}),
            "may not be 0 when `maxSurge` is 0",
        ),
        (
            "/spec/strategy",
            json!({"rollingUpdate": {"maxSurge": "x"}}),
            "spec.strategy.rollingUpdate.maxSurge: Invalid value: \"x\": a valid percent string",
        ),
        (
            "/spec/minReadySeconds",
            json!(600),
            "spec.progressDeadlineSeconds: Invalid value: 600: must be greater than minReadySeconds",
        ),
        (
            "/spec/template/spec/containers",
            json!([]),
            "spec.template.spec.containers: Required value",
        ),
    ];
    for (pointer, value, expected) in cases {
        let mut object = deployment();
        let (parent, member) = pointer.rsplit_once('/').unwrap();
        object.pointer_mut(parent).unwrap()[member] = value;
        let error = create("deployments.apps", object).unwrap_err();
        assert!(error.message.contains(expected), "{error}\n  should contain {expected}");
    }
}

#[test]
fn a_count_beyond_32_bits_is_refused_with_its_field_however_it_is_written() {
    const COUNTS: [&str; 2] = ["replicas", "minReadySeconds"];
    for resource in ["deployments.apps", "replicasets.apps"] {
        let stored = create(resource, deployment()).unwrap();
        for (name, value) in COUNTS.into_iter().zip([json!(3_000_000_000_i64), json!(u64::MAX)]) {
            let mut object = stored.clone();
            object["spec"][name] = value;
            let decoded = update(resource, object.clone(), &stored).unwrap_err();
            assert_eq!(decoded.code, 400);
            assert!(decoded.message.contains(&format!("spec.{name}: ")), "{decoded}");
            let kind = kind(resource);
            let error =
                prepare_update(kind, object, &stored, Part::Main, stamp().now, None).unwrap_err();
            assert_eq!(error.code, 422);
            assert!(error.message.contains(&format!("spec.{name}: Invalid value")), "{error}");
        }
        for (replicas, refused) in [(i64::from(i32::MAX), false), (1 << 31, true)] {
            let scale = json!({"metadata": {"name": "d"}, "spec": {"replicas": replicas}});
            let scaled =
                prepare_update(kind(resource), scale, &stored, Part::Scale, stamp().now, None);
            let refusal = scaled.err().map(|error| (error.code, error.message));
            assert_eq!(refusal.is_some(), refused, "{refusal:?}");
            if let Some((code, message)) = refusal {
                assert_eq!(code, 422);
                assert!(message.contains("spec.replicas: Invalid value: 2147483648"), "{message}");
            }
        }
    }
}

#[test]
fn a_selector_never_changes() {
    let old = create("deployments.apps", deployment()).unwrap();
    let mut new = old.clone();
    new["spec"]["selector"]["matchLabels"]["more"] = json!("x");
    new["spec"]["template"]["metadata"]["labels"]["more"] = json!("x");
    let error = update("deployments.apps", new, &old).unwrap_err();
    assert!(error.message.contains("spec.selector: Invalid value"), "{error}");
    assert!(error.message.contains("field is immutable"), "{error}");
}

#[test]
fn frozen_data_stays() {
    let old = json!({"metadata": {"name": "c"}, "immutable": true, "data": {"a": "1"}});
    let old = create("configmaps", old).unwrap();
    let mut new = old.clone();
    new["data"]["a"] = json!("2");
    let error = update("configmaps", new, &old).unwrap_err();
    let expected = "data: Forbidden: field is immutable when `immutable` is set";
    assert!(error.message.contains(expected), "{error}");
    let mut labelled = old.clone();
    labelled["metadata"]["labels"] = json!({"a": "b"});
    assert!(update("configmaps", labelled, &old).is_ok());
}

#[test]
fn data_is_bounded_and_its_keys_are_checked() {
    let large = "x".repeat(crate::limits::DATA_BYTES + 1);
    for (data, expected) in [
        (json!({"a": large}), "Too long: may not be more than 1048576 bytes"),
        (json!({"a b": "1"}), "data[a b]: Invalid value: \"a b\": a valid config key"),
        (json!({"..": "1"}), "data[..]: Invalid value"),
    ] {
        let object = json!({"metadata": {"name": "c"}, "data": data});
        let error = create("configmaps", object).unwrap_err();
        assert!(error.message.contains(expected), "{error}");
    }
    let tls =
        json!({"metadata": {"name": "s"}, "type": "kubernetes.io/tls", "data": {"tls.crt": ""}});
    let error = create("secrets", tls).unwrap_err();
    assert!(error.message.contains("data[tls.key]: Required value"), "{error}");
}

#[test]
fn a_revoked_token_stays_revoked() {
    let token = json!({"metadata": {"name": "t"},
        "spec": {"secretHash": "ab".repeat(32), "revoked": true}});
    let old = create("jointokens.skein.dev", token).unwrap();
    let mut new = old.clone();
    new["spec"]["revoked"] = json!(false);
    assert!(update("jointokens.skein.dev", new, &old).is_err());
    let bad = json!({"metadata": {"name": "t"}, "spec": {"secretHash": "x"}});
    assert!(create("jointokens.skein.dev", bad).is_err());
}

#[test]
fn an_unchanged_object_updates_to_itself() {
    let objects = [
        ("pods", pod(json!({}), json!({}))),
        ("deployments.apps", deployment()),
        ("replicasets.apps", deployment()),
        ("namespaces", json!({"metadata": {"name": "n"}})),
        ("secrets", json!({"metadata": {"name": "s"}, "stringData": {"a": "1"}})),
        ("nodes", json!({"metadata": {"name": "h"}, "status": {"capacity": {"cpu": "1"}}})),
        ("serviceaccounts", json!({"metadata": {"name": "a"}})),
        (
            "jointokens.skein.dev",
            json!({"metadata": {"name": "t"}, "spec": {"secretHash": "ab".repeat(32)}}),
        ),
    ];
    for (resource, object) in objects {
        let old = create(resource, object).unwrap();
        assert_eq!(update(resource, old.clone(), &old).unwrap(), old, "{resource}");
    }
}

/// JSON that looks like Kubernetes objects from afar.
fn lookalike() -> impl Strategy<Value = Value> {
    const NAMES: [&str; 25] = [
        "metadata",
        "name",
        "labels",
        "finalizers",
        "spec",
        "status",
        "conditions",
        "type",
        "containers",
        "initContainers",
        "ephemeralContainers",
        "volumes",
        "tolerations",
        "selector",
        "matchLabels",
        "template",
        "strategy",
        "rollingUpdate",
        "maxSurge",
        "data",
        "stringData",
        "resources",
        "limits",
        "ports",
        "deletionTimestamp",
    ];
    let scalar = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[a-z0-9%.]{0,5}".prop_map(Value::from),
    ];
    scalar.prop_recursive(6, 60, 6, |inner| {
        let name = proptest::sample::select(&NAMES[..]).prop_map(str::to_owned);
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            proptest::collection::btree_map(name, inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

const PARTS: [Part; 5] =
    [Part::Main, Part::Status, Part::Scale, Part::EphemeralContainers, Part::Resize];

proptest! {
    #[test]
    fn objects_of_any_shape_never_panic(metadata in lookalike(), spec in lookalike(), old in lookalike()) {
        let now = stamp().now;
        for kind in registry().all() {
            let object = json!({"metadata": metadata, "spec": spec, "data": old, "status": spec});
            let _ = crate::table::row(kind, object.clone(), now);
            let _ = crate::begin_delete(kind, &object, Some(3), None, now);
            let _ = prepare_create(kind, object.clone(), "default", &stamp(), Some("any"));
            for part in PARTS {
                let _ = prepare_update(kind, object.clone(), &json!({"spec": old}), part, now, Some("any"));
                let _ = prepare_update(kind, object.clone(), &old, part, now, Some("any"));
            }
            let _ = check(kind, object, FieldValidation::Warn);
        }
    }
}
