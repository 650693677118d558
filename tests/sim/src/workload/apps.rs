//! A user who makes, scales, changes and deletes Deployments through the API of one host.

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http::{Method, Request, header};
use http_body_util::{BodyExt, Full};
use rand::{Rng, rngs::StdRng};
use serde_json::{Value, json};
use skein_api::{Api, Identity};
use tokio::time::{Duration, sleep, timeout};

use crate::history::History;

/// Deployments in use.
const APPS: u32 = 3;

/// Replicas a Deployment has at most.
const REPLICAS: u32 = 4;

/// How long a request may take before the user gives it up.
const PATIENCE: Duration = Duration::from_secs(15);

const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/default/deployments";
const PODS: &str = "/api/v1/namespaces/default/pods";

/// Uses Deployments until dropped or until the history is complete.
pub(crate) async fn use_apps(api: Api, history: History, mut luck: StdRng) {
    while !history.is_complete() {
        sleep(Duration::from_millis(luck.random_range(200..4_000))).await;
        let (name, replicas) =
            (format!("app{}", luck.random_range(0..APPS)), luck.random_range(0..=REPLICAS));
        let one = format!("{DEPLOYMENTS}/{name}");
        let asked = match luck.random_range(0..8) {
            0..=2 => call(&api, Method::POST, DEPLOYMENTS, Some(deployment(&name, replicas))),
            3..=5 => call(&api, Method::PATCH, &one, Some(json!({"spec": {"replicas": replicas}}))),
            6 => {
                let image = format!("server:{}", luck.random_range(1..100));
                let containers = json!([{"name": "main", "image": image}]);
                let template = json!({"spec": {"containers": containers}});
                call(&api, Method::PATCH, &one, Some(json!({"spec": {"template": template}})))
            }
            _ => call(&api, Method::DELETE, &one, None),
        };
        // What came of it shows in the store; refusals and silence are part of a user's life.
        drop(timeout(PATIENCE, asked).await);
    }
}

fn deployment(name: &str, replicas: u32) -> Value {
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {
                    "terminationGracePeriodSeconds": 1,
                    "containers": [{"name": "main", "image": "server:1"}],
                },
            },
        },
    })
}

/// The Deployments and the pods there are, as the API lists them.
pub(crate) async fn list_apps(api: &Api) -> Result<(Value, Value)> {
    let deployments = call(api, Method::GET, DEPLOYMENTS, None).await?;
    Ok((deployments, call(api, Method::GET, PODS, None).await?))
}

async fn call(api: &Api, method: Method, path: &str, body: Option<Value>) -> Result<Value> {
    let content = match method {
        Method::PATCH => "application/merge-patch+json",
        _ => "application/json",
    };
    let body = body.map(|body| body.to_string()).unwrap_or_default();
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::CONTENT_TYPE, content)
        .body(Full::new(Bytes::from(body)))
        .context("a request")?;
    let user = Identity {
        user: "admin".into(),
        groups: vec!["system:masters".into()],
        ..Identity::default()
    };
    let (head, body) = api.handle(request, Some(user.into())).await.into_parts();
    let body = body.collect().await.context("an answer")?.to_bytes();
    let text = String::from_utf8_lossy(&body);
    ensure!(head.status.is_success(), "{path}: {} {text}", head.status);
    serde_json::from_slice(&body).context("an answer that is not JSON")
}
