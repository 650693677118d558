//! What goes wrong, and how pods come through it.

use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use serde_json::json;
use skein_runtime::{ContainerRuntime, ContainerState, Operation, RuntimeError};

use super::world::World;

#[tokio::test(start_paused = true)]
async fn an_image_that_cannot_be_pulled_is_shown_and_tried_again() {
    let world = World::start().await;
    world.runtime.set_pull_error("app:1", Some("manifest unknown"));
    world.run("web", &["serve"]).await;
    world
        .until("the failed pull is shown", async |world| {
            world.waiting("web").await == "ErrImagePull"
        })
        .await;
    world
        .until("the back-off is shown", async |world| {
            world.waiting("web").await == "ImagePullBackOff"
        })
        .await;
    assert_eq!(world.phase("web").await, "Pending");
    world.runtime.set_pull_error("app:1", None);
    world.until_ready("web").await;
}

#[tokio::test(start_paused = true)]
async fn an_absent_image_that_may_not_be_pulled_is_shown() {
    let world = World::start().await;
    let container = json!({"name": "main", "image": "app:1", "imagePullPolicy": "Never"});
    world.create("web", json!({"containers": [container]})).await;
    world
        .until("the reason is shown", async |world| {
            world.waiting("web").await == "ErrImageNeverPull"
        })
        .await;
    world.runtime.add_image("app:1");
    world.until_ready("web").await;
}

#[tokio::test(start_paused = true)]
async fn a_missing_config_map_holds_the_container_back_until_it_exists() {
    let world = World::start().await;
    let container = json!({
        "name": "main", "image": "app:1", "command": ["serve"],
        "envFrom": [{"configMapRef": {"name": "settings"}}],
    });
    world.create("web", json!({"containers": [container]})).await;
    world
        .until("the reason is shown", async |world| {
            world.waiting("web").await == "CreateContainerConfigError"
        })
        .await;
    let waiting = world.container("web").await.state.and_then(|state| state.waiting);
    let message = waiting.and_then(|waiting| waiting.message);
    assert_eq!(message.as_deref(), Some("configmap \"settings\" not found"));

    let map = json!({"metadata": {"name": "settings", "namespace": "default"}, "data": {"A": "1"}});
    let map: ConfigMap = serde_json::from_value(map).expect("a config map");
    world.storage.typed::<ConfigMap>().create(&map).await.expect("created");
    world.until_ready("web").await;
}

#[tokio::test(start_paused = true)]
async fn a_dead_sandbox_is_made_again_with_its_containers() {
    let world = World::start().await;
    world.run("web", &["serve"]).await;
    world.until_ready("web").await;
    let sandboxes = world.runtime.list_sandboxes(None).await.expect("sandboxes");
    world.runtime.kill_sandbox(&sandboxes[0].id);
    world
        .until("the container runs in a new sandbox", async |world| {
            world.container("web").await.restart_count == 1 && world.is_ready("web").await
        })
        .await;
    let containers = world.containers().await;
    let running = |c: &&_| {
        let c: &skein_runtime::ContainerInfo = c;
        matches!(c.state, ContainerState::Running { .. })
    };
    assert_eq!(containers.iter().filter(running).count(), 1);
    assert!(world.status("web").await.pod_ip.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_program_that_does_not_exist_is_a_start_error() {
    let world = World::start().await;
    let container = json!({"name": "main", "image": "app:1", "command": ["/no-such"]});
    world.create("bad", json!({"restartPolicy": "Never", "containers": [container]})).await;
    world.until("the pod failed", async |world| world.phase("bad").await == "Failed").await;
    let (_, reason) = world.ended("bad").await.expect("an end");
    assert_eq!(reason, "StartError");
}

#[tokio::test(start_paused = true)]
async fn a_container_killed_for_memory_says_so() {
    let world = World::start().await;
    let container = json!({"name": "main", "image": "app:1", "command": ["serve"]});
    world.create("big", json!({"restartPolicy": "Never", "containers": [container]})).await;
    world.until_ready("big").await;
    world.runtime.oom_kill_container(&world.containers().await[0].id);
    world.until("the pod failed", async |world| world.phase("big").await == "Failed").await;
    assert_eq!(world.ended("big").await, Some((137, "OOMKilled".into())));
}

#[tokio::test(start_paused = true)]
async fn a_failing_sandbox_is_tried_again() {
    let world = World::start().await;
    for _ in 0..3 {
        let error = RuntimeError::Failed("no space left".into());
        world.runtime.fail_next(Operation::RunSandbox, error);
    }
    world.run("web", &["serve"]).await;
    world.until_ready("web").await;
}

#[tokio::test(start_paused = true)]
async fn without_the_store_containers_run_on_and_crashed_ones_start_again() {
    let mut world = World::start().await;
    world.run("web", &["serve"]).await;
    world.run("other", &["serve"]).await;
    world.until_ready("web").await;
    world.until_ready("other").await;

    world.store.set_cut(true);
    world.stop_agent().await;
    world.start_agent();
    let containers = world.containers().await;
    world.runtime.exit_container(&containers[0].id, 3);
    world
        .until("the crashed container runs again", async |world| {
            let again = world.containers().await;
            again
                .iter()
                .any(|c| c.attempt == 1 && matches!(c.state, ContainerState::Running { .. }))
        })
        .await;
    world
        .throughout(Duration::from_secs(120), "both pods run on", async |world| {
            let running = world.containers().await;
            let running =
                running.iter().filter(|c| matches!(c.state, ContainerState::Running { .. }));
            running.count() == 2
        })
        .await;

    world.store.set_cut(false);
    world
        .until("the restart is reported", async |world| {
            world.container("web").await.restart_count
                + world.container("other").await.restart_count
                == 1
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_pod_keeps_an_address_that_nobody_was_told_before_the_agent_ended() {
    let mut world = World::start().await;
    // It has its address some time before it runs, which is when it is told of.
    world.runtime.set_docker_latencies();
    let uid = world.run("web", &["serve"]).await.metadata.uid.expect("uid");
    world.until("it has an address", async |world| world.network.address(&uid).is_some()).await;
    let address = world.network.address(&uid);
    world.store.set_cut(true);
    world.stop_agent().await;
    world.store.set_cut(false);
    assert_eq!(world.status("web").await.pod_ip, None, "it was told");

    world.run("other", &["serve"]).await;
    world.start_agent();
    world.until_ready("web").await;
    world.until_ready("other").await;
    let told = |ip: Option<String>| ip.and_then(|ip| ip.parse::<std::net::IpAddr>().ok());
    assert_eq!(told(world.status("web").await.pod_ip), address);
    assert_ne!(told(world.status("other").await.pod_ip), address);
}

#[tokio::test(start_paused = true)]
async fn after_a_reboot_without_the_store_the_last_known_pods_run_again() {
    let mut world = World::start().await;
    let map = json!({"metadata": {"name": "settings", "namespace": "default"}, "data": {"A": "1"}});
    let map: ConfigMap = serde_json::from_value(map).expect("a config map");
    world.storage.typed::<ConfigMap>().create(&map).await.expect("created");
    let container = json!({
        "name": "main", "image": "app:1", "command": ["serve"],
        "envFrom": [{"configMapRef": {"name": "settings"}}],
    });
    let pod = world.create("web", json!({"containers": [container]})).await;
    world.until_ready("web").await;

    world.store.set_cut(true);
    world.stop_agent().await;
    world.reboot().await;
    world.start_agent();
    world
        .until("the container runs again", async |world| {
            world.containers().await.iter().any(|container| {
                container.attempt == 1 && matches!(container.state, ContainerState::Running { .. })
            })
        })
        .await;
    assert!(world.network.address(&pod.metadata.uid.expect("uid")).is_some());

    world.store.set_cut(false);
    world
        .until("the restart is reported", async |world| {
            world.container("web").await.restart_count == 1 && world.is_ready("web").await
        })
        .await;
}
