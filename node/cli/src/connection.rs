//! A connection to the cluster: the first node that is ready to serve.
//!
//! Any node serves the whole API, so the nodes of the kubeconfig are asked in turn, the next one
//! as soon as the one before fails or stays silent for a moment. A node that answers but is not
//! ready (no quorum, say) is taken only if no other is: `skein status` must work then too.

use std::io;
use std::time::Duration;

use tokio::time::Instant;

use anyhow::Context;
use futures::stream::{FuturesUnordered, StreamExt};
use http::{Method, Request, header};
use kube::config::KubeConfigOptions;
use kube::{Client, Config};
use serde_json::Value;

use crate::args::GlobalArgs;
use crate::kubeconfig;
use crate::limits::{CONNECT_TIMEOUT, NEXT_NODE_AFTER, PROBE_TIMEOUT, REQUEST_TIMEOUT};
use crate::request::{RequestError, explain};
use crate::terminal::Terminal;

/// A node that answered, and everything needed to ask it more.
pub(crate) struct Connection {
    client: Client,
    config: Config,
    /// The kubeconfig the node was found in.
    pub(crate) kubeconfig: kube::config::Kubeconfig,
    /// The context, and so the node, that is asked.
    pub(crate) context: String,
    namespace: String,
}

/// What a node said when asked whether it is ready.
enum Probe {
    Ready,
    NotReady(String),
    Silent(String),
}

impl Connection {
    /// Finds a node that serves.
    pub(crate) async fn open(global: &GlobalArgs, terminal: Terminal) -> anyhow::Result<Self> {
        Self::open_one_of(usize::MAX, global, terminal).await
    }

    /// Asks the node that was named, or the kubeconfig's current one, and no other in its place.
    pub(crate) async fn open_only(global: &GlobalArgs, terminal: Terminal) -> anyhow::Result<Self> {
        Self::open_one_of(1, global, terminal).await
    }

    async fn open_one_of(
        count: usize,
        global: &GlobalArgs,
        terminal: Terminal,
    ) -> anyhow::Result<Self> {
        let kubeconfig = kubeconfig::load(global.kubeconfig.as_deref())?;
        let mut nodes = Vec::new();
        let candidates = kubeconfig::candidates(&kubeconfig, global.server.as_deref())?;
        for options in candidates.into_iter().take(count) {
            nodes.push(Node::new(&kubeconfig, &options).await?);
        }
        let (node, trouble) = choose(nodes, |remark| {
            if global.verbose {
                terminal.note(remark);
            }
        })
        .await?;
        if let Some(trouble) = trouble {
            terminal.note(&format!("{} is {trouble}", node.name));
        }
        if global.verbose {
            terminal.note(&format!("{} ({}) answered", node.name, node.config.cluster_url));
        }
        Ok(Connection {
            client: Client::try_from(node.config.clone()).context("cannot set up the client")?,
            namespace: global
                .namespace
                .clone()
                .unwrap_or_else(|| node.config.default_namespace.clone()),
            config: node.config,
            kubeconfig,
            context: node.name,
        })
    }

    /// The namespace commands act in if an object does not name its own.
    pub(crate) fn namespace(&self) -> &str {
        &self.namespace
    }

    /// How to reach the node that answered, for requests the client cannot make.
    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// Gets `path` and parses the answer.
    pub(crate) async fn get(&self, path: &str) -> Result<Value, RequestError> {
        self.get_as(path, "application/json").await
    }

    /// Gets `path` in the representation `accept` asks for.
    pub(crate) async fn get_as(&self, path: &str, accept: &str) -> Result<Value, RequestError> {
        let request = Request::get(path).header(header::ACCEPT, accept).body(Vec::new())?;
        self.exchange(request).await
    }

    /// Sends `body` with `method`; `content_type` says what it is.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        content_type: &str,
        body: &Value,
    ) -> Result<Value, RequestError> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::ACCEPT, "application/json")
            .header(header::CONTENT_TYPE, content_type)
            .body(body.to_string().into_bytes())?;
        self.exchange(request).await
    }

    /// Creates the object or performs the action `body` describes.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Result<Value, RequestError> {
        self.send(Method::POST, path, "application/json", body).await
    }

    /// Applies a patch of the given media type.
    pub(crate) async fn patch(
        &self,
        path: &str,
        media: &str,
        body: &Value,
    ) -> Result<Value, RequestError> {
        self.send(Method::PATCH, path, media, body).await
    }

    /// Opens an answer that may go on for ever, such as a followed log or a watch.
    pub(crate) async fn stream(
        &self,
        path: &str,
        accept: &str,
    ) -> Result<impl futures::AsyncBufRead + use<>, RequestError> {
        let request = Request::get(path).header(header::ACCEPT, accept).body(Vec::new())?;
        self.client.request_stream(request).await.map_err(|error| explain(error, &self.context))
    }

    /// Sends a request, again as long as the node itself says when to come back.
    async fn exchange(&self, request: Request<Vec<u8>>) -> Result<Value, RequestError> {
        let silent = |_| RequestError::Lost {
            node: self.context.clone(),
            reason: format!("no answer within {} s", REQUEST_TIMEOUT.as_secs()),
        };
        let deadline = Instant::now() + REQUEST_TIMEOUT;
        loop {
            let answer = tokio::time::timeout_at(deadline, self.client.request(request.clone()));
            let error = match answer.await.map_err(silent)? {
                Ok(answer) => return Ok(answer),
                Err(error) => explain(error, &self.context),
            };
            match error.retry_after() {
                Some(pause) if Instant::now() + pause < deadline => {
                    tokio::time::sleep(pause).await;
                }
                _ => return Err(error),
            }
        }
    }
}

/// A node that may be asked.
struct Node {
    name: String,
    config: Config,
}

impl Node {
    async fn new(
        kubeconfig: &kube::config::Kubeconfig,
        options: &KubeConfigOptions,
    ) -> anyhow::Result<Self> {
        let name = options.context.clone().unwrap_or_default();
        let mut config = Config::from_custom_kubeconfig(kubeconfig.clone(), options)
            .await
            .with_context(|| format!("the context {name:?} of the kubeconfig cannot be used"))?;
        config.connect_timeout = Some(CONNECT_TIMEOUT);
        // The client's own repeats refusals for minutes that no repetition changes.
        config.default_retry = false;
        Ok(Node { name, config })
    }

    async fn probe(&self) -> Probe {
        let client = match Client::try_from(self.config.clone()) {
            Ok(client) => client,
            Err(error) => return Probe::Silent(error.to_string()),
        };
        let mut request = Request::new(Vec::new());
        *request.uri_mut() = http::Uri::from_static("/readyz");
        match tokio::time::timeout(PROBE_TIMEOUT, client.request_text(request)).await {
            Err(_) => Probe::Silent(format!("no answer within {} s", PROBE_TIMEOUT.as_secs())),
            Ok(Ok(_)) => Probe::Ready,
            Ok(Err(error)) => match explain(error, &self.name) {
                RequestError::Refused(status) if status.code >= 500 => {
                    Probe::NotReady(status.message.clone())
                }
                // It is there and speaks; what it refuses here, the command itself may be allowed.
                RequestError::Refused(_) => Probe::Ready,
                RequestError::Lost { reason, .. } => Probe::Silent(reason),
                other => Probe::Silent(other.to_string()),
            },
        }
    }
}

/// Asks the nodes in order, each a moment after the one before, and takes the first ready one, or
/// one that is not, with what it says about that.
async fn choose(nodes: Vec<Node>, remark: impl Fn(&str)) -> anyhow::Result<(Node, Option<String>)> {
    let mut waiting = nodes.into_iter();
    let mut asked = FuturesUnordered::new();
    let mut not_ready = None;
    let mut failures = Vec::new();
    loop {
        if let Some(node) = waiting.next() {
            asked.push(async move {
                let probe = node.probe().await;
                (node, probe)
            });
        } else if asked.is_empty() {
            break;
        }
        let patience = if waiting.len() > 0 { NEXT_NODE_AFTER } else { Duration::MAX };
        let Ok(Some((node, probe))) = tokio::time::timeout(patience, asked.next()).await else {
            continue;
        };
        match probe {
            Probe::Ready => return Ok((node, None)),
            Probe::NotReady(reason) => {
                remark(&format!("{} is {reason}", node.name));
                not_ready.get_or_insert((node, Some(reason)));
            }
            Probe::Silent(reason) => {
                remark(&format!("{}: {reason}", node.name));
                failures.push(format!("  {} ({}): {reason}", node.name, node.config.cluster_url));
            }
        }
    }
    not_ready.ok_or_else(|| {
        anyhow::anyhow!(
            "no node of the kubeconfig answered:\n{}\nis `skein up` running there, and is this its kubeconfig?",
            failures.join("\n")
        )
    })
}

/// Reads a whole answer line by line; here so that commands need not know the stream's type.
pub(crate) async fn lines(
    stream: impl futures::AsyncBufRead,
    mut line: impl FnMut(&str) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    use futures::AsyncBufReadExt;
    let mut stream = std::pin::pin!(stream);
    let mut buffer = Vec::new();
    loop {
        buffer.clear();
        if stream.read_until(b'\n', &mut buffer).await.map_err(io::Error::other)? == 0 {
            return Ok(());
        }
        line(&String::from_utf8_lossy(&buffer))?;
    }
}
