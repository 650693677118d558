//! Performs the steps of the plan.

use std::{sync::Arc, time::Duration};

use futures::{FutureExt, future::BoxFuture};
use k8s_openapi::api::core::v1::Pod;
use skein_runtime::{
    ContainerConfig, ContainerId, ContainerInfo, ContainerState, RuntimeError, SandboxId,
};
use skein_storage::{DeleteOptions, EventType, Preconditions};

use super::{
    Worker,
    outcome::{Job, JobResult, Outcome, StepError},
};
use crate::{
    lifecycle::{Action, Cause, Network, StopReason},
    pod::{container_config, sandbox_config},
    probe::{ProbeKey, ProbeKind, ask},
};

/// What a step does.
pub(super) type Work = BoxFuture<'static, JobResult>;

impl Worker {
    /// Begins a step.
    pub(super) fn begin(&mut self, action: Action) {
        let step = action.step();
        self.note_renewal(&action);
        let work = match action {
            Action::TakeSlot => match self.take_slot() {
                Some(work) => work,
                None => return,
            },
            Action::RunSandbox { attempt } => self.run_sandbox(attempt),
            Action::Attach { sandbox } => self.attach(sandbox),
            Action::Prepare { container, attempt } => self.prepare(&container, attempt),
            Action::Create { sandbox, container, attempt, target } => {
                self.create(&sandbox, &container, attempt, target)
            }
            Action::Start { container, id } => self.start(&container, id),
            Action::Update { id, resources } => self.update(id, resources),
            Action::Stop { container, id, grace_seconds, reason } => {
                self.stop(&container, id, grace_seconds, &reason)
            }
            Action::RemoveContainer { id } => self.remove_container(id),
            Action::StopSandbox { id } => self.stop_sandbox(id),
            Action::RemoveSandbox { id } => self.remove_sandbox(id),
            Action::Detach => self.detach(),
            Action::Probe(key) => self.ask(key),
            Action::Cleanup => self.clean_up(),
            Action::Delete => self.delete(),
        };
        self.memory.in_flight.insert(step.clone());
        self.jobs.spawn(async move { (Job::Step(step), work.await) });
    }

    /// A container that ends to be made anew is known to, however it ends.
    fn note_renewal(&mut self, action: &Action) {
        let Action::Stop { id, reason: StopReason::Resized, .. } = action else { return };
        if let Some(info) = self.observed.containers.iter().find(|known| known.id == *id) {
            self.memory.renew(info);
        }
    }

    /// Takes a place for starting pods; `None` if one was free.
    fn take_slot(&mut self) -> Option<Work> {
        let starts = Arc::clone(&self.host.starts);
        if let Ok(permit) = Arc::clone(&starts).try_acquire_owned() {
            self.slot = Some(permit);
            self.memory.slot = true;
            return None;
        }
        let wait = async move {
            let permit = starts.acquire_owned().await;
            permit.map(Outcome::Slot).map_err(|error| failed(Cause::Runtime, &error))
        };
        Some(wait.boxed())
    }

    fn run_sandbox(&self, attempt: u32) -> Work {
        let host = Arc::clone(&self.host);
        let config = sandbox_config(&self.pod, attempt, &host.config.dns);
        async move {
            let sandbox = host.runtime.run_sandbox(&config).await;
            sandbox.map(Outcome::Sandbox).map_err(|error| runtime_failed(Cause::Sandbox, &error))
        }
        .boxed()
    }

    fn attach(&self, sandbox: SandboxId) -> Work {
        let host = Arc::clone(&self.host);
        let uid = self.uid().to_owned();
        let pid = self.observed.live_sandbox().and_then(|live| live.pid);
        let had_another = matches!(self.memory.network, Network::Attached { .. });
        async move {
            let pid = pid.ok_or_else(|| {
                StepError::new(Cause::Sandbox, "the sandbox has no process to attach to")
            })?;
            if had_another {
                let detached = host.network.detach(&uid).await;
                detached.map_err(|error| failed(Cause::Sandbox, &error))?;
            }
            let ip = host.network.attach(&uid, pid).await;
            let ip = ip.map_err(|error| failed(Cause::Sandbox, &error))?;
            Ok(Outcome::Attached { sandbox, ip })
        }
        .boxed()
    }

    fn detach(&self) -> Work {
        let host = Arc::clone(&self.host);
        let uid = self.uid().to_owned();
        async move {
            let detached = host.network.detach(&uid).await;
            detached.map(|()| Outcome::Detached).map_err(|error| failed(Cause::Sandbox, &error))
        }
        .boxed()
    }

    fn create(
        &self,
        sandbox: &SandboxId,
        name: &str,
        attempt: u32,
        target: Option<ContainerId>,
    ) -> Work {
        let parts = self
            .container(name)
            .zip(self.prepared.get(name))
            .zip(self.observed.sandboxes.iter().find(|known| known.id == *sandbox));
        let Some(((container, prepared), sandbox)) = parts else {
            return no_container(name);
        };
        let config = container_config(&self.pod, &container, prepared.inputs.clone());
        let (host, sandbox, prepared) =
            (Arc::clone(&self.host), sandbox.clone(), Arc::clone(prepared));
        let pod = Arc::clone(&self.pod);
        async move {
            let config = config.map_err(|error| failed(Cause::Config, &error))?;
            let config = ContainerConfig { target, ..config };
            let id = host.runtime.create_container(&sandbox, &config).await;
            let id = id.map_err(|error| runtime_failed(Cause::Create, &error))?;
            let message = format!("Created container: {}", config.name);
            host.recorder.event(&*pod, EventType::Normal, "Created", message);
            Ok(Outcome::Created(ContainerInfo {
                id,
                pod_uid: sandbox.uid.clone(),
                sandbox: sandbox.id,
                name: config.name,
                attempt,
                image: config.image,
                image_id: prepared.image_id.clone(),
                state: ContainerState::Created,
                created: host.config.clock.now(),
                resources: config.resources.in_effect(),
                labels: config.labels,
            }))
        }
        .boxed()
    }

    fn start(&self, name: &str, id: ContainerId) -> Work {
        let (host, pod) = (Arc::clone(&self.host), Arc::clone(&self.pod));
        let name = name.to_owned();
        let unsupported = self.unsupported_probes(&name);
        async move {
            let result = host.runtime.start_container(&id).await;
            let at = host.config.clock.now();
            match result {
                Ok(()) => {
                    let message = format!("Started container {name}");
                    host.recorder.event(&*pod, EventType::Normal, "Started", message);
                    for message in unsupported {
                        host.recorder.event(&*pod, EventType::Warning, "ProbeUnsupported", message);
                    }
                    Ok(Outcome::Started { id, at })
                }
                Err(RuntimeError::Rejected(message)) => {
                    let said = format!("Error: {message}");
                    host.recorder.event(&*pod, EventType::Warning, "Failed", said);
                    Ok(Outcome::NotStarted { id, at, message })
                }
                Err(error) => Err(runtime_failed(Cause::Start, &error)),
            }
        }
        .boxed()
    }

    /// What to tell of a container's probes that are never asked.
    fn unsupported_probes(&self, name: &str) -> Vec<String> {
        let probes = self.desired.container(name).into_iter().flat_map(|known| &known.probes);
        let told = probes.filter_map(|probe| {
            let why = probe.unsupported()?;
            let effect = match probe.kind {
                ProbeKind::Startup | ProbeKind::Readiness => "the container does not become ready",
                ProbeKind::Liveness => "the container is not restarted for it",
            };
            Some(format!("{} probe of container {name}: {why}; {effect}", probe.kind.name()))
        });
        told.collect()
    }

    fn stop(&self, name: &str, id: ContainerId, grace_seconds: u64, why: &StopReason) -> Work {
        let message = match why {
            StopReason::PodEnds => format!("Stopping container {name}"),
            StopReason::SandboxDied => {
                format!("Stopping container {name}: the pod sandbox changed, it will be re-created")
            }
            StopReason::Unhealthy(probe) => {
                format!("Container {name} failed {} probe, will be restarted", probe.to_lowercase())
            }
            StopReason::Duplicate => format!("Stopping container {name}: another copy of it runs"),
            StopReason::Resized => format!("Container {name} resize requires restart"),
        };
        self.event(EventType::Normal, "Killing", message);
        let host = Arc::clone(&self.host);
        async move {
            let grace = Duration::from_secs(grace_seconds);
            match host.runtime.stop_container(&id, grace).await {
                Ok(()) | Err(RuntimeError::NotFound(_)) => Ok(Outcome::Stopped),
                Err(error) => Err(runtime_failed(Cause::Runtime, &error)),
            }
        }
        .boxed()
    }

    fn remove_container(&self, id: ContainerId) -> Work {
        let host = Arc::clone(&self.host);
        async move {
            match host.runtime.remove_container(&id).await {
                Ok(()) | Err(RuntimeError::NotFound(_)) => Ok(Outcome::ContainerRemoved(id)),
                Err(error) => Err(runtime_failed(Cause::Runtime, &error)),
            }
        }
        .boxed()
    }

    fn stop_sandbox(&self, id: SandboxId) -> Work {
        let host = Arc::clone(&self.host);
        async move {
            match host.runtime.stop_sandbox(&id).await {
                Ok(()) | Err(RuntimeError::NotFound(_)) => Ok(Outcome::SandboxStopped),
                Err(error) => Err(runtime_failed(Cause::Runtime, &error)),
            }
        }
        .boxed()
    }

    fn remove_sandbox(&self, id: SandboxId) -> Work {
        let host = Arc::clone(&self.host);
        async move {
            match host.runtime.remove_sandbox(&id).await {
                Ok(()) | Err(RuntimeError::NotFound(_)) => Ok(Outcome::SandboxRemoved(id)),
                Err(error) => Err(runtime_failed(Cause::Runtime, &error)),
            }
        }
        .boxed()
    }

    fn ask(&self, key: ProbeKey) -> Work {
        let info = self.observed.containers.iter().find(|container| container.id == key.id);
        let spec = info.and_then(|info| self.desired.container(&info.name));
        let spec = spec.and_then(|container| container.probe(key.kind)).cloned();
        let ip = self.pod_ip();
        async move {
            let answer = match (spec, ip) {
                (Some(spec), Some(ip)) => ask(&spec, ip).await,
                _ => Err("the pod has no address".to_owned()),
            };
            Ok(Outcome::Probed { key, answer })
        }
        .boxed()
    }

    fn clean_up(&self) -> Work {
        let (directory, disk) = (self.directory.clone(), self.host.config.disk_work);
        async move {
            let removed = disk.run(move || directory.remove()).await;
            match removed {
                Ok(Ok(())) => Ok(Outcome::Cleaned),
                Ok(Err(error)) => Err(failed(Cause::Runtime, &error)),
                Err(error) => Err(failed(Cause::Runtime, &error)),
            }
        }
        .boxed()
    }

    /// Writes the last status, then deletes the pod for good.
    fn delete(&self) -> Work {
        let status = self.write_status(self.report.built.clone());
        let meta = self.pod.metadata.clone();
        let pods = self.host.storage.typed::<Pod>();
        async move {
            let gone = |error: &skein_objects::StatusError| {
                error.reason == skein_objects::Reason::NotFound
            };
            match status.await {
                Ok(_) => {}
                Err(error) if gone(&error) => return Ok(Outcome::Deleted),
                Err(error) => return Err(failed(Cause::Store, &error)),
            }
            let (namespace, name) =
                (meta.namespace.unwrap_or_default(), meta.name.unwrap_or_default());
            let options = DeleteOptions {
                grace_period_seconds: Some(0),
                preconditions: Preconditions { uid: meta.uid, resource_version: None },
                ..DeleteOptions::default()
            };
            match pods.delete(&namespace, &name, &options).await {
                Ok(_) => Ok(Outcome::Deleted),
                // Another pod of that name, or none, is there: this one is gone.
                Err(error) if gone(&error) || error.reason == skein_objects::Reason::Conflict => {
                    Ok(Outcome::Deleted)
                }
                Err(error) => Err(failed(Cause::Store, &error)),
            }
        }
        .boxed()
    }
}

fn no_container(name: &str) -> Work {
    let message = format!("container {name} is not prepared");
    std::future::ready(Err(StepError::new(Cause::Create, message))).boxed()
}

fn failed(cause: Cause, error: &impl std::fmt::Display) -> StepError {
    StepError::new(cause, error.to_string())
}

/// A failure of the runtime: `cause`, unless the runtime did not answer.
pub(super) fn runtime_failed(cause: Cause, error: &RuntimeError) -> StepError {
    let cause = match error {
        RuntimeError::Unreachable(_) | RuntimeError::Timeout(_) => Cause::Runtime,
        _ => cause,
    };
    StepError::new(cause, error.to_string())
}
