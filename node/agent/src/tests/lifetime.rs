//! How pods live: from the first start to the last delete.

use std::time::Duration;

use futures::TryStreamExt;
use serde_json::json;
use skein_runtime::{ContainerRuntime, ContainerState, Operation};
use tokio::time::Instant;

use super::world::World;
use crate::LogRequest;

#[tokio::test(start_paused = true)]
async fn a_pod_bound_here_runs_and_reports_its_address() {
    let world = World::start().await;
    world.run("web", &["serve"]).await;
    world.until_ready("web").await;

    let status = world.status("web").await;
    assert_eq!(status.phase.as_deref(), Some("Running"));
    assert_eq!(status.pod_ip.as_deref(), Some("10.42.3.2"));
    assert_eq!(status.host_ip.as_deref(), Some("10.77.0.1"));
    assert_eq!(status.qos_class.as_deref(), Some("BestEffort"));
    assert!(status.start_time.is_some());
    let container = world.container("web").await;
    assert!(container.ready && container.started == Some(true));
    assert!(container.container_id.is_some_and(|id| id.starts_with("simulated://")));
    assert!(container.image_id.starts_with("sha256:"));
}

#[tokio::test(start_paused = true)]
async fn a_crashing_container_backs_off_from_ten_seconds_doubling() {
    let world = World::start().await;
    world.run("crash", &["false"]).await;

    let mut starts = Vec::new();
    for attempt in 0..5 {
        world
            .until("the container starts again", async |world| {
                world.containers().await.iter().any(|c| c.attempt == attempt)
            })
            .await;
        let containers = world.containers().await;
        let newest = containers.iter().find(|c| c.attempt == attempt).expect("container");
        starts.push(newest.created);
    }
    let gaps: Vec<_> =
        starts.windows(2).map(|pair| pair[1].duration_since(pair[0]).as_secs()).collect();
    assert_eq!(gaps, [0, 10, 20, 40]);

    world
        .until("the back-off is shown", async |world| {
            world.waiting("crash").await == "CrashLoopBackOff"
        })
        .await;
    let container = world.container("crash").await;
    assert_eq!(container.restart_count, 4);
    assert_eq!(world.phase("crash").await, "Running");
    let last = super::world::ended(container.last_state);
    assert_eq!(last, Some((1, "Error".into())));
    assert!(world.containers().await.len() <= 2, "old containers are removed");
}

#[tokio::test(start_paused = true)]
async fn a_deleted_pod_gets_its_grace_and_leaves_nothing() {
    let world = World::start().await;
    let script = "trap '' TERM; sleep infinity";
    let pod = world.run("deaf", &["sh", "-c", script]).await;
    let uid = pod.metadata.uid.expect("uid");
    world.until_ready("deaf").await;

    world.delete("deaf", Some(7)).await;
    world
        .throughout(Duration::from_secs(6), "the pod runs within its grace", async |world| {
            world.pod("deaf").await.is_some()
                && matches!(
                    world.containers().await[..],
                    [ref one] if matches!(one.state, ContainerState::Running { .. })
                )
        })
        .await;
    world.until("the pod is gone", async |world| world.pod("deaf").await.is_none()).await;
    assert_eq!(world.containers().await, []);
    assert_eq!(world.runtime.list_sandboxes(None).await.expect("sandboxes"), []);
    assert_eq!(world.network.address(&uid), None);
}

#[tokio::test(start_paused = true)]
async fn restart_policy_decides_how_a_pod_ends() {
    let world = World::start().await;
    let cases = [
        ("never-good", "Never", "true", "Succeeded", 0),
        ("never-bad", "Never", "false", "Failed", 0),
        ("on-failure-good", "OnFailure", "true", "Succeeded", 0),
    ];
    for (name, policy, command, phase, restarts) in cases {
        let container = json!({"name": "main", "image": "app:1", "command": [command]});
        world.create(name, json!({"restartPolicy": policy, "containers": [container]})).await;
        world.until("the pod ended", async |world| world.phase(name).await == phase).await;
        assert_eq!(world.container(name).await.restart_count, restarts, "{name}");
        assert!(!world.is_ready(name).await, "{name}");
    }
    assert_eq!(world.ended("never-bad").await, Some((1, "Error".into())));
    assert_eq!(world.ended("never-good").await, Some((0, "Completed".into())));
}

#[tokio::test(start_paused = true)]
async fn init_containers_run_one_after_the_other_and_sidecars_stay() {
    let world = World::start().await;
    let spec = json!({
        "initContainers": [
            {"name": "first", "image": "app:1", "command": ["sleep", "2"]},
            {"name": "side", "image": "app:1", "command": ["serve"], "restartPolicy": "Always"},
            {"name": "second", "image": "app:1", "command": ["sleep", "3"]},
        ],
        "containers": [{"name": "main", "image": "app:1", "command": ["serve"]}],
    });
    world.create("init", spec).await;
    world
        .until("the main container waits for the others", async |world| {
            world.waiting("init").await == "PodInitializing"
        })
        .await;
    world.until_ready("init").await;

    let containers = world.containers().await;
    let find = |name: &str| containers.iter().find(|c| c.name == name).expect("container");
    let order: Vec<_> = ["first", "side", "second", "main"].map(|n| find(n).created).into();
    assert!(order.is_sorted());
    assert!(order[3].duration_since(order[0]).as_secs() >= 5);
    assert!(matches!(find("side").state, ContainerState::Running { .. }));
    assert_eq!(containers.len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_pod_past_its_deadline_fails() {
    let world = World::start().await;
    let container = json!({"name": "main", "image": "app:1", "command": ["serve"]});
    let spec = json!({"activeDeadlineSeconds": 20, "containers": [container]});
    world.create("late", spec).await;
    world.until_ready("late").await;
    world.until("the pod failed", async |world| world.phase("late").await == "Failed").await;
    assert_eq!(world.status("late").await.reason.as_deref(), Some("DeadlineExceeded"));
    world.until("the container ended", async |world| world.ended("late").await.is_some()).await;
    world
        .throughout(Duration::from_secs(60), "it stays failed", async |world| {
            world.phase("late").await == "Failed" && world.containers().await.len() == 1
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn at_most_four_pods_start_at_once() {
    let world = World::start().await;
    world.runtime.set_latency(Operation::RunSandbox, Duration::from_secs(2));
    for index in 0..9 {
        world.run(&format!("p{index}"), &["serve"]).await;
    }
    for expected in [4, 8, 9] {
        world
            .until("the next batch has its sandboxes", async |world| {
                world.runtime.list_sandboxes(None).await.expect("sandboxes").len() >= expected
            })
            .await;
        let made = world.runtime.list_sandboxes(None).await.expect("sandboxes").len();
        assert_eq!(made, expected);
    }
    for index in 0..9 {
        world.until_ready(&format!("p{index}")).await;
    }
}

#[tokio::test(start_paused = true)]
async fn logs_come_from_the_current_or_the_previous_run() {
    let world = World::start().await;
    world.run("talk", &["sh", "-c", "echo hello; sleep 5; exit 1"]).await;
    let read = async |previous, limit_bytes| {
        let request = LogRequest {
            namespace: "default".into(),
            pod: "talk".into(),
            previous,
            limit_bytes,
            ..LogRequest::default()
        };
        let lines = world.agent().logs(request).await.map_err(|error| error.to_string())?;
        let parts: Vec<_> = lines.try_collect().await.map_err(|error| error.to_string())?;
        Ok::<_, String>(String::from_utf8_lossy(&parts.concat()).into_owned())
    };
    world.until_ready("talk").await;
    assert_eq!(read(false, None).await, Ok("hello\n".into()));
    assert_eq!(read(false, Some(3)).await, Ok("hel".into()));
    let none = "previous terminated container \"main\" in pod \"talk\" not found";
    assert_eq!(read(true, None).await, Err(none.into()));
    world
        .until("it runs again", async |world| world.container("talk").await.restart_count == 1)
        .await;
    assert_eq!(read(true, None).await, Ok("hello\n".into()));
}

#[tokio::test(start_paused = true)]
async fn probes_that_cannot_be_asked_are_told_and_never_count_as_good() {
    let world = World::start().await;
    let exec = json!({"exec": {"command": ["true"]}, "failureThreshold": 1, "periodSeconds": 1});
    for (name, probe) in [("a", "readinessProbe"), ("b", "startupProbe"), ("c", "livenessProbe")] {
        let mut container = json!({"name": "main", "image": "app:1", "command": ["serve"]});
        container[probe] = exec.clone();
        world.create(name, json!({"containers": [container]})).await;
    }
    world.until_ready("c").await;
    world
        .until("each start is told", async |world| world.events("ProbeUnsupported").await == 3)
        .await;
    world
        .throughout(Duration::from_secs(60), "it stays as it is", async |world| {
            let running = world.containers().await;
            running.iter().all(|c| c.attempt == 0)
                && world.phase("a").await == "Running"
                && !world.is_ready("a").await
                && !world.is_ready("b").await
                && world.is_ready("c").await
        })
        .await;
    assert_eq!(world.events("ProbeUnsupported").await, 3);
}

#[tokio::test(start_paused = true)]
async fn a_pod_replaced_under_its_name_ends_at_once() {
    let world = World::start().await;
    let old = world.run("web", &["serve"]).await.metadata.uid.expect("uid");
    world.until_ready("web").await;
    world.delete("web", Some(0)).await;
    world.run("web", &["serve"]).await;
    let replaced = Instant::now();
    world
        .until("the old one has ended", async |world| {
            world.containers().await.iter().all(|container| container.pod_uid != old)
        })
        .await;
    assert!(replaced.elapsed() < Duration::from_secs(2), "{:?}", replaced.elapsed());
    world.until_ready("web").await;
}
