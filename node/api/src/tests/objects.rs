//! The verbs on objects.

use async_compression::tokio::bufread::GzipDecoder;
use bytes::Bytes;
use http::header;
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;

use super::harness::{Api, Client};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";
const PODS: &str = "/api/v1/namespaces/default/pods";
const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/default/deployments";
const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";

fn map(name: &str, app: &str) -> Value {
    json!({"metadata": {"name": name, "labels": {"app": app}}, "data": {"key": "value"}})
}

fn pod(name: &str) -> Value {
    json!({"metadata": {"name": name}, "spec": {"containers": [{"name": "main", "image": "hello"}]}})
}

fn deployment(name: &str) -> Value {
    json!({"metadata": {"name": name}, "spec": {
        "replicas": 2,
        "selector": {"matchLabels": {"app": name}},
        "template": {
            "metadata": {"labels": {"app": name}},
            "spec": {"containers": [{"name": "main", "image": "hello"}]},
        },
    }})
}

fn names(list: &Value) -> Vec<String> {
    let name = |item: &Value| item["metadata"]["name"].as_str().unwrap().to_owned();
    list["items"].as_array().unwrap().iter().map(name).collect()
}

async fn add_maps(client: &Client, count: usize) {
    for index in 0..count {
        let app = if index % 2 == 0 { "even" } else { "odd" };
        client.post(MAPS, &map(&format!("m{index}"), app)).await.ok();
    }
}

#[tokio::test]
async fn an_object_lives_from_create_to_delete() {
    let api = Api::with_namespace().await;
    let client = api.client();
    let made = client.post(MAPS, &map("a", "web")).await;
    assert_eq!(made.code, 201);
    let mut object = made.json();
    assert_eq!((&object["kind"], &object["apiVersion"]), (&json!("ConfigMap"), &json!("v1")));
    assert_eq!(client.get(&format!("{MAPS}/a")).await.ok(), object);
    object["data"]["key"] = json!("changed");
    let updated = client.put(&format!("{MAPS}/a"), &object).await.ok();
    assert_eq!(updated["data"]["key"], "changed");
    assert_ne!(updated["metadata"]["resourceVersion"], object["metadata"]["resourceVersion"]);
    let deleted = client.delete(&format!("{MAPS}/a")).await.ok();
    assert_eq!((&deleted["kind"], &deleted["status"]), (&json!("Status"), &json!("Success")));
    assert_eq!(deleted["details"]["uid"], object["metadata"]["uid"]);
    assert_eq!(client.get(&format!("{MAPS}/a")).await.code, 404);
}

#[tokio::test]
async fn yaml_is_taken_and_dry_runs_leave_no_trace() {
    let api = Api::with_namespace().await;
    let client = api.client();
    let yaml = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\ndata:\n  key: value\n";
    let headers = [(header::CONTENT_TYPE, "application/yaml")];
    let path = format!("{MAPS}?dryRun=All");
    client.send("POST", &path, &headers, Bytes::from_static(yaml.as_bytes())).await.ok();
    assert_eq!(client.get(&format!("{MAPS}/a")).await.code, 404);
    client.send("POST", MAPS, &headers, Bytes::from_static(yaml.as_bytes())).await.ok();
    assert_eq!(client.get(&format!("{MAPS}/a")).await.ok()["data"]["key"], "value");
}

#[tokio::test]
async fn lists_are_selected_and_paged() {
    let api = Api::with_namespace().await;
    let client = api.client();
    add_maps(&client, 5).await;
    let all = client.get(MAPS).await.ok();
    assert_eq!(names(&all), ["m0", "m1", "m2", "m3", "m4"]);
    assert_eq!((&all["kind"], &all["apiVersion"]), (&json!("ConfigMapList"), &json!("v1")));
    let even = client.get("/api/v1/configmaps?labelSelector=app%3Deven").await.ok();
    assert_eq!(names(&even), ["m0", "m2", "m4"]);
    let one = client.get(&format!("{MAPS}?fieldSelector=metadata.name%3Dm3")).await.ok();
    assert_eq!(names(&one), ["m3"]);

    let first = client.get(&format!("{MAPS}?limit=2")).await.ok();
    assert_eq!(names(&first), ["m0", "m1"]);
    assert_eq!(first["metadata"]["remainingItemCount"], 3);
    client.post(MAPS, &map("m9", "late")).await.ok();
    let token = first["metadata"]["continue"].as_str().unwrap();
    let rest = client.get(&format!("{MAPS}?limit=9&continue={token}")).await.ok();
    assert_eq!(names(&rest), ["m2", "m3", "m4"]);
    assert_eq!(rest["metadata"]["resourceVersion"], first["metadata"]["resourceVersion"]);
    assert!(rest["metadata"]["continue"].is_null());

    let path = format!("{MAPS}?limit=2&labelSelector=app%3Deven");
    let page = client.get(&path).await.ok();
    assert_eq!(names(&page), ["m0", "m2"]);
    let token = page["metadata"]["continue"].as_str().unwrap();
    assert_eq!(names(&client.get(&format!("{path}&continue={token}")).await.ok()), ["m4"]);
}

#[tokio::test]
async fn long_lists_arrive_whole() {
    let api = Api::with_namespace().await;
    let client = api.client();
    let large =
        json!({"metadata": {"generateName": "large-"}, "data": {"key": "x".repeat(50_000)}});
    for _ in 0..5 {
        client.post(MAPS, &large).await.ok();
    }
    assert_eq!(names(&client.get(MAPS).await.ok()).len(), 5);
}

#[tokio::test]
async fn tables_and_metadata_are_given_to_those_who_ask() {
    let api = Api::with_namespace().await;
    let client = api.client();
    add_maps(&client, 2).await;
    let table = client.get_as(MAPS, TABLE).await.ok();
    assert_eq!(table["kind"], "Table");
    assert_eq!(table["columnDefinitions"][0]["name"], "Name");
    assert_eq!(table["rows"][1]["cells"][0], "m1");
    assert_eq!(table["rows"][1]["object"]["kind"], "PartialObjectMetadata");
    assert_eq!(table["rows"][1]["object"]["metadata"]["name"], "m1");
    let whole = client.get_as(&format!("{MAPS}/m0?includeObject=Object"), TABLE).await.ok();
    assert_eq!(whole["rows"][0]["object"]["data"]["key"], "value");
    let accept = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
    let partial = client.get_as(MAPS, accept).await.ok();
    assert_eq!(partial["kind"], "PartialObjectMetadataList");
    let item = &partial["items"][0];
    assert_eq!(item["metadata"]["name"], "m0");
    assert!(item["metadata"]["resourceVersion"].is_string() && item["data"].is_null());
}

#[tokio::test]
async fn the_three_patches_change_what_they_say() {
    let api = Api::with_namespace().await;
    let client = api.client();
    client.post(DEPLOYMENTS, &deployment("web")).await.ok();
    let path = format!("{DEPLOYMENTS}/web");
    let json_patch = json!([{"op": "replace", "path": "/spec/replicas", "value": 3}]);
    let patched =
        client.send_json("PATCH", &path, "application/json-patch+json", &json_patch).await;
    assert_eq!(patched.ok()["spec"]["replicas"], 3);
    let merge = json!({"metadata": {"labels": {"tier": "front"}}});
    let patched = client.send_json("PATCH", &path, "application/merge-patch+json", &merge).await;
    assert_eq!(patched.ok()["metadata"]["labels"]["tier"], "front");
    let strategic = json!({"spec": {"template": {"spec": {"containers": [
        {"name": "side", "image": "other"},
    ]}}}});
    let content_type = "application/strategic-merge-patch+json";
    let patched = client.send_json("PATCH", &path, content_type, &strategic).await.ok();
    let containers = patched["spec"]["template"]["spec"]["containers"].as_array().unwrap();
    assert_eq!(containers.len(), 2);
    let again = client.send_json("PATCH", &path, content_type, &strategic).await.ok();
    assert_eq!(again["metadata"]["resourceVersion"], patched["metadata"]["resourceVersion"]);
}

#[tokio::test]
async fn applied_objects_are_made_changed_and_defended() {
    const APPLY: &str = "application/apply-patch+yaml";
    let api = Api::with_namespace().await;
    let client = api.client();
    let path = |manager: &str| format!("{DEPLOYMENTS}/web?fieldManager={manager}");
    let mut wish = deployment("web");
    let made = client.send_json("PATCH", &path("me"), APPLY, &wish).await;
    assert_eq!((made.code, &made.json()["spec"]["replicas"]), (201, &json!(2)));
    assert_eq!(made.json()["metadata"]["managedFields"][0]["manager"], "me");
    let again = client.send_json("PATCH", &path("me"), APPLY, &wish).await;
    assert_eq!(again.code, 200);
    let version = |object: Value| object["metadata"]["resourceVersion"].clone();
    assert_eq!(version(again.json()), version(made.json()), "nothing changed");

    wish["spec"]["replicas"] = json!(3);
    let refused = client.send_json("PATCH", &path("other"), APPLY, &wish).await;
    assert_eq!((refused.code, &refused.json()["reason"]), (409, &json!("Conflict")));
    let cause = &refused.json()["details"]["causes"][0];
    assert_eq!(
        (&cause["reason"], &cause["field"]),
        (&json!("FieldManagerConflict"), &json!(".spec.replicas"))
    );
    let forced = format!("{}&force=true", path("other"));
    assert_eq!(client.send_json("PATCH", &forced, APPLY, &wish).await.ok()["spec"]["replicas"], 3);

    let scale = json!({"spec": {"replicas": 7}});
    let scale_path = format!("{DEPLOYMENTS}/web/scale?fieldManager=scaler");
    client.send_json("PATCH", &scale_path, "application/merge-patch+json", &scale).await.ok();
    let refused = client.send_json("PATCH", &path("other"), APPLY, &wish).await;
    let message = refused.json()["message"].as_str().unwrap_or_default().to_owned();
    assert!(message.contains("\"scaler\" with subresource \"scale\" using apps/v1"), "{message}");

    let status = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
        "status": {"replicas": 7}});
    let status_path = format!("{DEPLOYMENTS}/web/status?fieldManager=counter");
    let applied = client.send_json("PATCH", &status_path, APPLY, &status).await.ok();
    assert_eq!(
        (&applied["status"]["replicas"], &applied["spec"]["replicas"]),
        (&json!(7), &json!(7))
    );
}

#[tokio::test]
async fn a_bad_apply_is_told_what_is_wrong() {
    const APPLY: &str = "application/apply-patch+yaml";
    let api = Api::with_namespace().await;
    let client = api.client();
    let apply = async |query: &str, body: &Value| {
        client.send_json("PATCH", &format!("{DEPLOYMENTS}/web{query}"), APPLY, body).await
    };
    let wish = deployment("web");
    assert_eq!(apply("", &wish).await.code, 422, "no manager");
    assert_eq!(apply(&format!("?fieldManager={}", "x".repeat(200)), &wish).await.code, 422);
    assert_eq!(apply("?fieldManager=a%07b", &wish).await.code, 422);
    assert_eq!(apply("?fieldManager=me", &deployment("other")).await.code, 400);
    let mut odd = deployment("web");
    odd["spec"]["copies"] = json!(3);
    let refused = apply("?fieldManager=me&fieldValidation=Ignore", &odd).await;
    let message = refused.json()["message"].as_str().unwrap_or_default().to_owned();
    assert_eq!(refused.code, 400);
    assert!(message.contains("unknown field \"spec.copies\""), "{message}");
    let mut noted = deployment("web");
    noted["metadata"]["managedFields"] = json!([{"manager": "me"}]);
    assert_eq!(apply("?fieldManager=me", &noted).await.code, 400);
    assert_eq!(client.get(&format!("{DEPLOYMENTS}/web")).await.code, 404, "none was made");
    let merge = json!({"metadata": {"labels": {"a": "b"}}});
    let forced = format!("{DEPLOYMENTS}/web?force=true");
    let refused = client.send_json("PATCH", &forced, "application/merge-patch+json", &merge).await;
    assert_eq!(refused.code, 422, "force is for applies");
}

#[tokio::test]
async fn status_and_the_rest_are_written_apart() {
    let api = Api::with_namespace().await;
    let client = api.client();
    let mut object = client.post(DEPLOYMENTS, &deployment("web")).await.ok();
    object["spec"]["replicas"] = json!(9);
    object["status"] = json!({"replicas": 1});
    let written = client.put(&format!("{DEPLOYMENTS}/web/status"), &object).await.ok();
    assert_eq!(
        (&written["spec"]["replicas"], &written["status"]["replicas"]),
        (&json!(2), &json!(1))
    );
    let mut object = written;
    object["spec"]["replicas"] = json!(4);
    object["status"] = json!({"replicas": 8});
    let written = client.put(&format!("{DEPLOYMENTS}/web"), &object).await.ok();
    assert_eq!(
        (&written["spec"]["replicas"], &written["status"]["replicas"]),
        (&json!(4), &json!(1))
    );
}

#[tokio::test]
async fn scale_reads_and_writes_the_count() {
    let api = Api::with_namespace().await;
    let client = api.client();
    client.post(DEPLOYMENTS, &deployment("web")).await.ok();
    let path = format!("{DEPLOYMENTS}/web/scale");
    let mut scale = client.get(&path).await.ok();
    assert_eq!((&scale["kind"], &scale["spec"]["replicas"]), (&json!("Scale"), &json!(2)));
    assert_eq!(scale["status"]["selector"], "app=web");
    scale["spec"]["replicas"] = json!(5);
    assert_eq!(client.put(&path, &scale).await.ok()["spec"]["replicas"], 5);
    assert_eq!(client.put(&path, &scale).await.code, 409, "the version is an old one");
    let merge = json!({"spec": {"replicas": 0}});
    let patched = client.send_json("PATCH", &path, "application/merge-patch+json", &merge).await;
    assert_eq!(patched.ok()["spec"]["replicas"], 0);
    assert_eq!(client.get(&format!("{DEPLOYMENTS}/web")).await.ok()["spec"]["replicas"], 0);
}

#[tokio::test]
async fn pods_are_bound_read_evicted_and_removed() {
    let api = Api::with_namespace().await;
    let client = api.client();
    client.post(PODS, &pod("web")).await.ok();
    assert_eq!(client.get(&format!("{PODS}/web/log")).await.code, 400, "no host yet");
    let binding = json!({"target": {"kind": "Node", "name": "h2"}});
    let bound = client.post(&format!("{PODS}/web/binding"), &binding).await;
    assert_eq!((bound.code, &bound.json()["status"]), (201, &json!("Success")));
    assert_eq!(client.post(&format!("{PODS}/web/binding"), &binding).await.code, 409);
    let log = client.get(&format!("{PODS}/web/log?tailLines=5&timestamps=true")).await;
    assert_eq!(log.text(), "first\nsecond\n");
    let (node, request) = api.hosts.asked.lock().unwrap().remove(0);
    assert_eq!((node.as_str(), request.container.as_str()), ("h2", "main"));
    assert_eq!((request.tail_lines, request.timestamps), (Some(5), true));
    let eviction = json!({"metadata": {"name": "web"}});
    assert_eq!(client.post(&format!("{PODS}/web/eviction"), &eviction).await.code, 201);
    let marked = client.get(&format!("{PODS}/web")).await.ok();
    assert!(marked["metadata"]["deletionTimestamp"].is_string());
    client.delete(&format!("{PODS}/web?gracePeriodSeconds=0")).await.ok();
    assert_eq!(client.get(&format!("{PODS}/web")).await.code, 404);
}

#[tokio::test]
async fn collections_are_deleted_by_selector() {
    let api = Api::with_namespace().await;
    let client = api.client();
    add_maps(&client, 4).await;
    let deleted = client.delete(&format!("{MAPS}?labelSelector=app%3Deven")).await.ok();
    assert_eq!(names(&deleted), ["m0", "m2"]);
    assert_eq!(names(&client.get(MAPS).await.ok()), ["m1", "m3"]);
}

#[tokio::test]
async fn large_answers_are_compressed_for_clients_that_ask() {
    let api = Api::with_namespace().await;
    let client = api.client();
    let map =
        |name: &str, size| json!({"metadata": {"name": name}, "data": {"a": "x".repeat(size)}});
    client.post(MAPS, &map("large", 200_000)).await.ok();
    client.post(MAPS, &map("small", 10)).await.ok();
    for (path, asked, is_compressed) in [
        (MAPS.to_owned(), "br, gzip;q=0.5", true),
        (format!("{MAPS}/large"), "gzip", true),
        (format!("{MAPS}/large"), "gzip;q=0", false),
        (format!("{MAPS}/large"), "", false),
        (format!("{MAPS}/small"), "gzip", false),
        ("/openapi/v2".to_owned(), "gzip", true),
    ] {
        let headers = [(header::ACCEPT_ENCODING, asked)];
        let answer = client.send("GET", &path, &headers, Bytes::new()).await;
        let encoding = answer.header(header::CONTENT_ENCODING);
        assert_eq!(encoding == "gzip", is_compressed, "{path} {asked}");
        let mut text = Vec::new();
        let body = std::io::Cursor::new(&answer.body[..]);
        if is_compressed {
            let mut plain = GzipDecoder::new(body);
            plain.read_to_end(&mut text).await.unwrap();
            assert!(answer.body.len() < text.len() / 4, "{path}");
        } else {
            text.extend_from_slice(&answer.body);
        }
        serde_json::from_slice::<Value>(&text).unwrap();
    }
}

#[tokio::test]
async fn who_holds_a_namespace_is_replaced_through_finalize_alone() {
    let api = Api::with_namespace().await;
    let client = api.client();
    let namespace = json!({"metadata": {"name": "held"}});
    client.post("/api/v1/namespaces", &namespace).await.ok();
    let deleted = client.delete("/api/v1/namespaces/held").await.ok();
    assert_eq!(deleted["status"]["phase"], "Terminating");
    let mut wanted = deleted.clone();
    wanted["spec"] = json!({});
    wanted["metadata"]["labels"]["other"] = json!("ignored");
    let finalized = client.put("/api/v1/namespaces/held/finalize", &wanted).await.ok();
    assert_eq!(finalized["metadata"]["labels"]["other"], Value::Null);
    assert_eq!(client.get("/api/v1/namespaces/held").await.code, 404);
}
