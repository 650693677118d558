//! The audit log of requests that were served.

use std::{path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderName, header};
use serde_json::{Value, json};
use skein_consensus::MemoryStore;
use tokio::time::Instant;

use super::harness::{Api, DEADLINE};
use crate::{Audit, AuditLog};

const POLICY: &str = "
apiVersion: audit.k8s.io/v1
kind: Policy
rules:
- level: None
  resources: [{resources: [namespaces]}]
- level: RequestResponse
  omitManagedFields: true
  omitStages: [RequestReceived]
  resources: [{resources: [configmaps, serviceaccounts/token]}]
- level: Metadata
  resources: [{resources: [pods, serviceaccounts]}]
- level: RequestResponse
";

async fn start(directory: &Path) -> Api {
    let log = AuditLog { path: directory.join("audit.log"), file_bytes: 1 << 20, kept: 1 };
    let audit = Arc::new(Audit::start(POLICY.as_bytes(), log).unwrap());
    let api = Api::start_with(MemoryStore::new(), |_, api| api.audit = Some(audit)).await;
    let namespace = json!({"metadata": {"name": "default"}});
    api.client().post("/api/v1/namespaces", &namespace).await.ok();
    api
}

/// The events, once there are so many.
async fn events(directory: &Path, count: usize) -> Vec<Value> {
    let deadline = Instant::now() + DEADLINE;
    loop {
        let text = std::fs::read_to_string(directory.join("audit.log")).unwrap();
        let events: Vec<Value> =
            text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        if events.len() >= count {
            return events;
        }
        assert!(Instant::now() < deadline, "{} of {count}: {text}", events.len());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn objects_are_noted_with_who_asked_and_how_it_was_answered() {
    let directory = tempfile::tempdir().unwrap();
    let api = start(directory.path()).await;
    let client = api.client();
    let maps = "/api/v1/namespaces/default/configmaps";
    let map = json!({"metadata": {"name": "settings"}, "data": {"a": "b"}});
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (header::USER_AGENT, "kubectl/v1"),
        (HeaderName::from_static("audit-id"), "mine"),
    ];
    let body: Bytes = map.to_string().into();
    let made = client.send("POST", &format!("{maps}?fieldManager=me"), &headers, body).await;
    assert_eq!(made.header(HeaderName::from_static("audit-id")), "mine");
    let made = made.ok();
    let patch = json!({"data": {"a": "c"}});
    let path = format!("{maps}/settings");
    client.send_json("PATCH", &path, "application/merge-patch+json", &patch).await.ok();
    assert_eq!(client.get(&format!("{maps}/none")).await.code, 404);
    let events = events(directory.path(), 3).await;
    assert_eq!(events.len(), 3, "none of the namespace: {events:?}");
    let [create, change, miss] = &events[..] else { panic!() };

    for (member, expected) in [
        ("kind", json!("Event")),
        ("apiVersion", json!("audit.k8s.io/v1")),
        ("level", json!("RequestResponse")),
        ("auditID", json!("mine")),
        ("stage", json!("ResponseComplete")),
        ("verb", json!("create")),
        ("requestURI", json!(format!("{maps}?fieldManager=me"))),
        ("userAgent", json!("kubectl/v1")),
        ("sourceIPs", json!(["127.0.0.1"])),
        (
            "user",
            json!({"username": "admin", "groups": ["system:masters", "system:authenticated"]}),
        ),
        (
            "objectRef",
            json!({"resource": "configmaps", "apiVersion": "v1", "namespace": "default"}),
        ),
        ("responseStatus", json!({"metadata": {}, "code": 201})),
        ("requestObject", map),
    ] {
        assert_eq!(create[member], expected, "{member}");
    }
    let answer = &create["responseObject"];
    assert_eq!(answer["metadata"]["uid"], made["metadata"]["uid"]);
    assert!(answer["metadata"]["managedFields"].is_null(), "they are not wanted");
    for member in ["requestReceivedTimestamp", "stageTimestamp"] {
        create[member].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    }
    assert_eq!((&change["verb"], &change["requestObject"]), (&json!("patch"), &patch));
    assert_eq!(change["objectRef"]["name"], "settings");
    let status = &miss["responseStatus"];
    assert_eq!((&status["code"], &status["reason"]), (&json!(404), &json!("NotFound")));
}

#[tokio::test]
async fn no_token_and_no_key_is_ever_noted() {
    let directory = tempfile::tempdir().unwrap();
    let api = start(directory.path()).await;
    let client = api.client();
    let accounts = "/api/v1/namespaces/default/serviceaccounts";
    client.post(accounts, &json!({"metadata": {"name": "robot"}})).await.ok();
    let token = client.post(&format!("{accounts}/robot/token"), &json!({})).await.ok();
    let token = token["status"]["token"].as_str().unwrap();
    let reviews = "/apis/authentication.k8s.io/v1/tokenreviews";
    client.post(reviews, &json!({"spec": {"token": token}})).await.ok();
    let user = json!({"user": "ann", "lifetimeSeconds": 60});
    let key = client.post("/skein/v1/kubeconfig", &user).await.ok()["key"].to_string();
    let bearer = format!("Bearer {token}");
    let headers = [(header::AUTHORIZATION, bearer.as_str())];
    let robot = api.client_with(None);
    assert_eq!(robot.send("GET", "/metrics", &headers, Bytes::new()).await.code, 403);
    assert_eq!(robot.get("/metrics").await.code, 401);
    let events = events(directory.path(), 11).await;
    let text = std::fs::read_to_string(directory.path().join("audit.log")).unwrap();
    assert!(!text.contains(token) && !text.contains(&key), "{text}");
    let user = |event: &Value| event["user"]["username"].as_str().unwrap().to_owned();
    let last = &events[events.len() - 2..];
    assert_eq!(
        last.iter().map(user).collect::<Vec<_>>(),
        ["system:anonymous"; 2],
        "nobody knows who: {last:?}"
    );
    assert_eq!(last[1]["responseStatus"]["code"], 401);
    let refused = &events[events.len() - 3];
    assert_eq!(user(refused), "system:serviceaccount:default:robot");
    assert_eq!(refused["responseStatus"]["reason"], "Forbidden");
}

#[tokio::test]
async fn a_watch_is_noted_when_it_begins_and_when_it_ends() {
    let directory = tempfile::tempdir().unwrap();
    let api = start(directory.path()).await;
    let client = api.client();
    let watch = client.watch("/api/v1/namespaces/default/pods?watch=true").await;
    let begun = events(directory.path(), 2).await;
    let stages: Vec<_> = begun.iter().map(|event| event["stage"].as_str().unwrap()).collect();
    assert_eq!(stages, ["RequestReceived", "ResponseStarted"]);
    assert_eq!(begun[1]["verb"], "watch");
    drop((watch, client));
    let ended = events(directory.path(), 3).await;
    assert_eq!(ended[2]["stage"], "ResponseComplete");
    assert_eq!(ended[2]["auditID"], begun[0]["auditID"]);
}

#[tokio::test]
async fn what_nobody_waits_for_and_what_is_refused_early_is_noted_too() {
    let directory = tempfile::tempdir().unwrap();
    let api = start(directory.path()).await;
    let impersonate = [(HeaderName::from_static("impersonate-user"), "eve")];
    let refused = api.client().send("GET", "//api/v1/%70ods", &impersonate, Bytes::new()).await;
    assert_eq!(refused.code, 403);
    let noted = events(directory.path(), 2).await;
    assert_eq!(noted[1]["user"]["username"], "admin");
    assert_eq!(noted[1]["responseStatus"]["code"], 403);
    // A request whose body never ends, and whose client goes.
    let configmaps = "/api/v1/namespaces/default/configmaps";
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CONTENT_LENGTH, "100")];
    api.client().abandon("POST", configmaps, &headers, "{").await;
    let noted = events(directory.path(), 3).await;
    let status = &noted[2]["responseStatus"];
    assert_eq!(noted[2]["verb"], "create", "{noted:?}");
    assert_ne!(status["code"], 201);
}

#[tokio::test]
async fn what_is_queued_is_written_before_the_log_ends() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("audit.log");
    let log = |path| AuditLog { path, file_bytes: 1 << 20, kept: 1 };
    let audit = Arc::new(Audit::start(POLICY.as_bytes(), log(path.clone())).unwrap());
    for _ in 0..100 {
        let request = http::Request::get("/metrics").body(()).unwrap();
        let record = crate::audit::Record::begin(&audit, &request, None);
        let reply = crate::reply::json_value(http::StatusCode::OK, &json!({}));
        record.answered(reply, crate::service::Lasts::Once).await;
    }
    // One whose client is gone before the answer.
    let request = http::Request::get("/metrics").body(()).unwrap();
    let record = crate::audit::Record::begin(&audit, &request, None);
    let action =
        crate::access::Action { verb: "get", object: crate::access::Object::Path("/metrics") };
    record.asked(&crate::Identity::default(), &action, None).await;
    drop(record);
    drop(audit);
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(text.lines().count(), 202, "both stages of each");
    assert!(text.lines().last().unwrap().contains("the client was gone"), "{text}");
    let nowhere = directory.path().join("none/audit.log");
    let error = Audit::start(POLICY.as_bytes(), log(nowhere)).err().unwrap().to_string();
    assert!(error.contains("none/audit.log cannot be opened"), "{error}");
}
