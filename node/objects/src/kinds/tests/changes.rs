//! What may change of an object that is there, and what it keeps.

use super::stable::{of, sound, template};
use super::*;

#[test]
fn what_is_fixed_cannot_be_changed() {
    let cases = [
        (
            "statefulsets.apps",
            "/spec/serviceName",
            json!("other"),
            "updates to statefulset spec for fields other than",
        ),
        (
            "jobs.batch",
            "/spec/template/spec/containers/0/image",
            json!("hello:2"),
            "field is immutable",
        ),
        (
            "jobs.batch",
            "/spec/completions",
            json!(2),
            "spec.completions: Invalid value: 2: field is immutable",
        ),
        ("persistentvolumes", "/spec/hostPath/path", json!("/other"), "immutable after creation"),
        (
            "persistentvolumeclaims",
            "/spec/accessModes/0",
            json!("ReadWriteMany"),
            "spec is immutable after creation",
        ),
        (
            "storageclasses.storage.k8s.io",
            "/provisioner",
            json!("other.com/disk"),
            "provisioner: Forbidden: updates to provisioner are forbidden.",
        ),
        (
            "priorityclasses.scheduling.k8s.io",
            "/value",
            json!(8),
            "value: Forbidden: may not be changed in an update.",
        ),
        (
            "services",
            "/spec/clusterIPs",
            json!(["10.43.0.10"]),
            "spec.clusterIPs: Invalid value: [\"10.43.0.10\"]: may not change once set",
        ),
        (
            "endpointslices.discovery.k8s.io",
            "/addressType",
            json!("FQDN"),
            "addressType: Invalid value: \"FQDN\": field is immutable",
        ),
        (
            "ingressclasses.networking.k8s.io",
            "/spec/controller",
            json!("example.com/other"),
            "spec.controller: Invalid value: \"example.com/other\": field is immutable",
        ),
        (
            "csidrivers.storage.k8s.io",
            "/spec/attachRequired",
            json!(false),
            "spec.attachRequired: Invalid value: false: field is immutable",
        ),
        ("volumeattachments.storage.k8s.io", "/spec/nodeName", json!("h2"), "field is immutable"),
        (
            "runtimeclasses.node.k8s.io",
            "/handler",
            json!("kata"),
            "handler: Invalid value: \"kata\": field is immutable",
        ),
        (
            "daemonsets.apps",
            "/spec/selector/matchLabels",
            json!({"app": "db"}),
            "spec.selector: Invalid value: {\"matchLabels\":{\"app\":\"db\"}}: field is immutable",
        ),
        (
            "rolebindings.rbac.authorization.k8s.io",
            "/roleRef/name",
            json!("other"),
            "cannot change roleRef",
        ),
    ];
    for (resource, pointer, value, expected) in cases {
        let (_, object, _) = sound().into_iter().find(|(one, ..)| *one == resource).unwrap();
        let old = create(resource, object).unwrap();
        let mut new = old.clone();
        *new.pointer_mut(pointer).unwrap() = value;
        let message = update(resource, new, &old).map_err(|error| error.to_string()).err();
        let message = message.unwrap_or_default();
        assert!(message.contains(expected), "{resource} {pointer}: {message:?}");
    }
}

/// Changes an object as the API does: what is null is taken away.
fn change(resource: &str, old: &Value, changes: Value) -> Result<Value, StatusError> {
    let mut new = old.clone();
    json_patch::merge(&mut new, &changes);
    update(resource, new, old)
}

#[test]
fn a_service_keeps_what_it_was_given() {
    let old = of(json!({"type": "NodePort", "clusterIP": "10.43.0.9",
        "ports": [{"name": "a", "port": 80, "nodePort": 30_080}]}));
    let old = create("services", old).unwrap();
    let manifest = of(json!({"type": "NodePort", "ports": [{"name": "a", "port": 81}]}));
    let new = update("services", manifest, &old).unwrap();
    assert_eq!(new["spec"]["clusterIPs"], json!(["10.43.0.9"]));
    assert_eq!(new["spec"]["ports"][0]["nodePort"], 30_080);
    let inner = change("services", &old, json!({"spec": {"type": "ClusterIP"}})).unwrap();
    assert_eq!(inner["spec"]["ports"][0].get("nodePort"), None);
    assert_eq!(inner["spec"].get("externalTrafficPolicy"), None);
    let outer = json!({"spec": {"type": "ExternalName", "externalName": "db.example.com"}});
    let outer = change("services", &old, outer).unwrap();
    assert_eq!(outer["spec"].get("clusterIP"), None);
    assert_eq!(outer["spec"].get("ipFamilies"), None);
}

#[test]
fn a_suspended_job_may_still_move_and_an_indexed_one_grow() {
    let old = of(json!({"suspend": true, "completionMode": "Indexed", "completions": 2,
        "parallelism": 2, "template": template("Never")}));
    let old = create("jobs.batch", old).unwrap();
    let of_pod = |spec: Value| json!({"spec": {"template": {"spec": spec}}});
    assert!(change("jobs.batch", &old, of_pod(json!({"nodeSelector": {"a": "b"}}))).is_ok());
    let error = change("jobs.batch", &old, of_pod(json!({"hostNetwork": true}))).unwrap_err();
    assert!(error.message.contains("field is immutable"), "{error}");
    let grown = json!({"spec": {"completions": 3, "parallelism": 3}});
    assert!(change("jobs.batch", &old, grown).is_ok());
    let error = change("jobs.batch", &old, json!({"spec": {"completions": 3}})).unwrap_err();
    let expected = "spec.completions: Invalid value: 3: can only be modified in tandem with";
    assert!(error.message.contains(expected), "{error}");
}

#[test]
fn a_bound_claim_may_ask_for_more_but_not_for_less_than_it_has() {
    let claim = of(json!({"accessModes": ["ReadWriteOnce"], "volumeName": "v",
        "resources": {"requests": {"storage": "2Gi"}}}));
    let mut old = create("persistentvolumeclaims", claim).unwrap();
    let ask = |old: &Value, size: &str| {
        let changes = json!({"spec": {"resources": {"requests": {"storage": size}}}});
        change("persistentvolumeclaims", old, changes).map_err(|error| error.message)
    };
    assert!(ask(&old, "3Gi").unwrap_err().contains("spec is immutable after creation"));
    old["status"] = json!({"phase": "Bound", "capacity": {"storage": "2Gi"}});
    assert!(ask(&old, "3Gi").is_ok());
    assert!(ask(&old, "1Gi").unwrap_err().contains("field can not be less than"));
}

#[test]
fn what_is_wanted_counts_up_the_generation_wherever_it_is() {
    for (resource, changes) in [
        ("endpointslices.discovery.k8s.io", json!({"endpoints": []})),
        ("statefulsets.apps", json!({"spec": {"replicas": 2}})),
    ] {
        let (_, object, _) = sound().into_iter().find(|(one, ..)| *one == resource).unwrap();
        let old = create(resource, object).unwrap();
        assert_eq!(old["metadata"]["generation"], 1, "{resource}");
        let labelled = change(resource, &old, json!({"metadata": {"labels": {"a": "b"}}}));
        assert_eq!(labelled.unwrap()["metadata"]["generation"], 1, "{resource}");
        let changed = change(resource, &old, changes).unwrap();
        assert_eq!(changed["metadata"]["generation"], 2, "{resource}");
    }
}
