//! Every failure is a `Status` with the code, reason and message that clients know.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http::header;
use serde_json::{Value, json};
use skein_consensus::{
    Consistency, Key, KeyRange, ListOptions, Listing, Record, Revision, StoreClient, StoreError,
    Transaction, WatchStream,
};

use super::harness::{Answer, Api};
use crate::Impairment;

fn assert_status(answer: &Answer, code: u16, reason: &str, message: &str, context: &str) {
    let status = answer.json();
    assert_eq!(answer.code, code, "{context}: {status}");
    assert_eq!(status["kind"], "Status", "{context}");
    assert_eq!(status["status"], "Failure", "{context}");
    assert_eq!(status["code"], json!(code), "{context}");
    assert_eq!(status["reason"], reason, "{context}: {status}");
    let text = status["message"].as_str().unwrap();
    assert!(text.contains(message), "{context}: {text}");
}

#[tokio::test]
async fn failures_are_statuses_that_clients_know() {
    let api = Api::with_namespace().await;
    let client = api.client();
    let config_maps = "/api/v1/namespaces/default/configmaps";
    let map = json!({"metadata": {"name": "a"}});
    client.post(config_maps, &map).await.ok();
    let unsupported = "could not find the requested resource";
    let cases: &[(&str, &str, Value, u16, &str, &str)] = &[
        ("GET", "/nothing", Value::Null, 404, "NotFound", unsupported),
        ("GET", "/api/v1/unicorns", Value::Null, 404, "NotFound", unsupported),
        ("GET", "/apis/none/v1", Value::Null, 404, "NotFound", unsupported),
        (
            "GET",
            &format!("{config_maps}/b"),
            Value::Null,
            404,
            "NotFound",
            "configmaps \"b\" not found",
        ),
        ("POST", config_maps, map.clone(), 409, "AlreadyExists", "configmaps \"a\" already exists"),
        (
            "POST",
            "/api/v1/namespaces/nowhere/configmaps",
            map.clone(),
            404,
            "NotFound",
            "namespaces \"nowhere\" not found",
        ),
        ("POST", config_maps, json!({"kind": "Pod"}), 400, "BadRequest", "ConfigMap"),
        ("POST", config_maps, json!([1]), 400, "BadRequest", "ConfigMap"),
        (
            "POST",
            config_maps,
            json!({"metadata": {"name": "A B"}}),
            422,
            "Invalid",
            "metadata.name",
        ),
        (
            "PUT",
            &format!("{config_maps}/a"),
            json!({"metadata": {"name": "a", "resourceVersion": "1"}}),
            409,
            "Conflict",
            "the object has been modified",
        ),
        (
            "POST",
            &format!("{config_maps}/a"),
            map.clone(),
            405,
            "MethodNotAllowed",
            "does not allow",
        ),
        ("PATCH", config_maps, map.clone(), 405, "MethodNotAllowed", "does not allow"),
        (
            "PATCH",
            &format!("{config_maps}/a"),
            map.clone(),
            415,
            "UnsupportedMediaType",
            "merge-patch",
        ),
        ("GET", &format!("{config_maps}?limit=many"), Value::Null, 400, "BadRequest", "limit"),
        ("GET", &format!("{config_maps}?labelSelector=%3D%3D"), Value::Null, 400, "BadRequest", ""),
        (
            "GET",
            &format!("{config_maps}?fieldSelector=data.a%3Db"),
            Value::Null,
            400,
            "BadRequest",
            "",
        ),
        ("GET", &format!("{config_maps}?continue=x"), Value::Null, 400, "BadRequest", "continue"),
        ("POST", &format!("{config_maps}?dryRun=Some"), map.clone(), 400, "BadRequest", "dryRun"),
        (
            "DELETE",
            "/api/v1/namespaces/default",
            Value::Null,
            403,
            "Forbidden",
            "may not be deleted",
        ),
    ];
    for (method, path, body, code, reason, message) in cases {
        let answer = match body {
            Value::Null => client.send(method, path, &[], Bytes::new()).await,
            body => client.send_json(method, path, "application/json", body).await,
        };
        assert_status(&answer, *code, reason, message, &format!("{method} {path} {body}"));
    }
}

#[tokio::test]
async fn broken_and_foreign_bodies_are_refused_with_the_reason() {
    let api = Api::with_namespace().await;
    let client = api.client();
    let path = "/api/v1/namespaces/default/configmaps";
    let send = async |content_type: &str, body: &'static str| {
        let headers = [(header::CONTENT_TYPE, content_type)];
        client.send("POST", path, &headers, Bytes::from_static(body.as_bytes())).await
    };
    let broken = send("application/json", "{\"metadata\":").await;
    assert_status(&broken, 400, "BadRequest", "parsing JSON", "broken JSON");
    let broken = send("application/yaml", "metadata: {name: [").await;
    assert_status(&broken, 400, "BadRequest", "parsing YAML", "broken YAML");
    let protobuf = send("application/vnd.kubernetes.protobuf", "k8s").await;
    assert_status(&protobuf, 400, "BadRequest", "protobuf", "broken protobuf");
    let cbor = send("application/cbor", "{}").await;
    assert_status(&cbor, 415, "UnsupportedMediaType", "application/json", "cbor");
    let apply = [(header::CONTENT_TYPE, "application/apply-patch+cbor")];
    let applied = client.send("PATCH", &format!("{path}/a"), &apply, Bytes::new()).await;
    assert_status(&applied, 415, "UnsupportedMediaType", "strategic-merge-patch", "apply");
    let protobuf = client.get_as(path, "application/vnd.kubernetes.protobuf").await;
    assert_status(&protobuf, 406, "NotAcceptable", "application/json", "accept");
}

#[tokio::test]
async fn a_body_that_announces_too_much_is_refused_unread() {
    let api = Api::with_namespace().await;
    let headers = [(header::CONTENT_LENGTH, "20000000"), (header::EXPECT, "100-continue")];
    let path = "/api/v1/namespaces/default/configmaps";
    let answer = api.client().send("POST", path, &headers, Bytes::from(vec![b' '; 1024])).await;
    assert_status(&answer, 413, "RequestEntityTooLarge", "too large", "announced");
}

#[tokio::test]
async fn unknown_fields_fail_strict_requests_and_warn_others() {
    let api = Api::with_namespace().await;
    let client = api.client();
    let path = "/api/v1/namespaces/default/configmaps";
    let odd = json!({"metadata": {"name": "a"}, "unheardOf": 1});
    let strict = client.post(&format!("{path}?fieldValidation=Strict"), &odd).await;
    assert_status(&strict, 400, "BadRequest", "unheardOf", "strict");
    let warned = client.post(path, &odd).await;
    warned.ok();
    let warning = warned.header(header::WARNING);
    assert!(warning.starts_with("299 - \"") && warning.contains("unheardOf"), "{warning}");
}

#[tokio::test]
async fn without_a_certificate_only_health_and_version_are_served() {
    let api = Api::start().await;
    let nobody = api.client_with(None);
    for path in ["/healthz", "/livez", "/readyz", "/version"] {
        assert_eq!(nobody.get(path).await.code, 200, "{path}");
    }
    for path in ["/api", "/api/v1/pods", "/skein/v1/status", "/nothing"] {
        assert_status(&nobody.get(path).await, 401, "Unauthorized", "Unauthorized", path);
    }
}

#[tokio::test]
async fn too_many_requests_are_told_to_come_back() {
    let api =
        Api::start_with(skein_consensus::MemoryStore::new(), |_, api| api.load.streams = 1).await;
    let client = api.client();
    let mut held = client.watch("/api/v1/pods?watch=1&allowWatchBookmarks=1").await;
    let refused = client.get("/api/v1/pods?watch=1").await;
    assert_status(&refused, 429, "TooManyRequests", "try again later", "second watch");
    assert_eq!(refused.header(header::RETRY_AFTER), "1");
    client.get("/api/v1/pods").await.ok();
    api.cancel.cancel();
    while held.next().await.is_some() {}
}

#[tokio::test]
async fn connections_beyond_the_bound_are_closed() {
    let api =
        Api::start_with(skein_consensus::MemoryStore::new(), |config, _| config.connections = 1)
            .await;
    let client = api.client();
    let held = client.watch("/api/v1/pods?watch=1").await;
    assert!(client.is_turned_away().await);
    drop(held);
}

/// A store without a leader.
struct Leaderless;

fn unavailable<T>() -> Result<T, StoreError> {
    Err(StoreError::Unavailable("no quorum".to_owned()))
}

#[async_trait]
impl StoreClient for Leaderless {
    async fn write(&self, _: Transaction) -> Result<Vec<Revision>, StoreError> {
        unavailable()
    }

    async fn get(
        &self,
        _: &Key,
        consistency: Consistency,
    ) -> Result<(Option<Record>, Revision), StoreError> {
        match consistency {
            Consistency::Any => Ok((None, Revision(5))),
            _ => unavailable(),
        }
    }

    async fn list(
        &self,
        _: &KeyRange,
        _: ListOptions,
        consistency: Consistency,
    ) -> Result<Listing, StoreError> {
        match consistency {
            Consistency::Any => {
                Ok(Listing { records: Vec::new(), revision: Revision(5), remaining: 0 })
            }
            _ => unavailable(),
        }
    }

    async fn watch(&self, _: &KeyRange, from: Revision) -> Result<WatchStream, StoreError> {
        Err(StoreError::Compacted { requested: from, oldest: Revision(5) })
    }
}

#[tokio::test]
async fn without_quorum_fresh_reads_and_writes_fail_and_stale_reads_go_on() {
    let api = Api::start_with(Arc::new(Leaderless), |_, _| {}).await;
    let client = api.client();
    let read = client.get("/api/v1/nodes").await;
    assert_status(&read, 503, "ServiceUnavailable", "no reachable leader", "read");
    assert_eq!(read.header(header::RETRY_AFTER), "1");
    let write = client.post("/api/v1/nodes", &json!({"metadata": {"name": "h1"}})).await;
    assert_status(&write, 504, "Timeout", "may or may not", "write");
    assert_eq!(client.get("/api/v1/nodes?resourceVersion=0").await.code, 200);
    let watch = client.get("/api/v1/nodes?watch=1&resourceVersion=2").await;
    assert_status(&watch, 410, "Expired", "too old resource version: 2", "watch");
}

#[tokio::test]
async fn a_lost_quorum_is_said_with_every_read_and_refuses_every_write() {
    let api = Api::start_with(Arc::new(Leaderless), |_, _| {}).await;
    *api.cluster.impairment.lock().unwrap() = Some(Impairment {
        reads: "no quorum: this may be \"stale\"".to_owned(),
        writes: "voters h2, h3 do not answer".to_owned(),
    });
    let client = api.client();
    let list = client.get("/api/v1/nodes").await;
    assert_eq!(list.ok()["metadata"]["resourceVersion"], "5");
    assert_eq!(list.header(header::WARNING), r#"299 skein "no quorum: this may be \"stale\"""#);
    let absent = client.get("/api/v1/nodes/h9").await;
    assert_status(&absent, 404, "NotFound", "not found", "get");
    let write = client.post("/api/v1/nodes", &json!({"metadata": {"name": "h1"}})).await;
    assert_status(&write, 503, "ServiceUnavailable", "voters h2, h3 do not answer", "write");
    assert_eq!(write.header(header::RETRY_AFTER), "");
}
