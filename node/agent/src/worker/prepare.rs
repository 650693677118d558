//! Resolves what a container needs before it is made: image, environment, volumes.

use std::{net::IpAddr, sync::Arc};

use futures::FutureExt;
use k8s_openapi::api::core::v1::{ConfigMap, Container, Pod, Secret};
use skein_runtime::Resources;
use tokio::time::timeout;

use super::{
    Worker, image,
    outcome::{Outcome, StepError},
    step::Work,
};
use crate::{
    checkpoint,
    host::Host,
    lifecycle::Cause,
    limits,
    pod::{
        ContainerInputs, FieldContext, MountError, PodDirectory, Reference, SourceKind, Sources,
        materialise, references, resolve,
    },
};

/// What was found out for a container.
#[derive(Clone, Debug)]
pub(crate) struct Prepared {
    /// Environment, command, mounts.
    pub(super) inputs: ContainerInputs,
    /// Content id of its image.
    pub(super) image_id: String,
}

/// What preparing a container looks at.
struct Preparation {
    host: Arc<Host>,
    pod: Arc<Pod>,
    container: Container,
    directory: PodDirectory,
    pod_ip: Option<IpAddr>,
    attempt: u32,
}

impl Worker {
    pub(super) fn prepare(&self, name: &str, attempt: u32) -> Work {
        let Some(container) = self.container(name) else {
            let error = StepError::new(Cause::Config, format!("no container {name} in the pod"));
            return std::future::ready(Err(error)).boxed();
        };
        let preparation = Preparation {
            host: Arc::clone(&self.host),
            pod: Arc::clone(&self.pod),
            container,
            directory: self.directory.clone(),
            pod_ip: self.pod_ip(),
            attempt,
        };
        let container = name.to_owned();
        async move {
            let prepared = preparation.run().await?;
            Ok(Outcome::Prepared { container, prepared })
        }
        .boxed()
    }
}

impl Preparation {
    async fn run(self) -> Result<Prepared, StepError> {
        let image = image::ensure(&self.host, &self.pod, &self.container);
        let (image, sources) = tokio::join!(image, self.sources());
        let (image, sources) = (image?, sources?);
        let disk = self.host.config.disk_work;
        let inputs = disk.run(move || self.resolve(&sources)).await;
        let inputs = inputs.map_err(|error| StepError::new(Cause::Config, error.to_string()))??;
        Ok(Prepared { inputs, image_id: image.id })
    }

    /// Environment and volumes. Blocks on the disk.
    fn resolve(&self, sources: &Sources) -> Result<ContainerInputs, StepError> {
        if let Err(error) = checkpoint::save_sources(&self.directory, sources) {
            tracing::warn!(%error, "cannot keep the configuration of a pod");
        }
        let version = self.host.health.borrow().version().cloned().unwrap_or_default();
        let fields = FieldContext {
            pod: &self.pod,
            pod_ip: self.pod_ip,
            host_ip: self.host.config.host_ip,
            host: Resources {
                cpu_limit_millis: version.cpus * 1000,
                cpu_request_millis: 0,
                memory_limit_bytes: version.memory_bytes,
            },
        };
        let resolved = resolve(&self.container, sources, &fields)
            .map_err(|error| StepError::new(Cause::Config, error.to_string()))?;
        let mounts = materialise(&self.container, sources, &fields, &resolved.env, &self.directory);
        let mounts = mounts.map_err(|error| StepError::new(Cause::Config, explain(&error)))?;
        Ok(ContainerInputs { resolved, mounts, attempt: self.attempt })
    }

    /// The sources the container refers to. Those that do not exist are left out; if the store
    /// does not answer, the content last given to this pod serves.
    async fn sources(&self) -> Result<Sources, StepError> {
        let namespace = self.pod.metadata.namespace.clone().unwrap_or_default();
        let mut sources = Sources { namespace, ..Sources::default() };
        for reference in references(&self.pod, &self.container) {
            self.read(&reference, &mut sources).await?;
        }
        Ok(sources)
    }

    async fn read(&self, reference: &Reference, sources: &mut Sources) -> Result<(), StepError> {
        let namespace = sources.namespace.clone();
        let name = &reference.name;
        let storage = &self.host.storage;
        let read = async {
            match reference.kind {
                SourceKind::ConfigMap => {
                    let map = storage.typed::<ConfigMap>().get(&namespace, name).await?;
                    map.into_iter().for_each(|map| sources.add_config_map(name, map));
                }
                SourceKind::Secret => {
                    let secret = storage.typed::<Secret>().get(&namespace, name).await?;
                    secret.into_iter().for_each(|secret| sources.add_secret(name, secret));
                }
            }
            Ok::<(), skein_objects::StatusError>(())
        };
        let message = match timeout(limits::SOURCE_TIMEOUT, read).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {:?}", limits::SOURCE_TIMEOUT),
        };
        let (directory, wanted) = (self.directory.clone(), reference.clone());
        let disk = self.host.config.disk_work;
        let kept = disk.run(move || checkpoint::source(&directory, &wanted)).await;
        match kept {
            Ok(Some(content)) => {
                sources.add(reference.kind, name, content);
                Ok(())
            }
            Ok(None) | Err(_) => {
                let kind = reference.kind.name();
                let message = format!("cannot read {kind} {namespace}/{name}: {message}");
                Err(StepError::new(Cause::Store, message))
            }
        }
    }
}

/// The whole chain of an error: the disk's words say what to do.
fn explain(error: &MountError) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
