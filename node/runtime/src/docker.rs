//! Pods in Docker, one engine per host, over its Unix socket.
//!
//! Nothing is remembered here: the engine's labels are the only record. The connection is made when
//! first needed, so a node starts before its engine does and gets over the engine's restarts.

mod client;
mod events;
mod exec;
mod images;
mod labels;
mod logs;
mod observe;
mod pause;
mod pods;
mod resolv;
mod spec;
mod terminal;

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

use std::{path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use tokio::sync::{Semaphore, SemaphorePermit};

use self::client::Client;
use crate::{
    ContainerConfig, ContainerId, ContainerInfo, ContainerRuntime, ExecConfig, ExecSession,
    ImageInfo, LogOptions, LogStream, Resources, RuntimeError, RuntimeEvent, RuntimeVersion,
    SandboxConfig, SandboxId, SandboxInfo,
    limits::{CALL_DEADLINE, CONCURRENT_STARTS},
};

/// The Docker engine of this host.
#[derive(Debug)]
pub struct DockerRuntime {
    client: Arc<Client>,
    starts: Semaphore,
}

impl DockerRuntime {
    /// A runtime over the engine behind this socket. Nothing is sent yet: an absent engine shows
    /// in every call as [`RuntimeError::Unreachable`], until it is there.
    #[must_use]
    pub fn connect(socket: impl Into<PathBuf>) -> Self {
        Self {
            client: Arc::new(Client::new(socket.into())),
            starts: Semaphore::new(CONCURRENT_STARTS),
        }
    }

    async fn start_permit(&self) -> Result<SemaphorePermit<'_>, RuntimeError> {
        self.starts.acquire().await.map_err(|closed| RuntimeError::Failed(closed.to_string()))
    }
}

#[async_trait]
impl ContainerRuntime for DockerRuntime {
    async fn version(&self) -> Result<RuntimeVersion, RuntimeError> {
        let info =
            self.client.call(CALL_DEADLINE, |docker| async move { docker.info().await }).await?;
        let unsigned = |value: Option<i64>| u64::try_from(value.unwrap_or_default()).unwrap_or(0);
        Ok(RuntimeVersion {
            name: "docker".to_owned(),
            version: info.server_version.unwrap_or_default(),
            kernel: info.kernel_version.unwrap_or_default(),
            os_image: info.operating_system.unwrap_or_default(),
            architecture: match info.architecture.unwrap_or_default().as_str() {
                "x86_64" => "amd64".to_owned(),
                "aarch64" => "arm64".to_owned(),
                other => other.to_owned(),
            },
            cpus: unsigned(info.ncpu),
            memory_bytes: unsigned(info.mem_total),
        })
    }

    async fn list_sandboxes(
        &self,
        pod_uid: Option<&str>,
    ) -> Result<Vec<SandboxInfo>, RuntimeError> {
        self.sandboxes(pod_uid).await
    }

    async fn sandbox(&self, id: &SandboxId) -> Result<Option<SandboxInfo>, RuntimeError> {
        self.one_sandbox(id).await
    }

    async fn list_containers(
        &self,
        pod_uid: Option<&str>,
    ) -> Result<Vec<ContainerInfo>, RuntimeError> {
        self.containers(pod_uid).await
    }

    async fn run_sandbox(&self, config: &SandboxConfig) -> Result<SandboxInfo, RuntimeError> {
        let _permit = self.start_permit().await?;
        self.make_sandbox(config).await
    }

    async fn stop_sandbox(&self, id: &SandboxId) -> Result<(), RuntimeError> {
        self.kill_sandbox(id).await
    }

    async fn remove_sandbox(&self, id: &SandboxId) -> Result<(), RuntimeError> {
        self.delete_sandbox(id).await
    }

    async fn create_container(
        &self,
        sandbox: &SandboxInfo,
        config: &ContainerConfig,
    ) -> Result<ContainerId, RuntimeError> {
        self.make_container(sandbox, config).await
    }

    async fn start_container(&self, id: &ContainerId) -> Result<(), RuntimeError> {
        let _permit = self.start_permit().await?;
        self.start(&id.0).await
    }

    async fn update_container(
        &self,
        id: &ContainerId,
        resources: &Resources,
    ) -> Result<(), RuntimeError> {
        self.update(id, resources).await
    }

    async fn stop_container(&self, id: &ContainerId, grace: Duration) -> Result<(), RuntimeError> {
        self.stop(id, grace).await
    }

    async fn remove_container(&self, id: &ContainerId) -> Result<(), RuntimeError> {
        self.delete(&id.0, false).await
    }

    async fn logs(&self, id: &ContainerId, options: LogOptions) -> Result<LogStream, RuntimeError> {
        self.read_logs(id, options).await
    }

    async fn exec(
        &self,
        id: &ContainerId,
        config: &ExecConfig,
    ) -> Result<ExecSession, RuntimeError> {
        if config.command.is_empty() {
            self.attach(id, config).await
        } else {
            self.run_inside(id, config).await
        }
    }

    async fn image(&self, reference: &str) -> Result<Option<ImageInfo>, RuntimeError> {
        self.local_image(reference).await
    }

    async fn pull_image(&self, reference: &str) -> Result<ImageInfo, RuntimeError> {
        self.pull(reference).await
    }

    async fn load_image(
        &self,
        archive: BoxStream<'static, std::io::Result<Bytes>>,
    ) -> Result<Vec<String>, RuntimeError> {
        self.load(archive).await
    }

    fn events(&self) -> BoxStream<'static, RuntimeEvent> {
        events::stream(Arc::clone(&self.client))
    }
}
