//! The trait between the agent and whatever runs containers.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;

use crate::{
    ContainerConfig, ContainerId, ContainerInfo, ExecConfig, ExecSession, ImageInfo, LogOptions,
    LogStream, Resources, RuntimeEvent, SandboxConfig, SandboxId, SandboxInfo,
};

/// What answers behind the trait.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuntimeVersion {
    /// `docker`, `simulated`.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Kernel version of the host.
    pub kernel: String,
    /// Operating system of the host, as a person would name it.
    pub os_image: String,
    /// `amd64`, `arm64`.
    pub architecture: String,
    /// Cores.
    pub cpus: u64,
    /// Memory in bytes.
    pub memory_bytes: u64,
}

/// Why the runtime did not do what was asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RuntimeError {
    /// The runtime does not answer: absent, stopped or still starting.
    #[error("the container runtime is not reachable: {0}")]
    Unreachable(String),
    /// No such sandbox, container or image.
    #[error("not found: {0}")]
    NotFound(String),
    /// The image could not be pulled; the message says why.
    #[error("failed to pull image {image:?}: {message}")]
    ImagePull {
        /// Image reference.
        image: String,
        /// What the registry or the runtime said.
        message: String,
    },
    /// The container could not be made or started; the pod's author must change something.
    #[error("{0}")]
    Rejected(String),
    /// Anything else the runtime answered.
    #[error("the container runtime failed: {0}")]
    Failed(String),
    /// No answer in time.
    #[error("the container runtime did not answer within {0:?}")]
    Timeout(Duration),
}

/// Runs sandboxes and containers. Every call is idempotent where its name allows: stopping what
/// is stopped and removing what is gone succeed.
#[async_trait]
pub trait ContainerRuntime: Send + Sync + 'static {
    /// Asks the runtime who it is; also the health check.
    async fn version(&self) -> Result<RuntimeVersion, RuntimeError>;

    /// Every sandbox of ours or of one pod, running or not.
    async fn list_sandboxes(&self, pod_uid: Option<&str>)
    -> Result<Vec<SandboxInfo>, RuntimeError>;

    /// One sandbox of ours; `None` if it is gone. Cheaper than listing all where the runtime can.
    async fn sandbox(&self, id: &SandboxId) -> Result<Option<SandboxInfo>, RuntimeError> {
        let sandboxes = self.list_sandboxes(None).await?;
        Ok(sandboxes.into_iter().find(|sandbox| sandbox.id == *id))
    }

    /// Every container of ours, of one pod (by uid) or of all.
    async fn list_containers(
        &self,
        pod_uid: Option<&str>,
    ) -> Result<Vec<ContainerInfo>, RuntimeError>;

    /// Makes and starts a sandbox. A sandbox left by an earlier try with the same uid and attempt
    /// is started or taken over.
    async fn run_sandbox(&self, config: &SandboxConfig) -> Result<SandboxInfo, RuntimeError>;

    /// Ends a sandbox at once; its containers should have been stopped before.
    async fn stop_sandbox(&self, id: &SandboxId) -> Result<(), RuntimeError>;

    /// Removes a sandbox and every container in it, running or not.
    async fn remove_sandbox(&self, id: &SandboxId) -> Result<(), RuntimeError>;

    /// Makes a container in a running sandbox without starting it.
    async fn create_container(
        &self,
        sandbox: &SandboxInfo,
        config: &ContainerConfig,
    ) -> Result<ContainerId, RuntimeError>;

    /// Starts a made container.
    async fn start_container(&self, id: &ContainerId) -> Result<(), RuntimeError>;

    /// Changes what a container may use while it runs on, as [`Resources::updated`] says. A memory
    /// limit below what is in use may be refused, or end the container.
    async fn update_container(
        &self,
        id: &ContainerId,
        resources: &Resources,
    ) -> Result<(), RuntimeError>;

    /// SIGTERM, `grace`, SIGKILL; returns when the container has ended.
    async fn stop_container(&self, id: &ContainerId, grace: Duration) -> Result<(), RuntimeError>;

    /// Removes a container that has ended.
    async fn remove_container(&self, id: &ContainerId) -> Result<(), RuntimeError>;

    /// The log of a container, also of one that has ended.
    async fn logs(&self, id: &ContainerId, options: LogOptions) -> Result<LogStream, RuntimeError>;

    /// Runs a command in a running container, or attaches to the container's own process.
    async fn exec(
        &self,
        id: &ContainerId,
        config: &ExecConfig,
    ) -> Result<ExecSession, RuntimeError>;

    /// The local image of a reference, `None` if absent.
    async fn image(&self, reference: &str) -> Result<Option<ImageInfo>, RuntimeError>;

    /// Pulls an image from its registry.
    async fn pull_image(&self, reference: &str) -> Result<ImageInfo, RuntimeError>;

    /// Loads an image archive (the format of `docker save`); returns the names loaded.
    async fn load_image(
        &self,
        archive: BoxStream<'static, std::io::Result<Bytes>>,
    ) -> Result<Vec<String>, RuntimeError>;

    /// Hints that something changed, until dropped. Reconnects by itself and then yields
    /// [`RuntimeEvent::Resync`].
    fn events(&self) -> BoxStream<'static, RuntimeEvent>;
}
