//! What the API asks of the hosts that run pods, wherever they are.

use std::io;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use serde::{Deserialize, Serialize};
use skein_objects::StatusError;
use tokio::io::{AsyncRead, AsyncWrite};

/// Bytes as they come; an error is the last item.
pub type ByteStream = BoxStream<'static, io::Result<Bytes>>;

/// Which log of which container, and how much of it. Travels between nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogRequest {
    /// Namespace of the pod.
    pub namespace: String,
    /// Name of the pod.
    pub pod: String,
    /// Uid of the pod.
    pub uid: String,
    /// Name of the container.
    pub container: String,
    /// Keep sending what is written from now on.
    pub follow: bool,
    /// The log of the container that ended before the present one.
    pub previous: bool,
    /// Begin each line with its time.
    pub timestamps: bool,
    /// Only that many lines from the end.
    pub tail_lines: Option<u64>,
    /// Only lines since that time, in seconds since 1970.
    pub since_unix_seconds: Option<i64>,
    /// At most that many bytes.
    pub limit_bytes: Option<u64>,
}

/// Which process in which container to talk to. Travels between nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecRequest {
    /// Uid of the pod.
    pub pod_uid: String,
    /// Name of the container.
    pub container: String,
    /// What to run; the container's own process where it is empty.
    pub command: Vec<String>,
    /// Whether there is input.
    pub stdin: bool,
    /// Whether the output is wanted.
    pub stdout: bool,
    /// Whether the error output is wanted apart from it.
    pub stderr: bool,
    /// Whether it has a terminal.
    pub tty: bool,
}

/// Which port of which pod to connect to. Travels between nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectRequest {
    /// Uid of the pod.
    pub pod_uid: String,
    /// The port, at the pod's loopback address.
    pub port: u16,
}

/// A stream of bytes both ways.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// A conversation with a process: frames of four bytes of length, the number of a channel as in
/// Kubernetes' `v5.channel.k8s.io`, and what is said on it.
pub type Conversation = Box<dyn Duplex>;

/// What came of loading an image archive on one node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageLoad {
    /// Name of the node.
    pub node: String,
    /// References of the images loaded.
    pub images: Vec<String>,
    /// Why it failed there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Reaches any host, and the inside of its pods.
#[async_trait]
pub trait HostProxy: Send + Sync + 'static {
    /// The log of a container on `node`.
    ///
    /// # Errors
    /// `NotFound` where the container is not there, `ServiceUnavailable` where the host is not.
    async fn pod_logs(&self, node: &str, request: LogRequest) -> Result<ByteStream, StatusError>;

    /// Starts a process in a container on `node`, or attaches to the container's own.
    ///
    /// # Errors
    /// `NotFound` where the container does not run there, `BadRequest` where the command cannot be
    /// run, `ServiceUnavailable` where the host is not there.
    async fn exec(&self, node: &str, request: ExecRequest) -> Result<Conversation, StatusError>;

    /// Connects to a port of a pod on `node`, as if from inside the pod.
    ///
    /// # Errors
    /// `NotFound` where the pod does not run there, `ServiceUnavailable` where nothing takes the
    /// connection or the host is not there.
    async fn connect(
        &self,
        node: &str,
        request: ConnectRequest,
    ) -> Result<Box<dyn Duplex>, StatusError>;

    /// Connects to `node` itself, which answers as [`Api::serve_node`](crate::Api::serve_node) says.
    ///
    /// # Errors
    /// `ServiceUnavailable` where the host is not there.
    async fn node(&self, node: &str) -> Result<Box<dyn Duplex>, StatusError>;

    /// Loads an image archive on every node and says what came of it on each.
    ///
    /// # Errors
    /// Where the archive could not be read to its end.
    async fn load_image(&self, archive: ByteStream) -> Result<Vec<ImageLoad>, StatusError>;
}
