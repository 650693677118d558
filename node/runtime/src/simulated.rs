//! A container runtime that runs nothing: its containers live by the words of their command, its
//! latencies and failures are set by the test. Deterministic under tokio's paused clock, without
//! tasks of its own, so that thousands of them fit into one process.

mod exec;
mod logs;
mod program;
#[cfg(test)]
mod tests;
mod world;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use jiff::Timestamp;
use tokio::{
    sync::{broadcast, watch},
    time::{Instant, sleep, sleep_until},
};

use self::world::World;
use crate::{
    ContainerConfig, ContainerId, ContainerInfo, ContainerRuntime, ExecConfig, ExecSession,
    ImageInfo, LogOptions, LogStream, Resources, RuntimeError, RuntimeEvent, RuntimeVersion,
    SandboxConfig, SandboxId, SandboxInfo, archive,
    limits::{EVENT_BACKLOG, SIMULATED_ARCHIVE_BYTES},
};

/// A call of [`ContainerRuntime`], to be failed or delayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "each is the method of the same name")]
pub enum Operation {
    Version,
    ListSandboxes,
    ListContainers,
    RunSandbox,
    StopSandbox,
    RemoveSandbox,
    CreateContainer,
    StartContainer,
    UpdateContainer,
    StopContainer,
    RemoveContainer,
    Logs,
    Exec,
    Image,
    PullImage,
    LoadImage,
}

/// A simulated engine; clones are handles to the same one.
#[derive(Clone, Debug)]
pub struct SimulatedRuntime {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    began: Instant,
    state: Mutex<State>,
    events: broadcast::Sender<RuntimeEvent>,
    changes: watch::Sender<u64>,
}

#[derive(Debug)]
struct State {
    world: World,
    reachable: bool,
    latencies: BTreeMap<Operation, Duration>,
    failures: BTreeMap<Operation, VecDeque<RuntimeError>>,
    unpullable: BTreeMap<String, String>,
}

impl Default for SimulatedRuntime {
    fn default() -> Self {
        Self::new(Timestamp::now())
    }
}

impl SimulatedRuntime {
    /// An empty engine whose clock shows `epoch` now and then follows tokio's.
    #[must_use]
    pub fn new(epoch: Timestamp) -> Self {
        let state = State {
            world: World::new(epoch),
            reachable: true,
            latencies: BTreeMap::new(),
            failures: BTreeMap::new(),
            unpullable: BTreeMap::new(),
        };
        let shared = Shared {
            began: Instant::now(),
            state: Mutex::new(state),
            events: broadcast::Sender::new(EVENT_BACKLOG),
            changes: watch::Sender::new(0),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Makes every later call of this kind take so long.
    pub fn set_latency(&self, operation: Operation, latency: Duration) {
        self.shared.state().latencies.insert(operation, latency);
    }

    /// Sets the latencies measured with Docker 20.10 on a two-core machine.
    pub fn set_docker_latencies(&self) {
        for (operation, latency_ms) in [
            (Operation::RunSandbox, 300),
            (Operation::CreateContainer, 40),
            (Operation::StartContainer, 160),
            (Operation::StopContainer, 50),
            (Operation::RemoveContainer, 30),
            (Operation::RemoveSandbox, 60),
        ] {
            self.set_latency(operation, Duration::from_millis(latency_ms));
        }
    }

    /// Makes the next call of this kind fail; several queue up.
    pub fn fail_next(&self, operation: Operation, error: RuntimeError) {
        self.shared.state().failures.entry(operation).or_default().push_back(error);
    }

    /// Stops the engine answering, or lets it answer again; containers live on meanwhile.
    pub fn set_reachable(&self, reachable: bool) {
        let before = std::mem::replace(&mut self.shared.state().reachable, reachable);
        if reachable && !before {
            self.shared.notify(RuntimeEvent::Resync);
        }
    }

    /// Puts an image into the local store.
    pub fn add_image(&self, reference: &str) -> ImageInfo {
        self.shared.state().world.add_image(reference)
    }

    /// Makes every pull of this reference fail with `message`, or succeed again with `None`; any
    /// reference can be pulled to begin with.
    pub fn set_pull_error(&self, reference: &str, message: Option<&str>) {
        let mut state = self.shared.state();
        match message {
            Some(message) => {
                state.unpullable.insert(reference.to_owned(), message.to_owned());
            }
            None => {
                state.unpullable.remove(reference);
            }
        }
    }

    /// Ends a running container as if it had ended by itself.
    pub fn exit_container(&self, id: &ContainerId, exit_code: i32) {
        self.shared.end_container(id, exit_code, false);
    }

    /// Ends a running container as the kernel does when memory runs out.
    pub fn oom_kill_container(&self, id: &ContainerId) {
        self.shared.end_container(id, world::KILLED, true);
    }

    /// The pods that have a live sandbox, and their names.
    #[must_use]
    pub fn live_pods(&self) -> Vec<(String, String)> {
        let sandboxes = self.shared.state().world.sandboxes(None);
        let live = sandboxes.into_iter().filter(|sandbox| sandbox.running);
        live.map(|sandbox| (sandbox.uid, format!("{}/{}", sandbox.namespace, sandbox.name)))
            .collect()
    }

    /// Ends everything that runs, as a power cut does.
    pub fn cut_power(&self) {
        let (sandboxes, containers) = {
            let state = self.shared.state();
            (state.world.sandboxes(None), state.world.containers(None, self.shared.now()))
        };
        for container in containers {
            self.shared.end_container(&container.id, world::KILLED, false);
        }
        for sandbox in sandboxes {
            self.kill_sandbox(&sandbox.id);
        }
    }

    /// Ends the pause process of a sandbox.
    pub fn kill_sandbox(&self, id: &SandboxId) {
        let stopped = self.shared.state().world.stop_sandbox(id);
        self.shared.notify_pod(stopped);
    }

    /// Every call begins here: it fails as told, and takes its time.
    async fn begin(&self, operation: Operation) -> Result<(), RuntimeError> {
        let (outcome, latency) = {
            let mut state = self.shared.state();
            let planned = state.failures.get_mut(&operation).and_then(VecDeque::pop_front);
            let outcome = match planned {
                _ if !state.reachable => {
                    Err(RuntimeError::Unreachable("the simulated engine is stopped".to_owned()))
                }
                Some(error) => Err(error),
                None => Ok(()),
            };
            (outcome, state.latencies.get(&operation).copied().unwrap_or_default())
        };
        if !latency.is_zero() {
            sleep(latency).await;
        }
        outcome
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Duration {
        self.began.elapsed()
    }

    fn instant(&self, at: Duration) -> Option<Instant> {
        self.began.checked_add(at)
    }

    fn end_container(&self, id: &ContainerId, exit_code: i32, oom_killed: bool) {
        let ended = self.state().world.end_container(id, exit_code, oom_killed, self.now());
        self.notify_pod(ended);
    }

    fn notify_pod(&self, uid: Option<String>) {
        if let Some(uid) = uid {
            self.notify(RuntimeEvent::Pod { uid });
        }
    }

    fn notify(&self, event: RuntimeEvent) {
        self.changes.send_modify(|version| *version += 1);
        // Nobody listening is no error: events are hints.
        drop(self.events.send(event));
    }

    /// Waits until `at` or until something changes.
    async fn wait(&self, at: Option<Duration>, changes: &mut watch::Receiver<u64>) {
        match at.and_then(|at| self.instant(at)) {
            Some(at) => tokio::select! {
                () = sleep_until(at) => {}
                _ = changes.changed() => {}
            },
            None => drop(changes.changed().await),
        }
    }
}

#[async_trait]
impl ContainerRuntime for SimulatedRuntime {
    async fn version(&self) -> Result<RuntimeVersion, RuntimeError> {
        self.begin(Operation::Version).await?;
        Ok(RuntimeVersion {
            name: "simulated".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            kernel: "0.0.0-simulated".to_owned(),
            os_image: "simulated".to_owned(),
            architecture: "amd64".to_owned(),
            cpus: 4,
            memory_bytes: 8 << 30,
        })
    }

    async fn list_sandboxes(
        &self,
        pod_uid: Option<&str>,
    ) -> Result<Vec<SandboxInfo>, RuntimeError> {
        self.begin(Operation::ListSandboxes).await?;
        Ok(self.shared.state().world.sandboxes(pod_uid))
    }

    async fn list_containers(
        &self,
        pod_uid: Option<&str>,
    ) -> Result<Vec<ContainerInfo>, RuntimeError> {
        self.begin(Operation::ListContainers).await?;
        Ok(self.shared.state().world.containers(pod_uid, self.shared.now()))
    }

    async fn run_sandbox(&self, config: &SandboxConfig) -> Result<SandboxInfo, RuntimeError> {
        self.begin(Operation::RunSandbox).await?;
        let sandbox = self.shared.state().world.run_sandbox(config, self.shared.now());
        self.shared.notify_pod(Some(sandbox.uid.clone()));
        Ok(sandbox)
    }

    async fn stop_sandbox(&self, id: &SandboxId) -> Result<(), RuntimeError> {
        self.begin(Operation::StopSandbox).await?;
        self.kill_sandbox(id);
        Ok(())
    }

    async fn remove_sandbox(&self, id: &SandboxId) -> Result<(), RuntimeError> {
        self.begin(Operation::RemoveSandbox).await?;
        let removed = self.shared.state().world.remove_sandbox(id);
        self.shared.notify_pod(removed);
        Ok(())
    }

    async fn create_container(
        &self,
        sandbox: &SandboxInfo,
        config: &ContainerConfig,
    ) -> Result<ContainerId, RuntimeError> {
        self.begin(Operation::CreateContainer).await?;
        self.shared.state().world.create_container(sandbox, config, self.shared.now())
    }

    async fn start_container(&self, id: &ContainerId) -> Result<(), RuntimeError> {
        self.begin(Operation::StartContainer).await?;
        let uid = self.shared.state().world.start_container(id, self.shared.now())?;
        self.shared.notify_pod(Some(uid));
        Ok(())
    }

    async fn update_container(
        &self,
        id: &ContainerId,
        resources: &Resources,
    ) -> Result<(), RuntimeError> {
        self.begin(Operation::UpdateContainer).await?;
        self.shared.state().world.update_container(id, *resources)
    }

    async fn stop_container(&self, id: &ContainerId, grace: Duration) -> Result<(), RuntimeError> {
        self.begin(Operation::StopContainer).await?;
        let mut changes = self.shared.changes.subscribe();
        let deadline = self.shared.now().saturating_add(grace);
        loop {
            changes.borrow_and_update();
            let now = self.shared.now();
            let (deaf, natural) = {
                let state = self.shared.state();
                (state.world.deaf(id, now), state.world.natural_end(id))
            };
            if !deaf || now >= deadline {
                let exit_code = if deaf { world::KILLED } else { world::TERMINATED };
                self.shared.end_container(id, exit_code, false);
                return Ok(());
            }
            let until = natural.map_or(deadline, |natural| natural.min(deadline));
            self.shared.wait(Some(until), &mut changes).await;
        }
    }

    async fn remove_container(&self, id: &ContainerId) -> Result<(), RuntimeError> {
        self.begin(Operation::RemoveContainer).await?;
        let removed = self.shared.state().world.remove_container(id, self.shared.now())?;
        self.shared.notify_pod(removed);
        Ok(())
    }

    async fn logs(&self, id: &ContainerId, options: LogOptions) -> Result<LogStream, RuntimeError> {
        self.begin(Operation::Logs).await?;
        logs::stream(Arc::clone(&self.shared), id.clone(), options)
    }

    async fn exec(
        &self,
        id: &ContainerId,
        config: &ExecConfig,
    ) -> Result<ExecSession, RuntimeError> {
        self.begin(Operation::Exec).await?;
        exec::run(Arc::clone(&self.shared), id.clone(), config)
    }

    async fn image(&self, reference: &str) -> Result<Option<ImageInfo>, RuntimeError> {
        self.begin(Operation::Image).await?;
        Ok(self.shared.state().world.image(reference))
    }

    async fn pull_image(&self, reference: &str) -> Result<ImageInfo, RuntimeError> {
        self.begin(Operation::PullImage).await?;
        let mut state = self.shared.state();
        match state.unpullable.get(reference) {
            Some(message) => Err(RuntimeError::ImagePull {
                image: reference.to_owned(),
                message: message.clone(),
            }),
            None => Ok(state.world.add_image(reference)),
        }
    }

    async fn load_image(
        &self,
        archive: BoxStream<'static, std::io::Result<Bytes>>,
    ) -> Result<Vec<String>, RuntimeError> {
        self.begin(Operation::LoadImage).await?;
        let bytes = archive
            .map_err(|error| RuntimeError::Failed(format!("reading the archive: {error}")))
            .try_fold(Vec::new(), |mut all, part| async move {
                if all.len() + part.len() > SIMULATED_ARCHIVE_BYTES {
                    return Err(RuntimeError::Rejected(
                        "the image archive is too large".to_owned(),
                    ));
                }
                all.extend_from_slice(&part);
                Ok(all)
            })
            .await?;
        let tags = archive::repo_tags(&bytes)
            .map_err(|error| RuntimeError::Rejected(format!("not an image archive: {error}")))?;
        let mut state = self.shared.state();
        for tag in &tags {
            state.world.add_image(tag);
        }
        Ok(tags)
    }

    fn events(&self) -> BoxStream<'static, RuntimeEvent> {
        let listener = Listener {
            received: self.shared.events.subscribe(),
            seen: self.shared.now(),
            ended: VecDeque::new(),
            shared: Arc::clone(&self.shared),
        };
        stream::unfold(listener, |mut listener| async move {
            let event = listener.next().await?;
            Some((event, listener))
        })
        .boxed()
    }
}

/// One listener to the events: what others do arrives by the channel, containers that end by
/// themselves are found by the clock.
struct Listener {
    received: broadcast::Receiver<RuntimeEvent>,
    seen: Duration,
    ended: VecDeque<String>,
    shared: Arc<Shared>,
}

impl Listener {
    async fn next(&mut self) -> Option<RuntimeEvent> {
        loop {
            if let Some(uid) = self.ended.pop_front() {
                return Some(RuntimeEvent::Pod { uid });
            }
            let next = self.shared.state().world.next_ends(self.seen);
            let due = next.as_ref().and_then(|(at, _)| self.shared.instant(*at));
            let clock = async {
                match due {
                    Some(due) => sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                received = self.received.recv() => return match received {
                    Ok(event) => Some(event),
                    Err(broadcast::error::RecvError::Lagged(_)) => Some(RuntimeEvent::Resync),
                    Err(broadcast::error::RecvError::Closed) => None,
                },
                () = clock => {
                    if let Some((at, uids)) = next {
                        self.seen = at;
                        self.ended.extend(uids);
                    }
                }
            }
        }
    }
}
