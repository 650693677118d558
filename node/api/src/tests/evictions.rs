//! Evictions and the budgets that bind them.

use serde_json::{Value, json};

use super::harness::{Api, Client};

const PODS: &str = "/api/v1/namespaces/default/pods";
const BUDGETS: &str = "/apis/policy/v1/namespaces/default/poddisruptionbudgets";

/// Makes a pod that runs; `ready` is the status of its condition.
async fn run(client: &Client, name: &str, ready: &str) {
    let mut pod = client
        .post(
            PODS,
            &json!({"metadata": {"name": name, "labels": {"app": "web"}},
            "spec": {"containers": [{"name": "main", "image": "hello"}]}}),
        )
        .await
        .ok();
    pod["status"]["phase"] = json!("Running");
    pod["status"]["conditions"] = json!([{"type": "Ready", "status": ready}]);
    client.put(&format!("{PODS}/{name}/status"), &pod).await.ok();
}

/// Makes a budget whose controller says this of it.
async fn protect(client: &Client, name: &str, allowed: i32, observed: i64) {
    let mut budget = client
        .post(
            BUDGETS,
            &json!({"metadata": {"name": name},
            "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}}}),
        )
        .await
        .ok();
    budget["status"] = json!({"disruptionsAllowed": allowed, "currentHealthy": 1 + allowed,
        "desiredHealthy": 1, "expectedPods": 2, "observedGeneration": observed});
    client.put(&format!("{BUDGETS}/{name}/status"), &budget).await.ok();
}

async fn evict(client: &Client, name: &str, options: Value) -> (u16, Value) {
    let eviction = json!({"apiVersion": "policy/v1", "kind": "Eviction",
        "metadata": {"name": name}, "deleteOptions": options});
    let answer = client.post(&format!("{PODS}/{name}/eviction"), &eviction).await;
    (answer.code, answer.json())
}

async fn is_ending(client: &Client, name: &str) -> bool {
    let pod = client.get(&format!("{PODS}/{name}")).await;
    pod.code == 404 || pod.json()["metadata"]["deletionTimestamp"].is_string()
}

#[tokio::test]
async fn an_eviction_takes_what_the_budget_has_and_no_more() {
    let api = Api::with_namespace().await;
    let client = api.client();
    for name in ["a", "b"] {
        run(&client, name, "True").await;
    }
    protect(&client, "web", 1, 1).await;
    assert_eq!(evict(&client, "a", json!({"dryRun": ["All"]})).await.0, 201);
    let budget = client.get(&format!("{BUDGETS}/web")).await.ok();
    assert_eq!(budget["status"]["disruptionsAllowed"], 1, "that was dry");

    assert_eq!(evict(&client, "a", Value::Null).await.0, 201);
    let budget = client.get(&format!("{BUDGETS}/web")).await.ok();
    assert_eq!(budget["status"]["disruptionsAllowed"], 0);
    assert!(budget["status"]["disruptedPods"]["a"].is_string(), "{budget}");

    let (code, refused) = evict(&client, "b", Value::Null).await;
    assert_eq!((code, &refused["reason"]), (429, &json!("TooManyRequests")));
    assert!(refused["details"]["retryAfterSeconds"].is_null(), "nobody knows when: {refused}");
    let cause = &refused["details"]["causes"][0];
    let why = "The disruption budget web needs 1 healthy pods and has 2 currently";
    assert_eq!((&cause["reason"], &cause["message"]), (&json!("DisruptionBudget"), &json!(why)));
    assert!(is_ending(&client, "a").await && !is_ending(&client, "b").await);
}

#[tokio::test]
async fn a_budget_that_is_not_counted_yet_allows_nothing() {
    let api = Api::with_namespace().await;
    let client = api.client();
    run(&client, "a", "True").await;
    protect(&client, "web", 1, 0).await;
    let (code, refused) = evict(&client, "a", Value::Null).await;
    assert_eq!((code, &refused["details"]["retryAfterSeconds"]), (429, &json!(10)));
    let why = "The disruption budget web is still being processed by the server.";
    assert_eq!(refused["details"]["causes"][0]["message"], why);
}

#[tokio::test]
async fn pods_that_nobody_misses_need_no_budget() {
    let api = Api::with_namespace().await;
    let client = api.client();
    protect(&client, "web", 0, 1).await;
    let new = json!({"metadata": {"name": "new", "labels": {"app": "web"}},
        "spec": {"containers": [{"name": "main", "image": "hello"}]}});
    client.post(PODS, &new).await.ok();
    assert_eq!(evict(&client, "new", Value::Null).await.0, 201, "it has not started");
    run(&client, "ill", "False").await;
    assert_eq!(evict(&client, "ill", Value::Null).await.0, 201, "enough others are well");
    run(&client, "well", "True").await;
    assert_eq!(evict(&client, "well", Value::Null).await.0, 429);
    protect(&client, "second", 1, 1).await;
    let (code, refused) = evict(&client, "well", Value::Null).await;
    assert_eq!(code, 500);
    assert!(refused["message"].as_str().unwrap().contains("more than one"), "{refused}");
}
