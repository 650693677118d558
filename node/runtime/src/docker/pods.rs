//! Sandboxes and containers through the engine.

use std::{collections::HashMap, path::Path, time::Duration};

use bollard::{
    errors::Error,
    models::ContainerCreateBody,
    query_parameters::{
        CreateContainerOptionsBuilder, KillContainerOptionsBuilder, ListContainersOptionsBuilder,
        RemoveContainerOptionsBuilder, StopContainerOptionsBuilder,
    },
};
use futures::stream::{self, StreamExt, TryStreamExt};
use tokio::time::sleep;

use super::{
    DockerRuntime,
    client::within,
    labels,
    observe::{Observed, observe},
    pause::READY_NAME,
    resolv, spec,
};
use crate::{
    ContainerConfig, ContainerId, ContainerInfo, Resources, RuntimeError, SandboxConfig, SandboxId,
    SandboxInfo,
    limits::{
        CALL_DEADLINE, CONCURRENT_INSPECTIONS, READY_DEADLINE, READY_POLL, START_DEADLINE,
        STOP_MARGIN,
    },
};

impl DockerRuntime {
    /// Ids of our containers with all of these labels.
    async fn ids(&self, labelled: &[(&str, &str)]) -> Result<Vec<String>, RuntimeError> {
        let labelled = labelled.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let filters = HashMap::from([("label".to_owned(), labelled)]);
        let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
        let list = self
            .client
            .call(
                CALL_DEADLINE,
                |docker| async move { docker.list_containers(Some(options)).await },
            )
            .await?;
        Ok(list.into_iter().filter_map(|summary| summary.id).collect())
    }

    /// Inspects one container of ours, by id or name; `None` if there is none.
    async fn inspect(&self, id: &str) -> Result<Option<Observed>, RuntimeError> {
        let inspected = self
            .client
            .call(CALL_DEADLINE, |docker| async move { docker.inspect_container(id, None).await })
            .await;
        match inspected {
            Ok(inspected) => Ok(observe(inspected)),
            Err(RuntimeError::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What there is of a kind, of all pods or one. A list says neither exit codes nor process ids:
    /// each container is inspected.
    async fn observe_of(
        &self,
        kind: &str,
        pod_uid: Option<&str>,
    ) -> Result<Vec<Observed>, RuntimeError> {
        let mut labelled = vec![(labels::KIND, kind)];
        labelled.extend(pod_uid.map(|uid| (labels::POD_UID, uid)));
        let ids = self.ids(&labelled).await?;
        stream::iter(ids)
            .map(|id| async move { self.inspect(&id).await })
            .buffered(CONCURRENT_INSPECTIONS)
            .try_filter_map(|observed| async move { Ok(observed) })
            .try_collect()
            .await
    }

    pub(super) async fn sandboxes(
        &self,
        pod_uid: Option<&str>,
    ) -> Result<Vec<SandboxInfo>, RuntimeError> {
        let observed = self.observe_of(labels::SANDBOX, pod_uid).await?;
        Ok(observed
            .into_iter()
            .filter_map(|observed| match observed {
                Observed::Sandbox(sandbox) => Some(sandbox),
                Observed::Container(_) => None,
            })
            .collect())
    }

    pub(super) async fn one_sandbox(
        &self,
        id: &SandboxId,
    ) -> Result<Option<SandboxInfo>, RuntimeError> {
        Ok(match self.inspect(&id.0).await? {
            Some(Observed::Sandbox(sandbox)) => Some(sandbox),
            Some(Observed::Container(_)) | None => None,
        })
    }

    pub(super) async fn containers(
        &self,
        pod_uid: Option<&str>,
    ) -> Result<Vec<ContainerInfo>, RuntimeError> {
        let observed = self.observe_of(labels::CONTAINER, pod_uid).await?;
        Ok(observed
            .into_iter()
            .filter_map(|observed| match observed {
                Observed::Container(container) => Some(container),
                Observed::Sandbox(_) => None,
            })
            .collect())
    }

    /// Makes a container; `None` if the name is taken.
    async fn create(
        &self,
        name: &str,
        body: ContainerCreateBody,
    ) -> Result<Option<String>, RuntimeError> {
        let options = CreateContainerOptionsBuilder::new().name(name).build();
        self.client
            .call(START_DEADLINE, |docker| async move {
                match docker.create_container(Some(options), body).await {
                    Ok(created) => Ok(Some(created.id)),
                    Err(Error::DockerResponseServerError { status_code: 409, .. }) => Ok(None),
                    Err(error) => Err(error),
                }
            })
            .await
    }

    pub(super) async fn start(&self, id: &str) -> Result<(), RuntimeError> {
        self.client
            .call(START_DEADLINE, |docker| async move { docker.start_container(id, None).await })
            .await
    }

    pub(super) async fn make_sandbox(
        &self,
        config: &SandboxConfig,
    ) -> Result<SandboxInfo, RuntimeError> {
        let name = labels::sandbox_name(config);
        let config = &resolv::complete(config)
            .map_err(|error| RuntimeError::Failed(format!("reading resolv.conf: {error}")))?;
        let created = match self.create(&name, spec::sandbox(config)).await {
            Err(RuntimeError::NotFound(_)) => {
                self.load_pause_image().await?;
                self.create(&name, spec::sandbox(config)).await?
            }
            created => created?,
        };
        let id = created.unwrap_or(name);
        self.start(&id).await?;
        match self.inspect(&id).await? {
            Some(Observed::Sandbox(sandbox)) => {
                wait_until_ready(&sandbox).await?;
                Ok(sandbox)
            }
            Some(Observed::Container(_)) | None => {
                Err(RuntimeError::Failed(format!("{id} is not a sandbox of ours")))
            }
        }
    }

    /// Kills a sandbox's pause; the engine returns when it is dead.
    pub(super) async fn kill_sandbox(&self, id: &SandboxId) -> Result<(), RuntimeError> {
        let options = KillContainerOptionsBuilder::new().signal("SIGKILL").build();
        self.client
            .call(STOP_MARGIN, |docker| async move {
                tolerate(&[404, 409], docker.kill_container(&id.0, Some(options)).await)
            })
            .await
    }

    pub(super) async fn delete_sandbox(&self, id: &SandboxId) -> Result<(), RuntimeError> {
        let inside =
            self.ids(&[(labels::KIND, labels::CONTAINER), (labels::SANDBOX_ID, &id.0)]).await?;
        stream::iter(inside)
            .map(Ok)
            .try_for_each_concurrent(CONCURRENT_INSPECTIONS, |container| async move {
                self.delete(&container, true).await
            })
            .await?;
        self.delete(&id.0, true).await
    }

    pub(super) async fn make_container(
        &self,
        sandbox: &SandboxInfo,
        config: &ContainerConfig,
    ) -> Result<ContainerId, RuntimeError> {
        let name = labels::container_name(sandbox, config);
        if let Some(id) = self.create(&name, spec::container(sandbox, config)).await? {
            return Ok(ContainerId(id));
        }
        match self.inspect(&name).await? {
            Some(Observed::Container(left)) if left.sandbox == sandbox.id => return Ok(left.id),
            // Left over from a sandbox that is no more: it could never run again.
            Some(Observed::Container(left)) => self.delete(&left.id.0, true).await?,
            Some(Observed::Sandbox(_)) | None => {}
        }
        let created = self.create(&name, spec::container(sandbox, config)).await?;
        created
            .map(ContainerId)
            .ok_or_else(|| RuntimeError::Failed(format!("the container name {name} is taken")))
    }

    pub(super) async fn update(
        &self,
        id: &ContainerId,
        resources: &Resources,
    ) -> Result<(), RuntimeError> {
        let body = spec::update(resources);
        self.client
            .call(CALL_DEADLINE, |docker| async move { docker.update_container(&id.0, body).await })
            .await
    }

    pub(super) async fn stop(&self, id: &ContainerId, grace: Duration) -> Result<(), RuntimeError> {
        // Docker takes whole seconds; a pod gets rather more than less of its grace.
        let seconds = grace.as_secs() + u64::from(grace.subsec_nanos() > 0);
        let seconds = i32::try_from(seconds).unwrap_or(i32::MAX);
        let options = StopContainerOptionsBuilder::new().t(seconds).build();
        self.client
            .call(grace.saturating_add(STOP_MARGIN), |docker| async move {
                tolerate(&[404], docker.stop_container(&id.0, Some(options)).await)
            })
            .await
    }

    /// Removes a container; one that is gone or being removed is fine.
    pub(super) async fn delete(&self, id: &str, force: bool) -> Result<(), RuntimeError> {
        let options = RemoveContainerOptionsBuilder::new().force(force).v(true).build();
        self.client
            .call(STOP_MARGIN, |docker| async move {
                match docker.remove_container(id, Some(options)).await {
                    Err(Error::DockerResponseServerError { status_code: 409, ref message })
                        if message.contains("already in progress") =>
                    {
                        Ok(())
                    }
                    removed => tolerate(&[404], removed),
                }
            })
            .await
    }
}

/// Takes answers that say "already so" for success.
fn tolerate(statuses: &[u16], result: Result<(), Error>) -> Result<(), Error> {
    match result {
        Err(Error::DockerResponseServerError { status_code, .. })
            if statuses.contains(&status_code) =>
        {
            Ok(())
        }
        result => result,
    }
}

/// Waits until the pause has its own network namespace: before that, `/proc/PID/ns/net` is the
/// host's. It needs some microseconds after its start, so this hardly ever sleeps.
async fn wait_until_ready(sandbox: &SandboxInfo) -> Result<(), RuntimeError> {
    let ended = || RuntimeError::Failed(format!("the pause of pod {} ended at once", sandbox.name));
    let comm = format!("/proc/{}/comm", sandbox.pid.ok_or_else(ended)?);
    let ready = async {
        loop {
            match tokio::fs::read_to_string(Path::new(&comm)).await {
                Ok(name) if name.trim_end() == READY_NAME => return Ok(()),
                Ok(_) => sleep(READY_POLL).await,
                Err(_gone) => return Err(ended()),
            }
        }
    };
    within(READY_DEADLINE, ready).await?
}
