//! Reaching any host and the inside of its pods: logs, processes, ports, image archives and what the
//! node says about itself, through the peer streams.
//!
//! A stream for a log, a process, a port or a node opens with a JSON request; the answer is one line, empty
//! for success or a refusal in JSON, and then the bytes, but for a log both ways. An archive stream
//! carries the archive; the answer is one line of JSON. The one request there is asks for the host's beliefs about the others.

mod fan_out;
mod serve;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use futures::StreamExt;
use serde::{Deserialize, Serialize};
use skein_agent::Agent;
use skein_api::{
    ByteStream, ConnectRequest, Conversation, Duplex, ExecRequest, HostProxy, ImageLoad, LogRequest,
};
use skein_net::{BoxedStream, Membership, NodeId, Protocol, RpcError, Transport};
use skein_objects::{Reason, StatusError};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio_util::io::ReaderStream;

use crate::{core::WITNESS_KEY, liveness::Liveness};
pub(crate) use serve::{HostServer, Serves};

/// How long a host may take to accept a stream.
const OPEN_DEADLINE: Duration = Duration::from_secs(5);

/// How long a host may take until it says whether it can answer.
const ANSWER_DEADLINE: Duration = Duration::from_secs(30);

/// Longest answer line: a `Status` is far smaller.
const MAX_ANSWER_BYTES: u64 = 64 << 10;

// What one side sends the other must take.
const _: () = assert!(skein_agent::FRAME_BYTES == skein_api::limits::EXEC_MESSAGE_BYTES);

/// Asks a host what it believes of the others; the answer is JSON.
pub(crate) const BELIEFS: &[u8] = b"beliefs";

/// The agent of this host, if it runs pods.
pub(crate) type LocalAgent = Option<Agent>;

/// Reaches hosts by name.
pub(crate) struct Hosts {
    pub(crate) node_name: String,
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) liveness: Liveness,
    pub(crate) membership: Membership,
    pub(crate) agent: LocalAgent,
}

impl Hosts {
    fn id_of(&self, node: &str) -> Result<NodeId, StatusError> {
        self.liveness
            .verdicts()
            .iter()
            .find(|(_, verdict)| verdict.name == node)
            .map(|(id, _)| *id)
            .ok_or_else(|| StatusError::service_unavailable(format!("node {node:?} is not known")))
    }

    /// The living hosts that run pods.
    fn running_pods(&self) -> Vec<(NodeId, String)> {
        let members = self.membership.members().borrow().clone();
        let is_witness = |id: NodeId| {
            members.iter().any(|one| one.id == id && one.values.contains_key(WITNESS_KEY))
        };
        let verdicts = self.liveness.verdicts();
        let hosts = verdicts.iter().filter(|(id, one)| one.alive && !is_witness(**id));
        hosts.map(|(id, one)| (*id, one.name.clone())).collect()
    }

    /// Opens a stream with a request that `node` accepts.
    async fn ask(
        &self,
        node: &str,
        request: &impl Serialize,
    ) -> Result<BufReader<BoxedStream>, StatusError> {
        let id = self.id_of(node)?;
        let header = serde_json::to_vec(request).map_err(StatusError::internal)?;
        let stream = self
            .transport
            .open(id, Protocol::Proxy, header.into(), OPEN_DEADLINE)
            .await
            .map_err(|error| unreachable_host(node, &error))?;
        let mut stream = BufReader::new(stream);
        answer(node, &mut stream).await?;
        Ok(stream)
    }
}

#[async_trait]
impl HostProxy for Hosts {
    async fn pod_logs(&self, node: &str, request: LogRequest) -> Result<ByteStream, StatusError> {
        if node == self.node_name {
            serve::local_logs(&self.agent, request).await
        } else {
            Ok(ReaderStream::new(self.ask(node, &request).await?).boxed())
        }
    }

    async fn exec(&self, node: &str, request: ExecRequest) -> Result<Conversation, StatusError> {
        if node != self.node_name {
            return Ok(Box::new(self.ask(node, &ExecHeader { exec: request }).await?));
        }
        Ok(Box::new(serve::local_conversation(&self.agent, request).await?))
    }

    async fn connect(
        &self,
        node: &str,
        request: ConnectRequest,
    ) -> Result<Box<dyn Duplex>, StatusError> {
        if node != self.node_name {
            return Ok(Box::new(self.ask(node, &ConnectHeader { connect: request }).await?));
        }
        Ok(Box::new(serve::local_connection(&self.agent, &request).await?))
    }

    async fn node(&self, node: &str) -> Result<Box<dyn Duplex>, StatusError> {
        Ok(Box::new(self.ask(node, &NodeHeader { node: node.to_owned() }).await?))
    }

    async fn load_image(&self, archive: ByteStream) -> Result<Vec<ImageLoad>, StatusError> {
        fan_out::load(self, archive).await
    }
}

/// Reads the answer line of a host: success, or the error it gives.
async fn answer(node: &str, stream: &mut BufReader<BoxedStream>) -> Result<(), StatusError> {
    let mut line = Vec::new();
    let mut limited = stream.take(MAX_ANSWER_BYTES);
    let read = tokio::time::timeout(ANSWER_DEADLINE, limited.read_until(b'\n', &mut line)).await;
    match read {
        Err(_) => return Err(silent_host(node, "no answer in time")),
        Ok(Err(error)) => return Err(silent_host(node, &error.to_string())),
        Ok(Ok(_)) => {}
    }
    match line.strip_suffix(b"\n") {
        Some(b"") => Ok(()),
        Some(line) => Err(serde_json::from_slice::<Refusal>(line)
            .map_or_else(|error| silent_host(node, &error.to_string()), StatusError::from)),
        None => Err(silent_host(node, "it hung up")),
    }
}

/// Asks a host for a process; a log is asked for by its request alone.
#[derive(Debug, Serialize, Deserialize)]
struct ExecHeader {
    exec: ExecRequest,
}

/// Asks a host for a connection to a pod.
#[derive(Debug, Serialize, Deserialize)]
struct ConnectHeader {
    connect: ConnectRequest,
}

/// Asks a host for a conversation with the node itself, by name.
#[derive(Debug, Serialize, Deserialize)]
struct NodeHeader {
    node: String,
}

/// The answer line of a host that will not give the bytes.
#[derive(Debug, Serialize, Deserialize)]
struct Refusal {
    code: u16,
    message: String,
}

impl From<&StatusError> for Refusal {
    fn from(error: &StatusError) -> Self {
        Self { code: error.code, message: error.message.clone() }
    }
}

impl From<Refusal> for StatusError {
    fn from(refusal: Refusal) -> Self {
        let reason = match refusal.code {
            400 => Reason::BadRequest,
            404 => Reason::NotFound,
            503 => Reason::ServiceUnavailable,
            _ => Reason::InternalError,
        };
        Self::new(reason, refusal.message)
    }
}

fn unreachable_host(node: &str, error: &RpcError) -> StatusError {
    silent_host(node, &error.to_string())
}

fn silent_host(node: &str, why: &str) -> StatusError {
    StatusError::service_unavailable(format!("host {node:?} cannot be asked: {why}"))
}
