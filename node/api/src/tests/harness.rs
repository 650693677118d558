//! A server on a free port and clients of it.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use prometheus_client::{metrics::counter::Counter, registry::Registry};
use rustls::ClientConfig;
use serde_json::{Value, json};
use skein_consensus::{MemoryStore, SharedStore};
use skein_objects::StatusError;
use skein_storage::Storage;
use tokio::{io::AsyncWriteExt, net::TcpStream, task::JoinSet};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_tungstenite::{WebSocketStream, tungstenite::ClientRequestBuilder};
use tokio_util::sync::CancellationToken;

use super::{
    hosts::FakeHosts,
    pki::{Authority, Pair},
};
use crate::{
    ApiConfig, ClusterView, Gauge, Impairment, Server, ServerConfig, UserCertificate, serve,
};

/// How long anything may take before a test fails.
pub(super) const DEADLINE: Duration = Duration::from_secs(20);

/// A running API.
pub(super) struct Api {
    pub(super) authority: Authority,
    pub(super) user: Pair,
    pub(super) hosts: Arc<FakeHosts>,
    pub(super) cluster: Arc<FakeCluster>,
    /// The API without its listener.
    pub(super) api: crate::Api,
    pub(super) server: Server,
    pub(super) cancel: CancellationToken,
}

impl Api {
    pub(super) async fn start() -> Self {
        Self::start_with(MemoryStore::new(), |_, _| {}).await
    }

    pub(super) async fn start_with(
        store: SharedStore,
        configure: impl FnOnce(&mut ServerConfig, &mut ApiConfig),
    ) -> Self {
        let authority = Authority::new();
        let hosts = Arc::new(FakeHosts::default());
        let cluster = Arc::new(FakeCluster::default());
        let cancel = CancellationToken::new();
        let mut config = ServerConfig::new(SocketAddr::from(([127, 0, 0, 1], 0)));
        let mut api = ApiConfig::default();
        configure(&mut config, &mut api);
        let storage = Storage::new(store);
        let api = crate::Api::new(storage, hosts.clone(), cluster.clone(), api, cancel.clone());
        let tls = authority.server_config();
        let server = serve(config, api.clone(), tls, cancel.clone()).await.unwrap();
        let user = authority.issue_user("admin", &["system:masters"]);
        Self { authority, user, hosts, cluster, api, server, cancel }
    }

    /// With the namespace `default`.
    pub(super) async fn with_namespace() -> Self {
        let api = Self::start().await;
        let namespace = json!({"metadata": {"name": "default"}});
        let made = api.client().post("/api/v1/namespaces", &namespace).await;
        assert_eq!(made.code, 201, "{}", made.text());
        api
    }

    pub(super) fn client(&self) -> Client {
        self.client_with(Some(&self.user))
    }

    pub(super) fn client_with(&self, pair: Option<&Pair>) -> Client {
        Client {
            address: self.server.local_addr(),
            tls: self.authority.client_config(pair),
            tasks: Mutex::new(JoinSet::new()),
        }
    }
}

impl Drop for Api {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

/// A response read to its end.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) code: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Answer {
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.text()))
    }

    /// The JSON of a request that must have succeeded.
    pub(super) fn ok(&self) -> Value {
        assert!((200..300).contains(&self.code), "{}: {}", self.code, self.text());
        self.json()
    }

    pub(super) fn header(&self, name: header::HeaderName) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }
}

/// A client's end of a WebSocket.
pub(super) type WebSocket = WebSocketStream<TlsStream<TcpStream>>;

/// A client that opens a connection for each request.
pub(super) struct Client {
    address: SocketAddr,
    tls: Arc<ClientConfig>,
    tasks: Mutex<JoinSet<()>>,
}

impl Client {
    pub(super) async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], Bytes::new()).await
    }

    pub(super) async fn get_as(&self, path: &str, accept: &str) -> Answer {
        self.send("GET", path, &[(header::ACCEPT, accept)], Bytes::new()).await
    }

    pub(super) async fn delete(&self, path: &str) -> Answer {
        self.send("DELETE", path, &[], Bytes::new()).await
    }

    pub(super) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send_json("POST", path, "application/json", body).await
    }

    pub(super) async fn put(&self, path: &str, body: &Value) -> Answer {
        self.send_json("PUT", path, "application/json", body).await
    }

    pub(super) async fn send_json(
        &self,
        method: &str,
        path: &str,
        content_type: &str,
        body: &Value,
    ) -> Answer {
        let headers = [(header::CONTENT_TYPE, content_type)];
        self.send(method, path, &headers, body.to_string().into()).await
    }

    pub(super) async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(header::HeaderName, &str)],
        body: Bytes,
    ) -> Answer {
        let exchange = async {
            let response = self.open(method, path, headers, body).await;
            let (code, headers) = (response.status().as_u16(), response.headers().clone());
            let body = response.into_body().collect().await.unwrap().to_bytes();
            Answer { code, headers, body }
        };
        tokio::time::timeout(DEADLINE, exchange).await.expect("the answer comes in time")
    }

    /// Opens a watch; its lines arrive as JSON.
    pub(super) async fn watch(&self, path: &str) -> Lines {
        self.watch_as(path, "application/json").await
    }

    pub(super) async fn watch_as(&self, path: &str, accept: &str) -> Lines {
        let headers = [(header::ACCEPT, accept)];
        let response = self.open("GET", path, &headers, Bytes::new()).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        Lines { body: response.into_body(), read: Vec::new() }
    }

    /// Sends the beginning of a request and leaves.
    pub(super) async fn abandon(
        &self,
        method: &str,
        path: &str,
        headers: &[(header::HeaderName, &str)],
        begun: &str,
    ) {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let connector = TlsConnector::from(self.tls.clone());
        let mut stream = connector.connect("localhost".try_into().unwrap(), stream).await.unwrap();
        let lines: String =
            headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let text = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\n{lines}\r\n{begun}");
        stream.write_all(text.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
    }

    /// A WebSocket of one protocol.
    pub(super) async fn web_socket(&self, path: &str, protocol: &str) -> WebSocket {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let tls = TlsConnector::from(self.tls.clone());
        let stream = tls.connect("localhost".try_into().unwrap(), stream).await.unwrap();
        let url = format!("wss://localhost{path}");
        let request = ClientRequestBuilder::new(url.parse().unwrap());
        let request = request.with_sub_protocol(protocol);
        tokio_tungstenite::client_async(request, stream).await.unwrap().0
    }

    /// Whether the server closes a new connection before it serves it.
    pub(super) async fn is_turned_away(&self) -> bool {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let handshake =
            TlsConnector::from(self.tls.clone()).connect("localhost".try_into().unwrap(), stream);
        tokio::time::timeout(DEADLINE, handshake).await.expect("it ends in time").is_err()
    }

    async fn open(
        &self,
        method: &str,
        path: &str,
        headers: &[(header::HeaderName, &str)],
        body: Bytes,
    ) -> http::Response<Incoming> {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let connector = TlsConnector::from(self.tls.clone());
        let stream = connector.connect("localhost".try_into().unwrap(), stream).await.unwrap();
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        // It ends with an error when the server closes it, which the answer shows already.
        self.tasks.lock().unwrap().spawn(async move {
            let _closed = connection.await;
        });
        let mut request =
            Request::builder().method(method).uri(path).header(header::HOST, "localhost");
        for (name, value) in headers {
            request = request.header(name, *value);
        }
        sender.send_request(request.body(Full::new(body)).unwrap()).await.unwrap()
    }
}

/// The lines of a watch.
pub(super) struct Lines {
    body: Incoming,
    read: Vec<u8>,
}

impl Lines {
    /// The next line, `None` at the end.
    pub(super) async fn next(&mut self) -> Option<Value> {
        tokio::time::timeout(DEADLINE, self.read_line()).await.expect("a line comes in time")
    }

    /// The next line as type, name and whatever `pointer` finds in the object.
    pub(super) async fn next_event(&mut self) -> (String, String) {
        let line = self.next().await.expect("the watch goes on");
        let text = |pointer| line.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        (text("/type").to_owned(), text("/object/metadata/name").to_owned())
    }

    async fn read_line(&mut self) -> Option<Value> {
        loop {
            if let Some(end) = self.read.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.read.drain(..=end).collect();
                return Some(serde_json::from_slice(&line).unwrap());
            }
            let frame = self.body.frame().await?.unwrap();
            self.read.extend_from_slice(&frame.into_data().unwrap_or_default());
        }
    }
}

/// A cluster that can be told to have lost its quorum.
pub(super) struct FakeCluster {
    pub(super) impairment: Mutex<Option<Impairment>>,
    token_key: Mutex<Option<Vec<u8>>>,
    registry: Registry,
}

impl Default for FakeCluster {
    fn default() -> Self {
        let mut registry = Registry::default();
        registry.register("workqueue_adds", "What another part counts", Counter::<u64>::default());
        Self { impairment: Mutex::default(), token_key: Mutex::default(), registry }
    }
}

#[async_trait]
impl ClusterView for FakeCluster {
    fn node_name(&self) -> &str {
        "h1"
    }

    fn status(&self) -> Value {
        json!({"leader": "h1"})
    }

    fn gauges(&self) -> Vec<Gauge> {
        vec![Gauge { name: "skein_raft_term", help: "The term", value: 7.0 }]
    }

    fn registry(&self) -> &Registry {
        &self.registry
    }

    fn ready(&self) -> Result<(), String> {
        Ok(())
    }

    fn impairment(&self) -> Option<Impairment> {
        self.impairment.lock().unwrap().clone()
    }

    async fn peers(&self) -> Value {
        json!({"hosts": []})
    }

    async fn recovery(&self) -> Result<Value, StatusError> {
        Ok(json!({"replicas": []}))
    }

    async fn recover(&self, lead: &str) -> Result<Value, StatusError> {
        Ok(json!({"plan": {"lead": lead}}))
    }

    async fn rejoin(&self) -> Result<Value, StatusError> {
        Ok(json!({"name": "h1"}))
    }

    async fn remove_node(&self, name: &str) -> Result<Value, StatusError> {
        Ok(json!({"name": name, "stillVotes": false}))
    }

    async fn issue_user(
        &self,
        user: &str,
        groups: &[String],
        lifetime: Duration,
    ) -> Result<UserCertificate, StatusError> {
        Ok(UserCertificate {
            certificate: format!("{user} {groups:?} {}", lifetime.as_secs()),
            key: "key".to_owned(),
            ca: "ca".to_owned(),
        })
    }

    async fn token_key(&self, offered: Option<Vec<u8>>) -> Result<Option<Vec<u8>>, StatusError> {
        let mut kept = self.token_key.lock().unwrap();
        if kept.is_none() {
            *kept = offered;
        }
        Ok(kept.clone())
    }
}
