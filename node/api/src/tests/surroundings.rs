//! Discovery, OpenAPI and Skein's own endpoints.

use bytes::Bytes;
use http::header;
use serde_json::{Value, json};

use super::harness::Api;
use crate::limits::HANDSHAKE;

fn names<'a>(items: &'a Value, member: &str) -> Vec<&'a str> {
    items.as_array().unwrap().iter().map(|item| item[member].as_str().unwrap()).collect()
}

#[tokio::test]
async fn prometheus_reads_what_was_served() {
    let api = Api::with_namespace().await;
    let client = api.client();
    client.get("/api/v1/namespaces/default/configmaps/absent").await;
    client.get("/api/v1/namespaces/default/configmaps").await.ok();
    let answer = client.get("/metrics").await;
    assert_eq!(answer.code, 200);
    let text = answer.text();
    for line in [
        "apiserver_request_total{verb=\"GET\",group=\"\",version=\"v1\",resource=\"configmaps\",subresource=\"\",code=\"404\"} 1",
        "apiserver_request_duration_seconds_count{verb=\"LIST\",group=\"\",version=\"v1\",resource=\"configmaps\",subresource=\"\"} 1",
        "apiserver_longrunning_requests 0",
        "skein_raft_term 7",
        "workqueue_adds_total 0",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
    assert!(text.ends_with("# EOF\n"), "{text}");
    let ready = client.get("/readyz?verbose").await;
    assert_eq!(ready.text(), "[+]ping ok\n[+]cluster ok\nreadyz check passed\n");
}

#[tokio::test]
async fn discovery_tells_of_every_kind_in_both_forms() {
    let api = Api::start().await;
    let client = api.client();
    assert_eq!(client.get("/api").await.ok()["versions"], json!(["v1"]));
    let groups = client.get("/apis").await.ok();
    assert!(names(&groups["groups"], "name").contains(&"apps"));
    assert_eq!(client.get("/apis/apps").await.ok()["preferredVersion"]["groupVersion"], "apps/v1");
    let resources = client.get("/apis/apps/v1").await.ok();
    let resources = names(&resources["resources"], "name");
    assert!(resources.contains(&"deployments") && resources.contains(&"deployments/scale"));
    let core = client.get("/api/v1").await.ok();
    assert!(names(&core["resources"], "name").contains(&"pods/log"));

    let accept =
        "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json";
    let aggregated = client.get_as("/apis", accept).await;
    assert!(aggregated.header(header::CONTENT_TYPE).contains("as=APIGroupDiscoveryList"));
    let groups = aggregated.ok();
    assert_eq!(groups["kind"], "APIGroupDiscoveryList");
    let apps = groups["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|group| group["metadata"]["name"] == "apps");
    let resources = &apps.unwrap()["versions"][0]["resources"];
    assert!(names(resources, "resource").contains(&"replicasets"));
}

#[tokio::test]
async fn every_group_version_has_an_openapi_document() {
    let api = Api::start().await;
    let client = api.client();
    let index = client.get("/openapi/v3").await.ok();
    for (name, entry) in index["paths"].as_object().unwrap() {
        let url = entry["serverRelativeURL"].as_str().unwrap();
        let document = client.get(url).await.ok();
        assert!(document["components"]["schemas"].is_object(), "{name}");
    }
    assert_eq!(client.get("/openapi/v2").await.ok()["swagger"], "2.0");
    let accept = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";
    let protobuf = client.get_as("/openapi/v2", accept).await;
    assert_eq!(protobuf.code, 200);
    assert_eq!(
        protobuf.header(header::CONTENT_TYPE),
        "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
    );
}

#[tokio::test]
async fn the_cluster_answers_for_itself() {
    let api = Api::start().await;
    let client = api.client();
    assert_eq!(client.get("/skein/v1/status").await.ok()["leader"], "h1");
    let version = client.get("/version").await.ok();
    assert!(version["gitVersion"].as_str().unwrap().starts_with("v1.36."));
    let request = json!({"user": "jane", "groups": ["dev"], "lifetimeSeconds": 60});
    let issued = client.post("/skein/v1/kubeconfig", &request).await.ok();
    assert_eq!(issued["certificate"], "jane [\"dev\"] 60");
    let request = json!({"user": "system:node:h1", "lifetimeSeconds": 60});
    assert_eq!(client.post("/skein/v1/kubeconfig", &request).await.code, 400);
    let archive = Bytes::from(vec![7; 5_000_000]);
    let loaded = client.send("POST", "/skein/v1/images", &[], archive).await.ok();
    assert_eq!(loaded, json!([{"node": "h1", "images": ["5000000 bytes"]}]));
}

#[tokio::test]
async fn a_connection_that_never_says_a_word_does_not_delay_the_end() {
    let api = Api::start().await;
    let silent = tokio::net::TcpStream::connect(api.server.local_addr()).await.unwrap();
    // Connections are accepted in order: once this one is served, the silent one was taken.
    api.client().get("/version").await.ok();
    api.cancel.cancel();
    tokio::time::timeout(HANDSHAKE / 2, api.server.stopped()).await.expect("it stops at once");
    drop(silent);
}

#[tokio::test]
async fn the_cluster_itself_can_be_asked_and_changed() {
    let api = Api::start().await;
    let client = api.client();
    assert_eq!(client.get("/skein/v1/peers").await.ok()["hosts"], json!([]));
    assert_eq!(client.delete("/skein/v1/nodes/h3").await.ok()["name"], "h3");
    assert_eq!(client.get("/skein/v1/recovery").await.ok()["replicas"], json!([]));
    let recovered = client.post("/skein/v1/recovery", &json!({"lead": "h2"})).await;
    assert_eq!(recovered.ok()["plan"]["lead"], "h2");
    assert_eq!(client.post("/skein/v1/recovery", &json!({"leda": "h2"})).await.code, 400);
    assert_eq!(client.post("/skein/v1/rejoin", &json!(null)).await.ok()["name"], "h1");
    assert_eq!(client.get("/skein/v1/rejoin").await.code, 405);
}
