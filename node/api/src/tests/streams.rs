//! Watches, and how the server ends.

use serde_json::{Value, json};

use super::harness::{Api, Client, DEADLINE};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

fn map(name: &str, app: &str) -> Value {
    json!({"metadata": {"name": name, "labels": {"app": app}}})
}

async fn relabel(client: &Client, name: &str, app: &str) {
    let patch = json!({"metadata": {"labels": {"app": app}}});
    let path = format!("{MAPS}/{name}");
    client.send_json("PATCH", &path, "application/merge-patch+json", &patch).await.ok();
}

fn event(kind: &str, name: &str) -> (String, String) {
    (kind.to_owned(), name.to_owned())
}

#[tokio::test]
async fn a_watch_tells_every_change_after_its_version_in_order() {
    let api = Api::with_namespace().await;
    let client = api.client();
    client.post(MAPS, &map("before", "x")).await.ok();
    let version = client.get(MAPS).await.ok()["metadata"]["resourceVersion"].clone();
    let version = version.as_str().unwrap();
    let mut watch = client.watch(&format!("{MAPS}?watch=true&resourceVersion={version}")).await;
    client.post(MAPS, &map("a", "x")).await.ok();
    relabel(&client, "a", "y").await;
    client.delete(&format!("{MAPS}/a")).await.ok();
    let added = watch.next().await.unwrap();
    assert_eq!((&added["type"], &added["object"]["kind"]), (&json!("ADDED"), &json!("ConfigMap")));
    let modified = watch.next().await.unwrap();
    assert_eq!(modified["type"], "MODIFIED");
    let deleted = watch.next().await.unwrap();
    assert_eq!(
        (&deleted["type"], &deleted["object"]["metadata"]["name"]),
        (&json!("DELETED"), &json!("a"))
    );
    let version = |line: &Value| -> u64 {
        line["object"]["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap()
    };
    assert!(version(&added) < version(&modified) && version(&modified) < version(&deleted));
}

#[tokio::test]
async fn a_watch_without_a_version_begins_with_what_is_there() {
    let api = Api::with_namespace().await;
    let client = api.client();
    client.post(MAPS, &map("a", "x")).await.ok();
    let mut watch = client.watch(&format!("{MAPS}?watch=true")).await;
    assert_eq!(watch.next_event().await, event("ADDED", "a"));
    client.post(MAPS, &map("b", "x")).await.ok();
    assert_eq!(watch.next_event().await, event("ADDED", "b"));
}

#[tokio::test]
async fn initial_events_end_with_a_bookmark() {
    let api = Api::with_namespace().await;
    let client = api.client();
    client.post(MAPS, &map("a", "x")).await.ok();
    let query =
        "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=1";
    let mut watch = client.watch(&format!("{MAPS}?{query}")).await;
    assert_eq!(watch.next_event().await, event("ADDED", "a"));
    let mark = watch.next().await.unwrap();
    assert_eq!(mark["type"], "BOOKMARK");
    let metadata = &mark["object"]["metadata"];
    assert_eq!(metadata["annotations"]["k8s.io/initial-events-end"], "true");
    assert!(metadata["resourceVersion"].is_string());
}

#[tokio::test]
async fn a_selected_watch_sees_arrivals_and_departures() {
    let api = Api::with_namespace().await;
    let client = api.client();
    client.post(MAPS, &map("a", "db")).await.ok();
    let mut watch = client.watch(&format!("{MAPS}?watch=1&labelSelector=app%3Dweb")).await;
    relabel(&client, "a", "web").await;
    assert_eq!(watch.next_event().await, event("ADDED", "a"));
    relabel(&client, "a", "db").await;
    assert_eq!(watch.next_event().await, event("DELETED", "a"));
}

#[tokio::test]
async fn one_object_can_be_watched_by_its_path_or_name() {
    let api = Api::with_namespace().await;
    let client = api.client();
    client.post(MAPS, &map("a", "x")).await.ok();
    client.post(MAPS, &map("b", "x")).await.ok();
    for path in
        [format!("{MAPS}/b?watch=1"), format!("{MAPS}?watch=1&fieldSelector=metadata.name%3Db")]
    {
        let mut watch = client.watch(&path).await;
        assert_eq!(watch.next_event().await, event("ADDED", "b"), "{path}");
    }
}

#[tokio::test]
async fn watches_of_tables_carry_rows() {
    let api = Api::with_namespace().await;
    let client = api.client();
    client.post(MAPS, &map("a", "x")).await.ok();
    let accept = "application/json;as=Table;v=v1;g=meta.k8s.io";
    let mut watch = client.watch_as(&format!("{MAPS}?watch=1"), accept).await;
    let line = watch.next().await.unwrap();
    assert_eq!(line["object"]["kind"], "Table");
    assert_eq!(line["object"]["rows"][0]["cells"][0], "a");
}

#[tokio::test]
async fn a_watch_ends_after_the_time_it_asked_for() {
    let api = Api::with_namespace().await;
    let client = api.client();
    let mut watch = client.watch(&format!("{MAPS}?watch=1&timeoutSeconds=1")).await;
    assert_eq!(watch.next().await, None);
}

#[tokio::test]
async fn the_server_stops_in_order_and_ends_its_watches() {
    let api = Api::with_namespace().await;
    let client = api.client();
    let mut watch = client.watch(&format!("{MAPS}?watch=1")).await;
    api.cancel.cancel();
    assert_eq!(watch.next().await, None);
    drop(watch);
    tokio::time::timeout(DEADLINE, api.server.stopped()).await.expect("it stops in time");
}
