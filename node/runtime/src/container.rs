//! What a sandbox, a container and an image are made of.

use std::{collections::BTreeMap, path::PathBuf, pin::Pin};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use jiff::Timestamp;
use tokio::io::AsyncWrite;

use crate::RuntimeError;

/// The runtime's id of a sandbox (Docker: the pause container's id).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SandboxId(pub String);

/// The runtime's id of a container.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContainerId(pub String);

/// What a pod's sandbox needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SandboxConfig {
    /// Namespace of the pod.
    pub namespace: String,
    /// Name of the pod.
    pub name: String,
    /// Uid of the pod.
    pub uid: String,
    /// How often this pod's sandbox was made before; part of the container name.
    pub attempt: u32,
    /// Host name inside.
    pub hostname: String,
    /// Name servers.
    pub dns_servers: Vec<String>,
    /// Search domains.
    pub dns_searches: Vec<String>,
    /// Resolver options, `ndots:5`.
    pub dns_options: Vec<String>,
    /// Further lines of the hosts file: address and names.
    pub host_aliases: Vec<(String, Vec<String>)>,
    /// Whether the pod uses the host's network namespace.
    pub host_network: bool,
    /// Labels kept by the runtime, given back by `list_sandboxes`.
    pub labels: BTreeMap<String, String>,
}

/// A sandbox as the runtime knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SandboxInfo {
    /// Its id.
    pub id: SandboxId,
    /// Namespace of the pod.
    pub namespace: String,
    /// Name of the pod.
    pub name: String,
    /// Uid of the pod.
    pub uid: String,
    /// How often this pod's sandbox was made before.
    pub attempt: u32,
    /// Whether its process runs.
    pub running: bool,
    /// Host process id of the pause process, while it runs; its network namespace is
    /// `/proc/PID/ns/net`.
    pub pid: Option<u32>,
    /// When it was made.
    pub created: Timestamp,
    /// Labels given when it was made.
    pub labels: BTreeMap<String, String>,
}

/// A directory or file of the host inside a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Path on the host.
    pub source: PathBuf,
    /// Path inside.
    pub target: PathBuf,
    /// Whether writes are refused.
    pub read_only: bool,
}

/// Limits and shares of a container; zero means unlimited or default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resources {
    /// CPU limit in thousandths of a core.
    pub cpu_limit_millis: u64,
    /// CPU request in thousandths of a core, becomes the CPU shares.
    pub cpu_request_millis: u64,
    /// Memory limit in bytes.
    pub memory_limit_bytes: u64,
}

/// CPU requests up to this many thousandths of a core are the smallest part there is, as none is:
/// the two shares that the kernel gives at least.
const LEAST_CPU_REQUEST_MILLIS: u64 = 2;

impl Resources {
    /// What a runtime says of a container that was made with these.
    #[must_use]
    pub fn in_effect(self) -> Self {
        let counts = self.cpu_request_millis > LEAST_CPU_REQUEST_MILLIS;
        Self { cpu_request_millis: if counts { self.cpu_request_millis } else { 0 }, ..self }
    }

    /// What a runtime says of a container that had these and was given `others`: a limit of zero
    /// leaves the one there is.
    #[must_use]
    pub fn updated(self, others: Self) -> Self {
        let limit = |before, now| if now == 0 { before } else { now };
        Self {
            cpu_limit_millis: limit(self.cpu_limit_millis, others.cpu_limit_millis),
            cpu_request_millis: others.in_effect().cpu_request_millis,
            memory_limit_bytes: limit(self.memory_limit_bytes, others.memory_limit_bytes),
        }
    }
}

/// What a container needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContainerConfig {
    /// Name within the pod.
    pub name: String,
    /// Image reference as written in the pod, present locally.
    pub image: String,
    /// Replaces the image's entry point (Kubernetes `command`); empty keeps it.
    pub command: Vec<String>,
    /// Replaces the image's arguments (Kubernetes `args`). Empty keeps them, unless `command` is
    /// set: then there are none.
    pub args: Vec<String>,
    /// Environment in order.
    pub env: Vec<(String, String)>,
    /// Working directory, empty keeps the image's.
    pub working_dir: String,
    /// `uid` or `uid:gid`, empty keeps the image's.
    pub user: String,
    /// Host directories and files inside.
    pub mounts: Vec<Mount>,
    /// Limits.
    pub resources: Resources,
    /// Whether it has every privilege of the host.
    pub privileged: bool,
    /// Whether its root file system is read only.
    pub read_only_root: bool,
    /// Capabilities added.
    pub capabilities_add: Vec<String>,
    /// Capabilities dropped.
    pub capabilities_drop: Vec<String>,
    /// The container whose processes it sees and whose end is its own; it must run when this one is
    /// started. `None` gives it processes of its own.
    pub target: Option<ContainerId>,
    /// Whether standard input stays open.
    pub stdin: bool,
    /// Whether it ends with that of the first who attaches and ends it.
    pub stdin_once: bool,
    /// Whether it has a terminal.
    pub tty: bool,
    /// How often this container was started before in this pod; part of the container name.
    pub attempt: u32,
    /// Labels kept by the runtime, given back by `list_containers`.
    pub labels: BTreeMap<String, String>,
}

/// Where a container is in its life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ContainerState {
    /// Made, not yet started.
    Created,
    /// Running since.
    Running {
        /// When it started.
        started: Timestamp,
    },
    /// Ended.
    Exited {
        /// When it started, if it ever did.
        started: Option<Timestamp>,
        /// When it ended.
        finished: Timestamp,
        /// Its exit code; 128 + n after signal n.
        exit_code: i32,
        /// Whether the kernel killed it for want of memory.
        oom_killed: bool,
        /// What the runtime said, often why it could not start.
        message: String,
    },
}

/// A container as the runtime knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerInfo {
    /// Its id.
    pub id: ContainerId,
    /// The sandbox it runs in.
    pub sandbox: SandboxId,
    /// Uid of the pod.
    pub pod_uid: String,
    /// Name within the pod.
    pub name: String,
    /// How often this container was started before in this pod.
    pub attempt: u32,
    /// Image reference it was made from.
    pub image: String,
    /// Id of that image, `sha256:…`.
    pub image_id: String,
    /// Where it is in its life.
    pub state: ContainerState,
    /// When it was made.
    pub created: Timestamp,
    /// The limits and shares it has now, see [`Resources::in_effect`].
    pub resources: Resources,
    /// Labels given when it was made.
    pub labels: BTreeMap<String, String>,
}

/// A local image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageInfo {
    /// Content id, `sha256:…`.
    pub id: String,
    /// Names it goes by.
    pub tags: Vec<String>,
    /// Size in bytes.
    pub size_bytes: u64,
}

/// Which part of a container's log to read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogOptions {
    /// Go on with new lines until the container ends.
    pub follow: bool,
    /// Only the last lines.
    pub tail: Option<u64>,
    /// Only lines at or after this time.
    pub since: Option<Timestamp>,
    /// Start each line with its RFC 3339 time and a space.
    pub timestamps: bool,
}

/// Log bytes as they come, standard output and error together.
pub type LogStream = BoxStream<'static, Result<Bytes, RuntimeError>>;

/// A process in a container to talk to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExecConfig {
    /// What to run; the container's own process where it is empty.
    pub command: Vec<String>,
    /// Whether it gets standard input.
    pub stdin: bool,
    /// Whether its standard output is wanted.
    pub stdout: bool,
    /// Whether its standard error is wanted, apart from its output.
    pub stderr: bool,
    /// Whether it has a terminal; then there is only output.
    pub tty: bool,
}

/// What a process wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExecOutput {
    /// To standard output, or to its terminal.
    Stdout(Bytes),
    /// To standard error.
    Stderr(Bytes),
}

/// Size of a terminal, in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TerminalSize {
    /// Columns.
    pub width: u16,
    /// Rows.
    pub height: u16,
}

/// A process that runs and is talked to. Dropping it hangs up.
pub struct ExecSession {
    /// Its standard input; shutting it down ends it.
    pub input: Pin<Box<dyn AsyncWrite + Send>>,
    /// What it writes, until it has closed both outputs.
    pub output: BoxStream<'static, Result<ExecOutput, RuntimeError>>,
    /// The process itself.
    pub process: Box<dyn ExecProcess>,
}

/// The process of an [`ExecSession`].
#[async_trait]
pub trait ExecProcess: Send + Sync {
    /// Changes the size of its terminal.
    async fn resize(&self, size: TerminalSize) -> Result<(), RuntimeError>;

    /// Waits for its end. `None` of a container's own process, whose end is its pod's business.
    async fn exit_code(&self) -> Result<Option<i64>, RuntimeError>;
}

/// Something changed in a pod of ours; a hint to look, it carries no state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RuntimeEvent {
    /// A sandbox or container of this pod started, ended or went away.
    Pod {
        /// Uid of the pod.
        uid: String,
    },
    /// The event stream was interrupted: look at everything.
    Resync,
}
