//! What every runtime promises, as one suite that runs against each of them.

use std::{collections::BTreeMap, future::ready, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::stream::{self, StreamExt, TryStreamExt};
use jiff::Timestamp;
use tokio::time::{interval, timeout};

use crate::{
    ContainerConfig, ContainerId, ContainerInfo, ContainerRuntime, ContainerState, ExecConfig,
    ExecOutput, LogOptions, Resources, RuntimeError, RuntimeEvent, SandboxConfig, SandboxInfo,
};

/// How long anything may take to come true; generous, for loaded machines.
const PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(20);

/// A runtime to be tested and a local image on it that has `sh` and `sleep`.
#[derive(Clone)]
pub(crate) struct Subject {
    pub(crate) runtime: Arc<dyn ContainerRuntime>,
    pub(crate) image: String,
}

/// Runs the whole suite.
pub(crate) async fn fulfil(subject: &Subject) {
    subject.version_names_the_runtime().await;
    subject.a_container_runs_prints_and_ends().await;
    subject.repeated_calls_find_what_is_there().await;
    subject.lists_give_back_identity_and_labels().await;
    subject.a_program_that_does_not_exist_is_rejected_and_recorded().await;
    subject.an_absent_image_is_not_found().await;
    subject.a_deaf_container_is_killed_after_its_grace().await;
    subject.removal_needs_an_end_and_is_repeatable().await;
    subject.a_dead_sandbox_is_seen_and_can_be_started_again().await;
    subject.events_name_the_pod().await;
    subject.logs_are_cut_as_asked().await;
    subject.following_a_log_ends_with_the_container().await;
    subject.a_command_runs_inside_and_says_how_it_ended().await;
    subject.a_container_that_joins_anothers_processes_ends_with_it().await;
    subject.a_container_is_given_more_and_less_while_it_runs().await;
    subject.garbage_is_no_image_archive().await;
    assert_eq!(subject.runtime.list_sandboxes(None).await.unwrap(), [], "the suite cleans up");
}

/// Waits until `look` finds what it looks for.
pub(crate) async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let mut ticks = interval(POLL);
    let found = timeout(PATIENCE, async {
        loop {
            ticks.tick().await;
            if let Some(found) = look().await {
                return found;
            }
        }
    });
    found.await.unwrap_or_else(|_| panic!("not within {PATIENCE:?}: {what}"))
}

/// A sandbox of this name, its pod's uid made from it.
pub(crate) fn pod(name: &str) -> SandboxConfig {
    SandboxConfig {
        namespace: "default".to_owned(),
        name: name.to_owned(),
        uid: format!("uid-{name}"),
        hostname: name.to_owned(),
        dns_servers: vec!["10.43.0.10".to_owned()],
        dns_searches: vec!["default.svc.cluster.local".to_owned()],
        dns_options: vec!["ndots:5".to_owned()],
        labels: BTreeMap::from([("colour".to_owned(), "grey".to_owned())]),
        ..SandboxConfig::default()
    }
}

/// A script to run in a container, its output wanted.
pub(crate) fn command(script: &str) -> ExecConfig {
    ExecConfig {
        command: ["sh", "-c", script].map(str::to_owned).to_vec(),
        stdout: true,
        stderr: true,
        ..ExecConfig::default()
    }
}

impl Subject {
    /// A container that runs this script.
    pub(crate) fn script(&self, script: &str) -> ContainerConfig {
        ContainerConfig {
            name: "app".to_owned(),
            image: self.image.clone(),
            command: ["sh", "-c", script].map(str::to_owned).to_vec(),
            ..ContainerConfig::default()
        }
    }

    /// A pod with one started container that runs this script.
    pub(crate) async fn run(&self, name: &str, script: &str) -> (SandboxInfo, ContainerId) {
        let sandbox = self.runtime.run_sandbox(&pod(name)).await.unwrap();
        let id = self.runtime.create_container(&sandbox, &self.script(script)).await.unwrap();
        self.runtime.start_container(&id).await.unwrap();
        (sandbox, id)
    }

    async fn container(&self, sandbox: &SandboxInfo, id: &ContainerId) -> ContainerInfo {
        let all = self.runtime.list_containers(Some(&sandbox.uid)).await.unwrap();
        all.into_iter().find(|container| container.id == *id).expect("the container is listed")
    }

    pub(crate) async fn ended(&self, sandbox: &SandboxInfo, id: &ContainerId) -> ContainerState {
        eventually("the container ends", async || {
            let state = self.container(sandbox, id).await.state;
            matches!(state, ContainerState::Exited { .. }).then_some(state)
        })
        .await
    }

    pub(crate) async fn log(&self, id: &ContainerId, options: LogOptions) -> String {
        let stream = self.runtime.logs(id, options).await.unwrap();
        let parts: Vec<Bytes> = timeout(PATIENCE, stream.try_collect()).await.unwrap().unwrap();
        String::from_utf8(parts.concat()).unwrap()
    }

    pub(crate) async fn remove(&self, sandbox: &SandboxInfo) {
        self.runtime.stop_sandbox(&sandbox.id).await.unwrap();
        self.runtime.remove_sandbox(&sandbox.id).await.unwrap();
    }

    async fn version_names_the_runtime(&self) {
        let version = self.runtime.version().await.unwrap();
        assert!(!version.name.is_empty() && !version.version.is_empty(), "{version:?}");
        assert!(version.cpus > 0 && version.memory_bytes > 0, "{version:?}");
    }

    async fn a_container_runs_prints_and_ends(&self) {
        let sandbox = self.runtime.run_sandbox(&pod("prints")).await.unwrap();
        assert!(sandbox.running && sandbox.pid.is_some(), "{sandbox:?}");
        let of = async |uid: &str| self.runtime.list_sandboxes(Some(uid)).await.unwrap();
        assert_eq!(of(&sandbox.uid).await, std::slice::from_ref(&sandbox));
        assert_eq!(of("another pod's").await, []);
        let config = self.script("echo hello; sleep 1; exit 3");
        let id = self.runtime.create_container(&sandbox, &config).await.unwrap();
        assert_eq!(self.container(&sandbox, &id).await.state, ContainerState::Created);
        self.runtime.start_container(&id).await.unwrap();
        let running = self.container(&sandbox, &id).await;
        assert!(matches!(running.state, ContainerState::Running { .. }), "{running:?}");
        assert!(running.image_id.starts_with("sha256:"), "{running:?}");
        let ContainerState::Exited { started: Some(started), finished, exit_code, .. } =
            self.ended(&sandbox, &id).await
        else {
            panic!("a container that ran has a start");
        };
        assert_eq!(exit_code, 3);
        assert!(finished > started);
        assert_eq!(self.log(&id, LogOptions::default()).await, "hello\n");
        self.remove(&sandbox).await;
    }

    async fn repeated_calls_find_what_is_there(&self) {
        let (sandbox, id) = self.run("twice", "sleep 300").await;
        let again = self.runtime.run_sandbox(&pod("twice")).await.unwrap();
        assert_eq!((again.id, again.pid), (sandbox.id.clone(), sandbox.pid));
        let config = self.script("sleep 300");
        assert_eq!(self.runtime.create_container(&sandbox, &config).await.unwrap(), id);
        self.runtime.start_container(&id).await.unwrap();
        assert_eq!(self.runtime.list_containers(Some(&sandbox.uid)).await.unwrap().len(), 1);
        self.remove(&sandbox).await;
    }

    async fn lists_give_back_identity_and_labels(&self) {
        let mut config = pod("known");
        config.attempt = 4;
        let sandbox = self.runtime.run_sandbox(&config).await.unwrap();
        let other = self.runtime.run_sandbox(&pod("other")).await.unwrap();
        let mut container = self.script("sleep 300");
        container.attempt = 7;
        container.labels.insert("shape".to_owned(), "round".to_owned());
        let id = self.runtime.create_container(&sandbox, &container).await.unwrap();

        let listed = self.runtime.list_sandboxes(None).await.unwrap();
        assert_eq!(listed.len(), 2);
        let listed = listed.into_iter().find(|listed| listed.id == sandbox.id).unwrap();
        assert_eq!(listed, sandbox);
        assert_eq!((listed.name, listed.namespace), (config.name, config.namespace));
        assert_eq!((listed.uid, listed.attempt, listed.labels), (config.uid, 4, config.labels));

        let listed = self.container(&sandbox, &id).await;
        assert_eq!((listed.name.as_str(), listed.attempt), ("app", 7));
        assert_eq!((&listed.sandbox, &listed.pod_uid), (&sandbox.id, &sandbox.uid));
        assert_eq!((listed.image, listed.labels), (container.image, container.labels));
        assert_eq!(self.runtime.list_containers(Some(&other.uid)).await.unwrap(), []);
        assert_eq!(self.runtime.list_containers(None).await.unwrap().len(), 1);
        self.remove(&sandbox).await;
        self.remove(&other).await;
    }

    async fn a_program_that_does_not_exist_is_rejected_and_recorded(&self) {
        let sandbox = self.runtime.run_sandbox(&pod("missing")).await.unwrap();
        let mut config = self.script("");
        config.command = vec!["/no-such-program".to_owned()];
        let id = self.runtime.create_container(&sandbox, &config).await.unwrap();
        let error = self.runtime.start_container(&id).await.unwrap_err();
        assert!(matches!(error, RuntimeError::Rejected(_)), "{error:?}");
        assert!(error.to_string().contains("no-such-program"), "{error}");
        let state = self.container(&sandbox, &id).await.state;
        let ContainerState::Exited { started: None, exit_code: 127, message, .. } = state else {
            panic!("an end without a start: {state:?}");
        };
        assert!(message.contains("no-such-program"), "{message}");
        self.remove(&sandbox).await;
    }

    async fn an_absent_image_is_not_found(&self) {
        assert!(self.runtime.image(&self.image).await.unwrap().is_some());
        assert_eq!(self.runtime.image("absent.test/no/image:1").await.unwrap(), None);
        let sandbox = self.runtime.run_sandbox(&pod("imageless")).await.unwrap();
        let mut config = self.script("");
        config.image = "absent.test/no/image:1".to_owned();
        let error = self.runtime.create_container(&sandbox, &config).await.unwrap_err();
        assert!(matches!(error, RuntimeError::NotFound(_)), "{error:?}");
        self.remove(&sandbox).await;
    }

    async fn a_deaf_container_is_killed_after_its_grace(&self) {
        let (sandbox, id) = self.run("deaf", "trap '' TERM; echo deaf; sleep 300").await;
        eventually("the trap is set", async || {
            (self.log(&id, LogOptions::default()).await == "deaf\n").then_some(())
        })
        .await;
        self.runtime.stop_container(&id, Duration::from_secs(1)).await.unwrap();
        let state = self.container(&sandbox, &id).await.state;
        assert!(matches!(state, ContainerState::Exited { exit_code: 137, .. }), "{state:?}");
        self.runtime.stop_container(&id, Duration::from_secs(1)).await.unwrap();
        self.remove(&sandbox).await;
        self.runtime.stop_container(&id, Duration::from_secs(1)).await.unwrap();
    }

    async fn removal_needs_an_end_and_is_repeatable(&self) {
        let (sandbox, id) = self.run("removed", "sleep 300").await;
        self.runtime.remove_container(&id).await.unwrap_err();
        self.runtime.stop_container(&id, Duration::ZERO).await.unwrap();
        self.runtime.remove_container(&id).await.unwrap();
        self.runtime.remove_container(&id).await.unwrap();
        assert_eq!(self.runtime.list_containers(Some(&sandbox.uid)).await.unwrap(), []);

        let mut second = self.script("sleep 300");
        second.attempt = 1;
        let id = self.runtime.create_container(&sandbox, &second).await.unwrap();
        self.runtime.start_container(&id).await.unwrap();
        self.runtime.remove_sandbox(&sandbox.id).await.unwrap();
        assert_eq!(self.runtime.list_containers(None).await.unwrap(), []);
        self.runtime.remove_sandbox(&sandbox.id).await.unwrap();
        self.runtime.stop_sandbox(&sandbox.id).await.unwrap();
    }

    async fn a_dead_sandbox_is_seen_and_can_be_started_again(&self) {
        let sandbox = self.runtime.run_sandbox(&pod("dead")).await.unwrap();
        self.runtime.stop_sandbox(&sandbox.id).await.unwrap();
        let listed = self.runtime.list_sandboxes(None).await.unwrap();
        assert_eq!((listed[0].running, listed[0].pid), (false, None));
        self.runtime.stop_sandbox(&sandbox.id).await.unwrap();
        let orphan = self.script("sleep 300");
        let id = self.runtime.create_container(&sandbox, &orphan).await.unwrap();
        let error = self.runtime.start_container(&id).await.unwrap_err();
        assert!(matches!(error, RuntimeError::Failed(_)), "not its author's fault: {error:?}");
        let again = self.runtime.run_sandbox(&pod("dead")).await.unwrap();
        assert_eq!(again.id, sandbox.id);
        assert!(again.running && again.pid.is_some());
        self.remove(&sandbox).await;
    }

    async fn events_name_the_pod(&self) {
        let mut events = self.runtime.events();
        let uid = pod("watched").uid;
        let next = async |events: &mut stream::BoxStream<'static, RuntimeEvent>| {
            loop {
                match timeout(PATIENCE, events.next()).await.unwrap().unwrap() {
                    RuntimeEvent::Pod { uid: seen } if seen == uid => return,
                    RuntimeEvent::Pod { .. } | RuntimeEvent::Resync => {}
                }
            }
        };
        let run = async {
            let (sandbox, id) = self.run("watched", "sleep 1; exit 0").await;
            self.ended(&sandbox, &id).await;
            sandbox
        };
        // The sandbox's start, the container's start and the container's end.
        let watch = async {
            for _ in 0..3 {
                next(&mut events).await;
            }
        };
        let (sandbox, ()) = tokio::join!(run, watch);
        self.remove(&sandbox).await;
        next(&mut events).await;
    }

    async fn logs_are_cut_as_asked(&self) {
        let (sandbox, id) = self.run("lines", "echo one; sleep 1; echo two; echo three").await;
        self.ended(&sandbox, &id).await;
        let all = LogOptions::default();
        assert_eq!(self.log(&id, all.clone()).await, "one\ntwo\nthree\n");
        let last = LogOptions { tail: Some(1), ..all.clone() };
        assert_eq!(self.log(&id, last).await, "three\n");
        let stamped = self.log(&id, LogOptions { timestamps: true, ..all.clone() }).await;
        let times: Vec<Timestamp> =
            stamped.lines().map(|line| line.split_once(' ').unwrap().0.parse().unwrap()).collect();
        assert!(times.is_sorted() && times.len() == 3, "{stamped}");
        let late = LogOptions { since: Some(times[1]), ..all };
        assert_eq!(self.log(&id, late).await, "two\nthree\n");
        self.remove(&sandbox).await;
        let gone = self.runtime.logs(&id, LogOptions::default()).await.err();
        assert!(matches!(gone, Some(RuntimeError::NotFound(_))), "{gone:?}");
    }

    async fn following_a_log_ends_with_the_container(&self) {
        let (sandbox, id) = self.run("followed", "echo first; sleep 1; echo last").await;
        let followed = LogOptions { follow: true, ..LogOptions::default() };
        assert_eq!(self.log(&id, followed).await, "first\nlast\n");
        self.remove(&sandbox).await;
    }

    async fn a_command_runs_inside_and_says_how_it_ended(&self) {
        let (sandbox, id) = self.run("exec", "sleep infinity").await;
        let said = async |script: &str| {
            let session = self.runtime.exec(&id, &command(script)).await.unwrap();
            let parts: Vec<ExecOutput> =
                timeout(PATIENCE, session.output.try_collect()).await.unwrap().unwrap();
            let bytes = parts.into_iter().map(|part| match part {
                ExecOutput::Stdout(bytes) | ExecOutput::Stderr(bytes) => bytes,
            });
            let text = String::from_utf8(bytes.collect::<Vec<_>>().concat()).unwrap();
            (text, session.process.exit_code().await.unwrap())
        };
        assert_eq!(said("echo one; echo two").await, ("one\ntwo\n".to_owned(), Some(0)));
        assert_eq!(said("echo bad; exit 3").await, ("bad\n".to_owned(), Some(3)));
        self.runtime.stop_container(&id, Duration::ZERO).await.unwrap();
        self.ended(&sandbox, &id).await;
        assert!(self.runtime.exec(&id, &command("true")).await.is_err(), "it does not run");
        let attach = ExecConfig { command: Vec::new(), ..command("") };
        assert!(self.runtime.exec(&id, &attach).await.is_err(), "there is nothing to attach to");
        self.remove(&sandbox).await;
        let gone = self.runtime.exec(&id, &command("true")).await.map(drop);
        assert!(matches!(gone, Err(RuntimeError::NotFound(_))), "{gone:?}");
    }

    async fn a_container_that_joins_anothers_processes_ends_with_it(&self) {
        let (sandbox, host) = self.run("joined", "sleep infinity").await;
        let guest = async |name: &str| {
            let mut config = self.script("sleep infinity");
            config.name = name.to_owned();
            config.target = Some(host.clone());
            self.runtime.create_container(&sandbox, &config).await.unwrap()
        };
        let (first, late) = (guest("first").await, guest("late").await);
        self.runtime.start_container(&first).await.unwrap();
        let state = self.container(&sandbox, &first).await.state;
        assert!(matches!(state, ContainerState::Running { .. }), "{state:?}");
        self.runtime.stop_container(&host, Duration::ZERO).await.unwrap();
        let state = self.ended(&sandbox, &first).await;
        assert!(matches!(state, ContainerState::Exited { exit_code: 137, .. }), "{state:?}");

        let error = self.runtime.start_container(&late).await.unwrap_err();
        assert!(matches!(error, RuntimeError::Failed(_)), "not its author's fault: {error:?}");
        let state = self.container(&sandbox, &late).await.state;
        assert!(matches!(state, ContainerState::Exited { started: None, .. }), "{state:?}");
        self.runtime.remove_container(&host).await.unwrap();
        let state = self.container(&sandbox, &first).await.state;
        assert!(matches!(state, ContainerState::Exited { exit_code: 137, .. }), "{state:?}");
        self.remove(&sandbox).await;
    }

    async fn a_container_is_given_more_and_less_while_it_runs(&self) {
        let sandbox = self.runtime.run_sandbox(&pod("sized")).await.unwrap();
        let sizes = |cpu_limit_millis, cpu_request_millis, mebibytes: u64| Resources {
            cpu_limit_millis,
            cpu_request_millis,
            memory_limit_bytes: mebibytes << 20,
        };
        let config =
            ContainerConfig { resources: sizes(500, 250, 64), ..self.script("sleep infinity") };
        let id = self.runtime.create_container(&sandbox, &config).await.unwrap();
        self.runtime.start_container(&id).await.unwrap();
        let before = self.container(&sandbox, &id).await;
        assert_eq!(before.resources, config.resources);
        for (given, expected) in [
            (sizes(1000, 333, 128), sizes(1000, 333, 128)),
            (sizes(200, 2, 96), sizes(200, 0, 96)),
            (sizes(0, 100, 0), sizes(200, 100, 96)),
        ] {
            self.runtime.update_container(&id, &given).await.unwrap();
            let after = self.container(&sandbox, &id).await;
            assert_eq!(after.resources, expected);
            assert_eq!(after.state, before.state, "it runs on");
        }
        self.remove(&sandbox).await;
        let gone = self.runtime.update_container(&id, &config.resources).await;
        assert!(matches!(gone, Err(RuntimeError::NotFound(_))), "{gone:?}");
    }

    async fn garbage_is_no_image_archive(&self) {
        let garbage = stream::once(ready(Ok(Bytes::from_static(&[7; 2048])))).boxed();
        let error = self.runtime.load_image(garbage).await.unwrap_err();
        assert!(matches!(error, RuntimeError::Rejected(_)), "{error:?}");
    }
}
