//! The documents hold what kubectl looks for.

use std::collections::BTreeSet;

use serde_json::Value;

use super::*;

fn document(name: &str) -> Value {
    serde_json::from_slice(&v3(registry(), name).unwrap()).unwrap()
}

/// Every `$ref` in a document.
fn references(value: &Value, out: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => {
            if let Some(Value::String(pointer)) = map.get("$ref") {
                out.insert(pointer.clone());
            }
            map.values().for_each(|member| references(member, out));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, out)),
        _ => {}
    }
}

#[test]
fn the_index_names_every_document() {
    let index: Value = serde_json::from_slice(&v3_index(registry())).unwrap();
    let names: Vec<&String> = index["paths"].as_object().unwrap().keys().collect();
    assert_eq!(
        names,
        [
            "api/v1",
            "apis/admissionregistration.k8s.io/v1",
            "apis/apiextensions.k8s.io/v1",
            "apis/apps/v1",
            "apis/autoscaling/v1",
            "apis/autoscaling/v2",
            "apis/batch/v1",
            "apis/certificates.k8s.io/v1",
            "apis/coordination.k8s.io/v1",
            "apis/discovery.k8s.io/v1",
            "apis/events.k8s.io/v1",
            "apis/networking.k8s.io/v1",
            "apis/node.k8s.io/v1",
            "apis/policy/v1",
            "apis/rbac.authorization.k8s.io/v1",
            "apis/scheduling.k8s.io/v1",
            "apis/skein.dev/v1",
            "apis/storage.k8s.io/v1",
        ]
    );
}

#[test]
fn every_reference_has_its_schema() {
    let v2: Value = serde_json::from_slice(&v2(registry())).unwrap();
    let index: Value = serde_json::from_slice(&v3_index(registry())).unwrap();
    let documents = index["paths"].as_object().unwrap().keys().map(|name| document(name));
    for document in documents.chain([v2]) {
        let mut pointers = BTreeSet::new();
        references(&document, &mut pointers);
        assert!(!pointers.is_empty());
        for pointer in pointers {
            let found = document.pointer(pointer.trim_start_matches('#'));
            assert!(found.is_some(), "{pointer}");
        }
    }
}

#[test]
fn a_patch_says_its_formats_and_its_field_validation() {
    let document = document("apis/apps/v1");
    let path = "/apis/apps/v1/namespaces/{namespace}/deployments/{name}";
    let patch = &document["paths"][path]["patch"];
    assert_eq!(patch["x-kubernetes-group-version-kind"]["kind"], "Deployment");
    assert!(
        patch["requestBody"]["content"].get("application/strategic-merge-patch+json").is_some()
    );
    let parameters = patch["parameters"].as_array().unwrap();
    assert!(parameters.iter().any(|one| one["name"] == "fieldValidation" && one["in"] == "query"));
}

#[test]
fn schemas_carry_kinds_merge_keys_and_descriptions() {
    let document = document("api/v1");
    let schemas = &document["components"]["schemas"];
    let pod = &schemas["io.k8s.api.core.v1.Pod"];
    assert_eq!(pod["x-kubernetes-group-version-kind"][0]["kind"], "Pod");
    let containers = &schemas["io.k8s.api.core.v1.PodSpec"]["properties"]["containers"];
    assert_eq!(containers["x-kubernetes-patch-merge-key"], "name");
    assert_eq!(containers["x-kubernetes-patch-strategy"], "merge");
    assert!(containers["description"].as_str().unwrap().len() > 10);
}

#[test]
fn a_custom_kind_is_published_as_its_definition_has_it() {
    let definition = include_bytes!("../custom/testdata/crontabs.yaml");
    let mut definition = crate::parse(definition, crate::MediaType::Yaml).unwrap();
    let names = json!({"kind": "CronTab", "listKind": "CronTabList", "plural": "crontabs"});
    definition["status"] = json!({
        "acceptedNames": names, "conditions": [{"type": "Established", "status": "True"}],
    });
    let with = Registry::with(crate::custom_kinds(&definition, 1));
    let index: Value = serde_json::from_slice(&v3_index(&with)).unwrap();
    assert!(index["paths"]["apis/stable.example.com/v1"].is_object());
    let v3: Value =
        serde_json::from_slice(&v3(&with, "apis/stable.example.com/v1").unwrap()).unwrap();
    let schema = &v3["components"]["schemas"]["com.example.stable.v1.CronTab"];
    assert_eq!(schema["properties"]["spec"]["properties"]["image"]["default"], "busybox");
    assert_eq!(schema["x-kubernetes-group-version-kind"][0]["kind"], "CronTab");
    let mut pointers = BTreeSet::new();
    references(&v3, &mut pointers);
    assert!(pointers.iter().all(|to| v3.pointer(to.trim_start_matches('#')).is_some()));
    let v2: Value = serde_json::from_slice(&v2(&with)).unwrap();
    let schema = &v2["definitions"]["com.example.stable.v1.CronTab"];
    assert!(schema["properties"]["spec"]["properties"]["port"]["anyOf"].is_null());
    assert!(super::v3(registry(), "apis/stable.example.com/v1").is_none());
}
