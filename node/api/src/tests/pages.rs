//! Pages of a list, and lists of the past.

use std::sync::Arc;

use serde_json::{Value, json};
use skein_consensus::{
    Key, MemoryStore, Operation, Precondition, SharedStore, StoreClient, Transaction,
};

use super::harness::{Api, Client};
use crate::Impairment;

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

async fn start() -> (Arc<MemoryStore>, Api) {
    let store = MemoryStore::new();
    let shared: SharedStore = store.clone();
    let api = Api::start_with(shared, |_, _| {}).await;
    for namespace in ["default", "other"] {
        let namespace = json!({"metadata": {"name": namespace}});
        api.client().post("/api/v1/namespaces", &namespace).await.ok();
    }
    (store, api)
}

fn map(name: &str, value: &str) -> Value {
    json!({"metadata": {"name": name, "labels": {"is": "listed"}}, "data": {"key": value}})
}

async fn add(client: &Client, names: &[&str]) {
    for name in names {
        client.post(MAPS, &map(name, "first")).await.ok();
    }
}

/// Changes `b`, makes `bb`, makes `c` anew and deletes `d`.
async fn change(client: &Client) {
    client.put(&format!("{MAPS}/b"), &map("b", "second")).await.ok();
    client.put(&format!("{MAPS}/b"), &map("b", "third")).await.ok();
    client.post(MAPS, &map("bb", "second")).await.ok();
    client.delete(&format!("{MAPS}/c")).await.ok();
    client.post(MAPS, &map("c", "second")).await.ok();
    client.delete(&format!("{MAPS}/d")).await.ok();
}

/// Makes the store forget every change of config maps so far.
async fn forget(store: &MemoryStore) {
    for name in ["x", "y", "z"] {
        let (key, value) = (Key::new("configmaps", "other", name), vec![b' '; 3 << 20].into());
        let put = Operation::Put { key, value, when: Precondition::Any };
        store.write(Transaction::new(vec![put])).await.unwrap();
    }
}

/// Names and values.
fn content(list: &Value) -> Vec<String> {
    let text = |item: &Value| {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        format!("{}={}", text(&item["metadata"]["name"]), text(&item["data"]["key"]))
    };
    list["items"].as_array().unwrap().iter().map(text).collect()
}

fn token(list: &Value) -> String {
    list["metadata"]["continue"].as_str().unwrap().to_owned()
}

fn version(list: &Value) -> String {
    list["metadata"]["resourceVersion"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn every_page_shows_the_revision_of_the_first() {
    let (_store, api) = start().await;
    let client = api.client();
    add(&client, &["a", "b", "c", "d", "e"]).await;
    let all = client.get(MAPS).await.ok();
    for (selector, counted) in [("", true), ("&labelSelector=is%3Dlisted", false)] {
        for collection in [MAPS, "/api/v1/configmaps"] {
            let first = client.get(&format!("{collection}?limit=1{selector}")).await.ok();
            let whole = content(&client.get(MAPS).await.ok());
            change(&client).await;
            let (mut pages, mut joined, mut remaining) = (vec![first.clone()], Vec::new(), 4);
            while pages.last().unwrap()["metadata"]["continue"].is_string() {
                let page = pages.last().unwrap();
                let expected = counted.then_some(remaining);
                assert_eq!(page["metadata"]["remainingItemCount"], json!(expected));
                let next = format!("{collection}?limit=1{selector}&continue={}", token(page));
                pages.push(client.get(&next).await.ok());
                remaining -= 1;
            }
            for page in &pages {
                assert_eq!(version(page), version(&first));
                joined.extend(content(page));
            }
            assert_eq!(joined, whole);
            // As it was, for the next round.
            client.delete(&format!("{MAPS}/bb")).await.ok();
            add(&client, &["d"]).await;
        }
    }
    let now = content(&client.get(MAPS).await.ok());
    assert_eq!(now, ["a=first", "b=third", "c=second", "d=first", "e=first"]);
    assert_eq!(all["items"].as_array().unwrap().len(), 5);
}

#[tokio::test]
async fn a_list_is_exactly_of_the_version_asked_for() {
    let (store, api) = start().await;
    let client = api.client();
    add(&client, &["a", "b", "c", "d"]).await;
    let then = client.get(MAPS).await.ok();
    change(&client).await;
    let at = format!("{MAPS}?resourceVersion={}", version(&then));
    let exact = client.get(&format!("{at}&resourceVersionMatch=Exact")).await.ok();
    assert_eq!((content(&exact), version(&exact)), (content(&then), version(&then)));
    let newer = client.get(&format!("{at}&resourceVersionMatch=NotOlderThan")).await.ok();
    assert_eq!(content(&newer), ["a=first", "b=third", "bb=second", "c=second"]);
    // With a limit a version means exactly that one, as in Kubernetes.
    let page = client.get(&format!("{at}&limit=3")).await.ok();
    assert_eq!((content(&page).as_slice(), version(&page)), (&content(&then)[..3], version(&then)));
    let rest = client.get(&format!("{MAPS}?continue={}", token(&page))).await.ok();
    assert_eq!((content(&rest), version(&rest)), (vec!["d=first".to_owned()], version(&then)));
    forget(&store).await;
    let refused = client.get(&format!("{at}&resourceVersionMatch=Exact")).await;
    let status = refused.json();
    assert_eq!((refused.code, &status["reason"]), (410, &json!("Expired")));
    assert_eq!(status["metadata"], json!({}), "there is nothing to go on with");
}

#[tokio::test]
async fn a_list_that_has_expired_may_go_on_in_the_present() {
    let (store, api) = start().await;
    let client = api.client();
    add(&client, &["a", "b", "c", "d"]).await;
    let first = client.get(&format!("{MAPS}?limit=1")).await.ok();
    change(&client).await;
    forget(&store).await;
    let refused = client.get(&format!("{MAPS}?limit=1&continue={}", token(&first))).await;
    let status = refused.json();
    assert_eq!((refused.code, &status["reason"]), (410, &json!("Expired")));
    let message = status["message"].as_str().unwrap();
    let begin = "The provided continue parameter is too old to display a consistent list result. \
        You can start a new list without the continue parameter, or use the continue token in this \
        response to retrieve the remainder of the results. ";
    assert!(message.starts_with(begin), "{message}");
    let next = client.get(&format!("{MAPS}?limit=1&continue={}", token(&status))).await.ok();
    assert_eq!(content(&next), ["b=third"]);
    assert_ne!(version(&next), version(&first));
    assert_eq!(next["metadata"]["remainingItemCount"], 2);
    // From here on it is consistent again.
    client.delete(&format!("{MAPS}/bb")).await.ok();
    let rest = client.get(&format!("{MAPS}?continue={}", token(&next))).await.ok();
    assert_eq!(content(&rest), ["bb=second", "c=second"]);
    assert_eq!(version(&rest), version(&next));
}

#[tokio::test]
async fn a_token_is_taken_alone_and_for_the_list_that_gave_it() {
    let (_store, api) = start().await;
    let client = api.client();
    add(&client, &["a", "b"]).await;
    let token = token(&client.get(&format!("{MAPS}?limit=1")).await.ok());
    let code = async |path: String| client.get(&path).await.code;
    assert_eq!(code(format!("{MAPS}?continue={token}&resourceVersion=0")).await, 200);
    let other = MAPS.replace("default", "other");
    for path in [
        format!("{MAPS}?continue={token}&resourceVersion=2"),
        format!("{MAPS}?continue={token}&resourceVersion=2&resourceVersionMatch=Exact"),
        format!("{other}?continue={token}"),
        format!("/api/v1/nodes?continue={token}"),
        format!("{MAPS}?continue=0.default/a"),
    ] {
        assert_eq!(code(path.clone()).await, 400, "{path}");
    }
}

#[tokio::test]
async fn without_a_quorum_pages_are_read_from_what_is_there() {
    let (_store, api) = start().await;
    let client = api.client();
    add(&client, &["a", "b", "c"]).await;
    let first = client.get(&format!("{MAPS}?limit=1")).await.ok();
    client.delete(&format!("{MAPS}/b")).await.ok();
    *api.cluster.impairment.lock().unwrap() =
        Some(Impairment { reads: "stale".to_owned(), writes: "none".to_owned() });
    let rest = client.get(&format!("{MAPS}?continue={}", token(&first))).await.ok();
    assert_eq!(content(&rest), ["b=first", "c=first"]);
    // A fresher replica gave this one; nobody waits for what may never come.
    let ahead = format!("{MAPS}?continue=999.default/a");
    let refused = client.get(&ahead).await;
    assert_eq!(refused.code, 410);
    let next = format!("{MAPS}?continue={}", token(&refused.json()));
    assert_eq!(content(&client.get(&next).await.ok()), ["c=first"]);
}
