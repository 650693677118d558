//! Custom resources, from the definition to the last object. Nobody leads here: the test says
//! which names are accepted.

use std::time::Duration;

use serde_json::{Value, json};

use super::harness::{Api, Client, DEADLINE};

const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const CRONTABS: &str = "/apis/stable.example.com/v1/namespaces/default/crontabs";

fn definition() -> Value {
    let spec = json!({"type": "object", "required": ["cronSpec"], "properties": {
        "cronSpec": {"type": "string"},
        "replicas": {"type": "integer", "default": 1, "maximum": 10},
        "hosts": {"type": "array", "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name"],
            "items": {"type": "object", "required": ["name"], "properties": {
                "name": {"type": "string"}, "weight": {"type": "integer"}}}},
    }});
    let status = json!({"type": "object", "properties": {
        "replicas": {"type": "integer"}, "selector": {"type": "string"}}});
    let schema = json!({"type": "object", "properties": {"spec": spec, "status": status}});
    let scale = json!({"specReplicasPath": ".spec.replicas",
        "statusReplicasPath": ".status.replicas", "labelSelectorPath": ".status.selector"});
    let version = |name: &str, storage: bool| {
        json!({"name": name, "served": true, "storage": storage,
            "schema": {"openAPIV3Schema": schema}, "subresources": {"status": {}, "scale": scale},
            "selectableFields": [{"jsonPath": ".spec.cronSpec"}],
            "additionalPrinterColumns": [
                {"name": "Spec", "type": "string", "jsonPath": ".spec.cronSpec"}]})
    };
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "crontabs.stable.example.com"},
        "spec": {"group": "stable.example.com", "scope": "Namespaced",
            "names": {"plural": "crontabs", "kind": "CronTab", "shortNames": ["ct"]},
            "versions": [version("v1beta1", false), version("v1", true)]},
    })
}

fn crontab(name: &str, spec: Value) -> Value {
    json!({"apiVersion": "stable.example.com/v1", "kind": "CronTab", "metadata": {"name": name},
        "spec": spec})
}

/// Makes the definition and accepts its names.
async fn define(client: &Client) {
    let made = client.post(DEFINITIONS, &definition()).await.ok();
    assert_eq!(client.get(CRONTABS).await.code, 404, "its names are not accepted yet");
    let mut accepted = made.clone();
    accepted["status"]["acceptedNames"] = made["spec"]["names"].clone();
    accepted["status"]["conditions"] = json!([{"type": "Established", "status": "True"}]);
    let path = format!("{DEFINITIONS}/crontabs.stable.example.com/status");
    client.put(&path, &accepted).await.ok();
}

#[tokio::test]
async fn a_kind_is_served_as_soon_as_it_is_established() {
    let api = Api::with_namespace().await;
    let client = api.client();
    define(&client).await;
    let made = client.post(CRONTABS, &crontab("a", json!({"cronSpec": "* *"}))).await.ok();
    assert_eq!(made["spec"], json!({"cronSpec": "* *", "replicas": 1}));
    assert_eq!(made["metadata"]["generation"], 1);
    let group = client.get("/apis/stable.example.com").await.ok();
    assert_eq!(group["preferredVersion"]["version"], "v1");
    let resources = client.get("/apis/stable.example.com/v1").await.ok();
    let names: Vec<&Value> =
        resources["resources"].as_array().unwrap().iter().map(|one| &one["name"]).collect();
    assert_eq!(names, ["crontabs", "crontabs/status", "crontabs/scale"]);
    let document = client.get("/openapi/v3/apis/stable.example.com/v1").await.ok();
    assert!(document["components"]["schemas"]["com.example.stable.v1.CronTab"].is_object());
    let list = client.get(CRONTABS).await.ok();
    assert_eq!(
        (&list["kind"], &list["items"][0]["kind"]),
        (&json!("CronTabList"), &json!("CronTab"))
    );
    let accept = "application/json;as=Table;v=v1;g=meta.k8s.io";
    let table = client.get_as(CRONTABS, accept).await.ok();
    assert_eq!(table["rows"][0]["cells"], json!(["a", "* *"]));
}

#[tokio::test]
async fn objects_are_checked_like_any_other() {
    let api = Api::with_namespace().await;
    let client = api.client();
    define(&client).await;
    let refused = client.post(CRONTABS, &crontab("a", json!({"replicas": 11}))).await;
    assert_eq!(refused.code, 422);
    for said in ["spec.cronSpec: Required value", "should be less than or equal to 10"] {
        assert!(refused.text().contains(said), "{}", refused.text());
    }
    let unknown = crontab("a", json!({"cronSpec": "*", "oops": 1}));
    let strict = format!("{CRONTABS}?fieldValidation=Strict");
    let refused = client.post(&strict, &unknown).await;
    assert!(refused.text().contains("unknown field \\\"spec.oops\\\""), "{}", refused.text());
    let pruned = client.post(CRONTABS, &unknown).await;
    assert_eq!(pruned.headers["warning"], "299 - \"unknown field \\\"spec.oops\\\"\"");
    assert!(pruned.ok()["spec"]["oops"].is_null());
}

#[tokio::test]
async fn every_version_shows_the_same_objects() {
    let api = Api::with_namespace().await;
    let client = api.client();
    define(&client).await;
    client.post(CRONTABS, &crontab("a", json!({"cronSpec": "*"}))).await.ok();
    let old = CRONTABS.replace("/v1/", "/v1beta1/");
    let mut object = client.get(&format!("{old}/a")).await.ok();
    assert_eq!(object["apiVersion"], "stable.example.com/v1beta1");
    object["spec"]["cronSpec"] = json!("* *");
    client.put(&format!("{old}/a"), &object).await.ok();
    let object = client.get(&format!("{CRONTABS}/a")).await.ok();
    assert_eq!(object["apiVersion"], "stable.example.com/v1");
    assert_eq!(
        (&object["spec"]["cronSpec"], &object["metadata"]["generation"]),
        (&json!("* *"), &json!(2))
    );
    let selected = client.get(&format!("{old}?fieldSelector=spec.cronSpec%3D*")).await.ok();
    assert_eq!(selected["items"], json!([]));
    let selected = client.get(&format!("{old}?fieldSelector=spec.cronSpec%3D*%20*")).await.ok();
    assert_eq!(selected["items"][0]["apiVersion"], "stable.example.com/v1beta1");
}

#[tokio::test]
async fn status_scale_and_patches_work() {
    let api = Api::with_namespace().await;
    let client = api.client();
    define(&client).await;
    let one = format!("{CRONTABS}/a");
    client.post(CRONTABS, &crontab("a", json!({"cronSpec": "*"}))).await.ok();
    let merge = "application/merge-patch+json";
    let patch = json!({"spec": {"replicas": 2}, "status": {"replicas": 9}});
    let patched = client.send_json("PATCH", &one, merge, &patch).await.ok();
    assert_eq!((&patched["spec"]["replicas"], &patched["status"]), (&json!(2), &Value::Null));
    let patch = json!({"status": {"replicas": 2, "selector": "app=a"}});
    client.send_json("PATCH", &format!("{one}/status"), merge, &patch).await.ok();
    let scale = client.get(&format!("{one}/scale")).await.ok();
    assert_eq!(scale["spec"]["replicas"], 2);
    assert_eq!(scale["status"], json!({"replicas": 2, "selector": "app=a"}));
    let strategic = "application/strategic-merge-patch+json";
    let refused = client.send_json("PATCH", &one, strategic, &json!({})).await;
    assert_eq!(refused.code, 415);

    // Items of a keyed list have owners of their own.
    let apply = "application/apply-patch+yaml";
    let host = |name: &str| crontab("a", json!({"hosts": [{"name": name, "weight": 1}]}));
    for name in ["x", "y"] {
        let path = format!("{one}?fieldManager={name}");
        client.send_json("PATCH", &path, apply, &host(name)).await.ok();
    }
    let object = client.get(&one).await.ok();
    assert_eq!(
        object["spec"]["hosts"],
        json!([{"name": "x", "weight": 1}, {"name": "y", "weight": 1}])
    );
    let none = crontab("a", json!({}));
    let path = format!("{one}?fieldManager=x");
    let object = client.send_json("PATCH", &path, apply, &none).await.ok();
    assert_eq!(object["spec"]["hosts"], json!([{"name": "y", "weight": 1}]));
}

#[tokio::test]
async fn nothing_is_made_of_a_definition_that_goes() {
    let api = Api::with_namespace().await;
    let client = api.client();
    define(&client).await;
    client.post(CRONTABS, &crontab("a", json!({"cronSpec": "*"}))).await.ok();
    let path = format!("{DEFINITIONS}/crontabs.stable.example.com");
    let marked = client.delete(&path).await.ok();
    assert!(marked["metadata"]["deletionTimestamp"].is_string(), "{marked}");
    let another = crontab("b", json!({"cronSpec": "*"}));
    let refusal = async {
        loop {
            let refused = client.post(CRONTABS, &another).await;
            match refused.code {
                // This host has not heard of it yet; the store has.
                429 => tokio::time::sleep(Duration::from_millis(1)).await,
                _ => return refused,
            }
        }
    };
    let refused = tokio::time::timeout(DEADLINE, refusal).await.expect("it is refused in time");
    assert_eq!(refused.code, 405, "{}", refused.text());
    assert_eq!(client.get(&format!("{CRONTABS}/a")).await.code, 200, "what is there is served");
    let mut done = client.get(&path).await.ok();
    let conditions = done["status"]["conditions"].as_array_mut().unwrap();
    let last = conditions.last_mut().unwrap();
    last["status"] = json!("False");
    last["reason"] = json!("InstanceDeletionCompleted");
    client.put(&format!("{path}/status"), &done).await.ok();
    assert_eq!(client.get(&path).await.code, 404);
}
