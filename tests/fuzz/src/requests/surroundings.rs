//! Hosts that answer at once, and a cluster that is well.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, stream};
use prometheus_client::registry::Registry;
use serde_json::{Value, json};
use skein_api::{
    ByteStream, ClusterView, ConnectRequest, Conversation, Duplex, ExecRequest, Gauge, HostProxy,
    ImageLoad, Impairment, LogRequest, UserCertificate,
};
use skein_objects::StatusError;

/// Hosts with nothing to say but the log.
pub(super) struct Hosts;

#[async_trait]
impl HostProxy for Hosts {
    async fn pod_logs(&self, _node: &str, _request: LogRequest) -> Result<ByteStream, StatusError> {
        Ok(stream::iter([Ok(Bytes::from_static(b"a line\n"))]).boxed())
    }

    async fn exec(&self, _node: &str, _: ExecRequest) -> Result<Conversation, StatusError> {
        Ok(Box::new(tokio::io::duplex(1).0))
    }

    async fn connect(
        &self,
        _node: &str,
        request: ConnectRequest,
    ) -> Result<Box<dyn Duplex>, StatusError> {
        if request.port == 80 {
            return Ok(Box::new(tokio::io::duplex(1).0));
        }
        Err(StatusError::service_unavailable("nothing listens there".to_owned()))
    }

    async fn node(&self, _node: &str) -> Result<Box<dyn Duplex>, StatusError> {
        Err(StatusError::service_unavailable("the host is not there"))
    }

    async fn load_image(&self, mut archive: ByteStream) -> Result<Vec<ImageLoad>, StatusError> {
        while let Some(chunk) = archive.next().await {
            chunk.map_err(|error| StatusError::bad_request(error.to_string()))?;
        }
        Ok(Vec::new())
    }
}

/// A cluster without worries.
#[derive(Default)]
pub(super) struct Cluster(Registry);

#[async_trait]
impl ClusterView for Cluster {
    fn node_name(&self) -> &str {
        "h1"
    }

    fn status(&self) -> Value {
        json!({"leader": "h1"})
    }

    fn gauges(&self) -> Vec<Gauge> {
        Vec::new()
    }

    fn registry(&self) -> &Registry {
        &self.0
    }

    fn ready(&self) -> Result<(), String> {
        Ok(())
    }

    fn impairment(&self) -> Option<Impairment> {
        None
    }

    async fn peers(&self) -> Value {
        json!({"hosts": []})
    }

    async fn remove_node(&self, name: &str) -> Result<Value, StatusError> {
        Ok(json!({"name": name}))
    }

    async fn recovery(&self) -> Result<Value, StatusError> {
        Ok(json!({"replicas": []}))
    }

    async fn recover(&self, lead: &str) -> Result<Value, StatusError> {
        Ok(json!({"lead": lead}))
    }

    async fn rejoin(&self) -> Result<Value, StatusError> {
        Ok(json!({"name": "h1"}))
    }

    async fn issue_user(
        &self,
        user: &str,
        _groups: &[String],
        _lifetime: Duration,
    ) -> Result<UserCertificate, StatusError> {
        Ok(UserCertificate {
            certificate: user.to_owned(),
            key: "key".to_owned(),
            ca: "ca".to_owned(),
        })
    }

    async fn token_key(&self, offered: Option<Vec<u8>>) -> Result<Option<Vec<u8>>, StatusError> {
        Ok(offered)
    }
}
