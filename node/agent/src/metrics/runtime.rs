//! A runtime whose calls are counted.

use std::{future::Future, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use skein_runtime::{
    ContainerConfig, ContainerId, ContainerInfo, ContainerRuntime, ExecConfig, ExecSession,
    ImageInfo, LogOptions, LogStream, Resources, RuntimeError, RuntimeEvent, RuntimeVersion,
    SandboxConfig, SandboxId, SandboxInfo,
};
use tokio::time::Instant;

use super::{Metrics, Operation};

/// Passes every call on and counts it.
pub(crate) struct MeasuredRuntime {
    inner: Arc<dyn ContainerRuntime>,
    metrics: Metrics,
}

impl MeasuredRuntime {
    pub(crate) fn new(inner: Arc<dyn ContainerRuntime>, metrics: Metrics) -> Self {
        Self { inner, metrics }
    }

    async fn measured<T>(
        &self,
        operation_type: &'static str,
        call: impl Future<Output = Result<T, RuntimeError>> + Send,
    ) -> Result<T, RuntimeError> {
        let operation = Operation { operation_type };
        self.metrics.operations.get_or_create(&operation).inc();
        let began = Instant::now();
        let result = call.await;
        let took = began.elapsed().as_secs_f64();
        self.metrics.durations.get_or_create(&operation).observe(took);
        if result.is_err() {
            self.metrics.errors.get_or_create(&operation).inc();
        }
        result
    }
}

#[async_trait]
impl ContainerRuntime for MeasuredRuntime {
    async fn version(&self) -> Result<RuntimeVersion, RuntimeError> {
        self.measured("version", self.inner.version()).await
    }

    async fn list_sandboxes(&self, uid: Option<&str>) -> Result<Vec<SandboxInfo>, RuntimeError> {
        self.measured("list_podsandbox", self.inner.list_sandboxes(uid)).await
    }

    async fn sandbox(&self, id: &SandboxId) -> Result<Option<SandboxInfo>, RuntimeError> {
        self.measured("podsandbox_status", self.inner.sandbox(id)).await
    }

    async fn list_containers(
        &self,
        pod_uid: Option<&str>,
    ) -> Result<Vec<ContainerInfo>, RuntimeError> {
        self.measured("list_containers", self.inner.list_containers(pod_uid)).await
    }

    async fn run_sandbox(&self, config: &SandboxConfig) -> Result<SandboxInfo, RuntimeError> {
        self.measured("run_podsandbox", self.inner.run_sandbox(config)).await
    }

    async fn stop_sandbox(&self, id: &SandboxId) -> Result<(), RuntimeError> {
        self.measured("stop_podsandbox", self.inner.stop_sandbox(id)).await
    }

    async fn remove_sandbox(&self, id: &SandboxId) -> Result<(), RuntimeError> {
        self.measured("remove_podsandbox", self.inner.remove_sandbox(id)).await
    }

    async fn create_container(
        &self,
        sandbox: &SandboxInfo,
        config: &ContainerConfig,
    ) -> Result<ContainerId, RuntimeError> {
        self.measured("create_container", self.inner.create_container(sandbox, config)).await
    }

    async fn start_container(&self, id: &ContainerId) -> Result<(), RuntimeError> {
        self.measured("start_container", self.inner.start_container(id)).await
    }

    async fn update_container(
        &self,
        id: &ContainerId,
        resources: &Resources,
    ) -> Result<(), RuntimeError> {
        self.measured("update_container", self.inner.update_container(id, resources)).await
    }

    async fn stop_container(&self, id: &ContainerId, grace: Duration) -> Result<(), RuntimeError> {
        self.measured("stop_container", self.inner.stop_container(id, grace)).await
    }

    async fn remove_container(&self, id: &ContainerId) -> Result<(), RuntimeError> {
        self.measured("remove_container", self.inner.remove_container(id)).await
    }

    async fn logs(&self, id: &ContainerId, options: LogOptions) -> Result<LogStream, RuntimeError> {
        self.measured("container_log", self.inner.logs(id, options)).await
    }

    async fn exec(
        &self,
        id: &ContainerId,
        config: &ExecConfig,
    ) -> Result<ExecSession, RuntimeError> {
        let operation = if config.command.is_empty() { "attach" } else { "exec" };
        self.measured(operation, self.inner.exec(id, config)).await
    }

    async fn image(&self, reference: &str) -> Result<Option<ImageInfo>, RuntimeError> {
        self.measured("image_status", self.inner.image(reference)).await
    }

    async fn pull_image(&self, reference: &str) -> Result<ImageInfo, RuntimeError> {
        self.measured("pull_image", self.inner.pull_image(reference)).await
    }

    async fn load_image(
        &self,
        archive: BoxStream<'static, std::io::Result<Bytes>>,
    ) -> Result<Vec<String>, RuntimeError> {
        self.measured("load_image", self.inner.load_image(archive)).await
    }

    fn events(&self) -> BoxStream<'static, RuntimeEvent> {
        self.inner.events()
    }
}
