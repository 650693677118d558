//! The documents hold what kubectl looks for.

use std::collections::BTreeSet;

use serde_json::Value;

use super::*;

fn document(name: &str) -> Value {
    serde_json::from_slice(&v3(name).unwrap()).unwrap()
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
    let index: Value = serde_json::from_slice(&v3_index()).unwrap();
    let names: Vec<&String> = index["paths"].as_object().unwrap().keys().collect();
    assert_eq!(
        names,
        [
            "api/v1",
            "apis/admissionregistration.k8s.io/v1",
            "apis/apps/v1",
            "apis/autoscaling/v2",
            "apis/batch/v1",
            "apis/certificates.k8s.io/v1",
            "apis/coordination.k8s.io/v1",
            "apis/discovery.k8s.io/v1",
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
    let v2: Value = serde_json::from_slice(&v2()).unwrap();
    let index: Value = serde_json::from_slice(&v3_index()).unwrap();
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
