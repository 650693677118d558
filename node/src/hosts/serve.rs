//! The serving side: what peers ask of this host.

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use jiff::Timestamp;
use serde::Deserialize;
use skein_agent::Agent;
use skein_api::{Api, ByteStream, ConnectRequest, ExecRequest, ImageLoad, LogRequest};
use skein_net::{BoxedStream, Handler, Membership, NodeId};
use skein_objects::StatusError;
use skein_runtime::ExecConfig;
use tokio::{
    io::{AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader, DuplexStream},
    net::TcpStream,
};
use tokio_util::io::ReaderStream;

use super::{BELIEFS, ConnectHeader, ExecHeader, LocalAgent, NodeHeader, Refusal};

/// What a stream opens with.
#[derive(Deserialize)]
#[serde(untagged)]
enum Asked {
    Exec(ExecHeader),
    Connect(ConnectHeader),
    Node(NodeHeader),
    Logs(LogRequest),
}

/// Serves the proxy and blob protocols of this host.
pub(crate) struct HostServer {
    pub(crate) node_name: String,
    pub(crate) agent: LocalAgent,
    pub(crate) membership: Membership,
    pub(crate) api: Api,
    pub(crate) serves: Serves,
}

/// Which protocol a [`HostServer`] is registered for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Serves {
    Logs,
    Images,
}

#[async_trait]
impl Handler for HostServer {
    async fn request(&self, _from: NodeId, body: Bytes) -> Result<Bytes, String> {
        if self.serves != Serves::Logs || body != BELIEFS {
            return Err("this request is not known here".to_owned());
        }
        let beliefs = serde_json::to_vec(&self.membership.beliefs());
        beliefs.map(Bytes::from).map_err(|error| error.to_string())
    }

    async fn stream(&self, from: NodeId, header: Bytes, stream: BoxedStream) {
        let served = match self.serves {
            Serves::Logs => match serde_json::from_slice(&header) {
                Ok(Asked::Exec(ExecHeader { exec })) => self.exec(exec, stream).await,
                Ok(Asked::Connect(ConnectHeader { connect })) => {
                    self.connect(&connect, stream).await
                }
                Ok(Asked::Node(NodeHeader { node })) => self.node(&node, stream).await,
                Ok(Asked::Logs(request)) => self.logs(request, stream).await,
                Err(error) => refuse(stream, &StatusError::bad_request(error.to_string())).await,
            },
            Serves::Images => self.images(stream).await,
        };
        if let Err(error) = served {
            tracing::debug!(%from, %error, serves = ?self.serves, "a stream of a peer ended early");
        }
    }
}

impl HostServer {
    async fn logs(&self, request: LogRequest, stream: BoxedStream) -> std::io::Result<()> {
        let (mut asker, mut stream) = tokio::io::split(stream);
        let opened = local_logs(&self.agent, request).await;
        match opened {
            Err(error) => return refuse(stream, &error).await,
            Ok(mut lines) => {
                stream.write_all(b"\n").await?;
                // The asker sends nothing: its side ends when it has gone away, which a container
                // that writes nothing would never tell.
                let mut gone = std::pin::pin!(asker.read_u8());
                loop {
                    let line = tokio::select! {
                        line = lines.try_next() => line?,
                        _ = &mut gone => return Ok(()),
                    };
                    let Some(bytes) = line else { break };
                    stream.write_all(&bytes).await?;
                }
            }
        }
        stream.shutdown().await
    }

    async fn exec(&self, request: ExecRequest, mut stream: BoxedStream) -> std::io::Result<()> {
        let started = match present(&self.agent) {
            Ok(agent) => agent.exec(process_of(request)).await,
            Err(error) => Err(error),
        };
        match started {
            Err(error) => refuse(stream, &error).await,
            Ok(conversation) => {
                stream.write_all(b"\n").await?;
                conversation.carry(stream).await;
                Ok(())
            }
        }
    }

    async fn connect(
        &self,
        request: &ConnectRequest,
        mut stream: BoxedStream,
    ) -> std::io::Result<()> {
        match local_connection(&self.agent, request).await {
            Err(error) => refuse(stream, &error).await,
            Ok(mut connection) => {
                stream.write_all(b"\n").await?;
                tokio::io::copy_bidirectional(&mut stream, &mut connection).await.map(drop)
            }
        }
    }

    async fn node(&self, node: &str, mut stream: BoxedStream) -> std::io::Result<()> {
        if node != self.node_name {
            let why = format!("this is {:?}, not {node:?}", self.node_name);
            return refuse(stream, &StatusError::service_unavailable(why)).await;
        }
        stream.write_all(b"\n").await?;
        self.api.serve_node(stream).await;
        Ok(())
    }

    async fn images(&self, stream: BoxedStream) -> std::io::Result<()> {
        let (archive, mut answers) = tokio::io::split(stream);
        let archive = ReaderStream::new(BufReader::new(archive)).boxed();
        let loaded = load_locally(&self.node_name, &self.agent, archive).await;
        answers.write_all(&serde_json::to_vec(&loaded)?).await?;
        answers.write_all(b"\n").await?;
        answers.shutdown().await
    }
}

/// Answers with why there will be no bytes.
async fn refuse(mut stream: impl AsyncWrite + Unpin, error: &StatusError) -> std::io::Result<()> {
    let mut line = serde_json::to_vec(&Refusal::from(error))?;
    line.push(b'\n');
    stream.write_all(&line).await?;
    stream.shutdown().await
}

/// Loads an archive into the runtime of this host.
pub(super) async fn load_locally(node: &str, agent: &LocalAgent, archive: ByteStream) -> ImageLoad {
    let loaded = match present(agent) {
        Ok(agent) => agent.load_image(archive).await.map_err(|error| error.to_string()),
        Err(error) => Err(error.message),
    };
    match loaded {
        Ok(images) => ImageLoad { node: node.to_owned(), images, error: None },
        Err(error) => ImageLoad { node: node.to_owned(), images: Vec::new(), error: Some(error) },
    }
}

/// The log of a container of this host.
pub(super) async fn local_logs(
    agent: &LocalAgent,
    request: LogRequest,
) -> Result<ByteStream, StatusError> {
    Ok(present(agent)?.logs(for_agent(request)).await?)
}

/// A conversation with a process in a container of this host.
pub(super) async fn local_conversation(
    agent: &LocalAgent,
    request: ExecRequest,
) -> Result<DuplexStream, StatusError> {
    present(agent)?.converse(process_of(request)).await
}

/// A connection to a port of a pod of this host.
pub(super) async fn local_connection(
    agent: &LocalAgent,
    request: &ConnectRequest,
) -> Result<TcpStream, StatusError> {
    present(agent)?.connect(&request.pod_uid, request.port).await
}

fn process_of(request: ExecRequest) -> skein_agent::ExecRequest {
    skein_agent::ExecRequest {
        pod_uid: request.pod_uid,
        container: request.container,
        process: ExecConfig {
            command: request.command,
            stdin: request.stdin,
            stdout: request.stdout,
            stderr: request.stderr,
            tty: request.tty,
        },
    }
}

fn for_agent(request: LogRequest) -> skein_agent::LogRequest {
    let since = request.since_unix_seconds.and_then(|since| Timestamp::from_second(since).ok());
    skein_agent::LogRequest {
        namespace: request.namespace,
        pod: request.pod,
        container: Some(request.container).filter(|name| !name.is_empty()),
        follow: request.follow,
        tail_lines: request.tail_lines,
        since,
        timestamps: request.timestamps,
        previous: request.previous,
        limit_bytes: request.limit_bytes,
    }
}

fn present(agent: &LocalAgent) -> Result<&Agent, StatusError> {
    agent.as_ref().ok_or_else(|| StatusError::service_unavailable("this node runs no pods"))
}
