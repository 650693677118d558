//! The API of one host, with what a client library would hide: the status code, and whether the
//! answer may be stale.

use std::time::Duration;

use anyhow::{Context, Result};
use kube::{Client, client::Body, config::Kubeconfig};
use serde_json::Value;
use tokio::time::timeout;

use crate::{Cluster, client};

/// One answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The HTTP status code.
    pub code: u16,
    /// The `Warning` header, empty if there is none.
    pub warning: String,
    /// The body, null if it is not JSON.
    pub body: Value,
}

impl Answer {
    /// Whether the request was carried out.
    pub fn succeeded(&self) -> bool {
        (200..300).contains(&self.code)
    }

    /// Whether it comes from a host that could not ask the leader.
    pub fn stale(&self) -> bool {
        self.warning.contains("stale")
    }

    /// The object's `resourceVersion`.
    pub fn revision(&self) -> Option<u64> {
        revision_of(&self.body)
    }
}

/// An object's `resourceVersion`.
pub fn revision_of(object: &Value) -> Option<u64> {
    object["metadata"]["resourceVersion"].as_str()?.parse().ok()
}

/// A connection to the API of one host; every request has a deadline.
#[derive(Clone)]
pub struct Http {
    client: Client,
    deadline: Duration,
}

impl Http {
    /// A connection to `host`, made when it is first used.
    ///
    /// # Errors
    /// When the kubeconfig is unusable.
    pub async fn new(cluster: &Cluster, host: &str, deadline: Duration) -> Result<Self> {
        let kubeconfig =
            Kubeconfig::read_from(cluster.kubeconfig(host)).context(host.to_owned())?;
        Ok(Self { client: client(kubeconfig, deadline).await?, deadline })
    }

    /// Reads.
    ///
    /// # Errors
    /// When no answer comes in time.
    pub async fn get(&self, path: &str) -> Result<Answer> {
        self.send(http::Method::GET, path, None).await
    }

    /// Creates.
    ///
    /// # Errors
    /// When no answer comes in time.
    pub async fn post(&self, path: &str, object: &Value) -> Result<Answer> {
        self.send(http::Method::POST, path, Some(object)).await
    }

    /// Replaces.
    ///
    /// # Errors
    /// When no answer comes in time.
    pub async fn put(&self, path: &str, object: &Value) -> Result<Answer> {
        self.send(http::Method::PUT, path, Some(object)).await
    }

    async fn send(&self, method: http::Method, path: &str, body: Option<&Value>) -> Result<Answer> {
        let bytes = body.map(Value::to_string).unwrap_or_default().into_bytes();
        let request = http::Request::builder()
            .method(method)
            .uri(path)
            .header(http::header::CONTENT_TYPE, "application/json")
            .body(Body::from(bytes))?;
        let exchange = async {
            let response = self.client.send(request).await?;
            let (parts, body) = response.into_parts();
            let bytes = body.collect_bytes().await?;
            anyhow::Ok((parts, bytes))
        };
        let (parts, bytes) =
            timeout(self.deadline, exchange).await.context("no answer in time")??;
        let warning = parts.headers.get(http::header::WARNING);
        let warning = warning.and_then(|value| value.to_str().ok()).unwrap_or_default();
        Ok(Answer {
            code: parts.status.as_u16(),
            warning: warning.to_owned(),
            body: serde_json::from_slice(&bytes).unwrap_or_default(),
        })
    }
}
