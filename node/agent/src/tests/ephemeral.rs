//! Ephemeral containers, as `kubectl debug` adds them.

use std::time::Duration;

use futures::TryStreamExt;
use k8s_openapi::api::core::v1::ContainerStatus;
use serde_json::{Value, json};
use skein_objects::Part;
use skein_runtime::{ContainerInfo, ContainerRuntime, ContainerState, ExecConfig};
use skein_storage::WriteOptions;

use super::world::{World, ended};
use crate::{ExecRequest, LogRequest};

impl World {
    /// Adds a container that looks at `main`, as `kubectl debug` does.
    async fn debug(&self, pod: &str, name: &str, command: &[&str]) {
        let added = json!({
            "name": name, "image": "tools:1", "command": command, "stdin": true, "tty": true,
            "targetContainerName": "main",
        });
        let add = |mut pod: Value| {
            let list = &mut pod["spec"]["ephemeralContainers"];
            match list.as_array_mut() {
                Some(list) => list.push(added.clone()),
                None => *list = json!([added]),
            }
            Ok(pod)
        };
        let pods = self.pods();
        let (part, options) = (Part::EphemeralContainers, WriteOptions::default());
        let added = self.storage.modify(pods.kind(), "default", pod, part, &options, add).await;
        added.expect("added");
    }

    async fn visitor(&self, pod: &str, name: &str) -> ContainerStatus {
        let statuses = self.status(pod).await.ephemeral_container_statuses.unwrap_or_default();
        statuses.into_iter().find(|status| status.name == name).unwrap_or_default()
    }

    async fn is_running(&self, pod: &str, name: &str) -> bool {
        self.visitor(pod, name).await.state.is_some_and(|state| state.running.is_some())
    }

    async fn until_running(&self, pod: &str, name: &str) {
        self.until("it runs", async |world| world.is_running(pod, name).await).await;
    }

    async fn until_ended(&self, pod: &str, name: &str) {
        let has_ended = async |world: &Self| ended(world.visitor(pod, name).await.state).is_some();
        self.until("it has ended", has_ended).await;
    }

    /// What the runtime has of a container.
    async fn made(&self, name: &str) -> Vec<ContainerInfo> {
        let all = self.containers().await.into_iter();
        all.filter(|container| container.name == name).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn a_debugger_comes_to_a_running_pod_and_can_be_talked_to() {
    let world = World::start().await;
    let pod = world.run("web", &["serve"]).await;
    world.until_ready("web").await;
    world.debug("web", "shell", &["sh", "-c", "echo hello; serve"]).await;
    world.until_running("web", "shell").await;
    assert!(world.is_ready("web").await);
    assert_eq!(world.made("main").await.len(), 1);

    let request = LogRequest {
        namespace: "default".into(),
        pod: "web".into(),
        container: Some("shell".into()),
        ..LogRequest::default()
    };
    let lines = world.agent().logs(request).await.expect("a log");
    let parts: Vec<_> = lines.try_collect().await.expect("lines");
    assert_eq!(parts.concat(), b"hello\n");
    let process = ExecConfig { stdin: true, stdout: true, tty: true, ..ExecConfig::default() };
    let request = ExecRequest {
        pod_uid: pod.metadata.uid.expect("uid"),
        container: "shell".into(),
        process: process.clone(),
    };
    world.agent().exec(request.clone()).await.expect("attached");
    let process = ExecConfig { command: vec!["true".into()], ..process };
    world.agent().exec(ExecRequest { process, ..request }).await.expect("a command");
}

#[tokio::test(start_paused = true)]
async fn a_debugger_that_has_ended_is_not_started_again() {
    let mut world = World::start().await;
    world.run("web", &["serve"]).await;
    world.until_ready("web").await;
    world.debug("web", "shell", &["sh", "-c", "sleep 5; exit 3"]).await;
    world.until_ended("web", "shell").await;
    let end = ended(world.visitor("web", "shell").await.state);
    assert_eq!(end, Some((3, "Error".into())));
    let stays = async |world: &World| {
        ended(world.visitor("web", "shell").await.state) == end && world.is_ready("web").await
    };
    let before = world.made("shell").await;
    world.throughout(Duration::from_secs(120), "it stays ended", stays).await;
    assert_eq!(world.made("shell").await, before);

    world.stop_agent().await;
    world.start_agent();
    world.throughout(Duration::from_secs(120), "a new agent leaves it", stays).await;
    assert_eq!(world.made("shell").await, before);

    world.stop_agent().await;
    world.runtime.remove_container(&before[0].id).await.expect("removed");
    world.start_agent();
    world.throughout(Duration::from_secs(120), "nobody makes it anew", stays).await;
    assert_eq!(world.made("shell").await, []);
    world.debug("web", "again", &["serve"]).await;
    world.until_running("web", "again").await;
}

#[tokio::test(start_paused = true)]
async fn a_debugger_runs_on_while_the_agent_is_down_and_ends_with_its_pod() {
    let mut world = World::start().await;
    world.run("web", &["serve"]).await;
    world.until_ready("web").await;
    world.debug("web", "shell", &["serve"]).await;
    world.until_running("web", "shell").await;
    let before = world.containers().await;
    world.stop_agent().await;
    world.start_agent();
    world
        .throughout(Duration::from_secs(90), "all run on", async |world| {
            world.containers().await == before && world.is_running("web", "shell").await
        })
        .await;
    world.delete("web", Some(5)).await;
    world.until("the pod is gone", async |world| world.pod("web").await.is_none()).await;
    assert_eq!(world.containers().await, []);
}

#[tokio::test(start_paused = true)]
async fn a_debugger_waits_for_its_target_and_ends_with_it() {
    let world = World::start().await;
    let spec = json!({
        "restartPolicy": "Never",
        "initContainers": [{"name": "first", "image": "app:1", "command": ["sleep", "30"]}],
        "containers": [{"name": "main", "image": "app:1", "command": ["sleep", "60"]}],
    });
    world.create("job", spec).await;
    world.until("the first runs", async |world| world.made("first").await.len() == 1).await;
    world.debug("job", "shell", &["serve"]).await;
    world
        .until("it says what it waits for", async |world| {
            let waiting = world.visitor("job", "shell").await.state.and_then(|state| state.waiting);
            waiting.and_then(|waiting| waiting.message).is_some_and(|why| why.contains("main"))
        })
        .await;
    assert_eq!(world.made("shell").await, []);
    world.until_running("job", "shell").await;
    world.until("the pod is done", async |world| world.phase("job").await == "Succeeded").await;
    world.until_ended("job", "shell").await;
    let end = ended(world.visitor("job", "shell").await.state);
    assert_eq!(end, Some((137, "Error".into())));
}

#[tokio::test(start_paused = true)]
async fn a_debugger_does_not_come_back_with_a_new_sandbox() {
    let world = World::start().await;
    world.run("web", &["serve"]).await;
    world.until_ready("web").await;
    world.debug("web", "shell", &["serve"]).await;
    world.until_running("web", "shell").await;
    let sandboxes = world.runtime.list_sandboxes(None).await.expect("sandboxes");
    world.runtime.kill_sandbox(&sandboxes[0].id);
    world.until_ended("web", "shell").await;
    world.until_ready("web").await;
    world
        .throughout(Duration::from_secs(120), "it stays ended", async |world| {
            world.is_ready("web").await
                && matches!(
                    world.made("shell").await[..],
                    [ref one] if matches!(one.state, ContainerState::Exited { .. })
                )
        })
        .await;
    assert_eq!(world.container("web").await.restart_count, 1);
}

#[tokio::test(start_paused = true)]
async fn a_debugger_whose_image_is_missing_says_so_and_harms_nobody() {
    let world = World::start().await;
    world.runtime.set_pull_error("tools:1", Some("manifest unknown"));
    world.run("web", &["serve"]).await;
    world.until_ready("web").await;
    world.debug("web", "shell", &["serve"]).await;
    world
        .until("the failed pull is shown", async |world| {
            let waiting = world.visitor("web", "shell").await.state.and_then(|state| state.waiting);
            waiting.and_then(|waiting| waiting.reason).as_deref() == Some("ImagePullBackOff")
        })
        .await;
    assert!(world.is_ready("web").await);
    world.runtime.set_pull_error("tools:1", None);
    world.until_running("web", "shell").await;
}
