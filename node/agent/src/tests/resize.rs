//! Pods that are resized while they run, on a host of four cores and 8 GiB.

use k8s_openapi::api::core::v1::PodCondition;
use serde_json::{Value, json};
use skein_objects::Part;
use skein_runtime::{ContainerInfo, ContainerState, Operation, Resources, RuntimeError};
use skein_storage::WriteOptions;

use super::world::World;

impl World {
    /// A pod whose container asks for this and may use as much.
    async fn sized(&self, name: &str, cpu: &str, memory: &str) {
        let amounts = json!({"cpu": cpu, "memory": memory});
        let container = json!({"name": "main", "image": "app:1", "command": ["serve"],
            "resources": {"requests": amounts, "limits": amounts},
            "resizePolicy": [{"resourceName": "memory", "restartPolicy": "RestartContainer"}]});
        let spec = json!({"restartPolicy": "OnFailure", "containers": [container]});
        self.create(name, spec).await;
        self.until_ready(name).await;
    }

    async fn resize(&self, pod: &str, cpu: &str, memory: &str) {
        let amounts = json!({"cpu": cpu, "memory": memory});
        let change = |mut pod: Value| {
            pod["spec"]["containers"][0]["resources"] =
                json!({"requests": amounts, "limits": amounts});
            Ok(pod)
        };
        let pods = self.pods();
        let (part, options) = (Part::Resize, WriteOptions::default());
        let resized = self.storage.modify(pods.kind(), "default", pod, part, &options, change);
        resized.await.expect("resized");
    }

    /// The container of a pod that runs.
    async fn running(&self, pod: &str) -> Option<ContainerInfo> {
        let uid = self.pod(pod).await.and_then(|pod| pod.metadata.uid);
        let mut all = self.containers().await.into_iter();
        all.find(|one| {
            Some(&one.pod_uid) == uid.as_ref()
                && matches!(one.state, ContainerState::Running { .. })
        })
    }

    /// The CPU and memory that a pod's container has by its status.
    async fn told(&self, pod: &str) -> Value {
        let status = self.container(pod).await;
        json!([status.allocated_resources, status.resources.and_then(|all| all.limits)])
    }

    async fn is_told(&self, pod: &str, cpu: &str, memory: &str) -> bool {
        let amounts = json!({"cpu": cpu, "memory": memory});
        self.told(pod).await == json!([amounts, amounts])
    }

    async fn until_told(&self, pod: &str, cpu: &str, memory: &str) {
        let what = format!("{pod} has {cpu} and {memory}");
        self.until(&what, async |world| world.is_told(pod, cpu, memory).await).await;
    }

    async fn resizing(&self, pod: &str) -> Vec<PodCondition> {
        let conditions = self.status(pod).await.conditions.unwrap_or_default().into_iter();
        conditions.filter(|condition| condition.type_.starts_with("PodResize")).collect()
    }

    async fn until_pending(&self, pod: &str, reason: &str) {
        self.until(&format!("it is {reason}"), async |world| {
            let conditions = world.resizing(pod).await;
            conditions.iter().any(|one| one.reason.as_deref() == Some(reason))
        })
        .await;
    }
}

fn sizes(millis: u64, mebibytes: u64) -> Resources {
    Resources {
        cpu_limit_millis: millis,
        cpu_request_millis: millis,
        memory_limit_bytes: mebibytes << 20,
    }
}

#[tokio::test(start_paused = true)]
async fn a_pod_is_given_more_and_less_while_its_container_runs_on() {
    let world = World::start().await;
    world.sized("web", "1", "64Mi").await;
    world.until_told("web", "1", "64Mi").await;
    let before = world.running("web").await.expect("a container");
    assert_eq!(before.resources, sizes(1000, 64));
    for (cpu, millis) in [("2", 2000), ("500m", 500)] {
        world.resize("web", cpu, "64Mi").await;
        world.until_told("web", cpu, "64Mi").await;
        let after = world.running("web").await.expect("a container");
        assert_eq!(after, ContainerInfo { resources: sizes(millis, 64), ..before.clone() });
    }
    let settled = async |world: &World| world.resizing("web").await.is_empty();
    world.until("the resize is over", settled).await;
    assert_eq!(world.status("web").await.observed_generation, Some(3));
    let told = async |world: &World| world.events("ResizeCompleted").await == 2;
    world.until("people are told", told).await;
    assert_eq!(world.events("ResizeStarted").await, 2);
}

#[tokio::test(start_paused = true)]
async fn a_container_is_made_anew_where_its_policy_says_so() {
    let world = World::start().await;
    world.sized("web", "1", "64Mi").await;
    let before = world.running("web").await.expect("a container");
    world.resize("web", "1", "32Mi").await;
    world.until_told("web", "1", "32Mi").await;
    world.until_ready("web").await;
    let after = world.running("web").await.expect("a container");
    assert_ne!(after.id, before.id);
    assert_eq!(after.resources, sizes(1000, 32));
    world
        .until("the restart is counted", async |world| {
            world.container("web").await.restart_count == 1
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_resize_waits_for_room_and_nothing_given_is_forgotten_meanwhile() {
    let mut world = World::start().await;
    world.sized("web", "2", "64Mi").await;
    world.sized("other", "1500m", "64Mi").await;
    world.resize("web", "3", "64Mi").await;
    world.until_pending("web", "Deferred").await;
    assert!(world.is_told("web", "2", "64Mi").await);
    world.stop_agent().await;
    world.start_agent();
    let id = world.running("web").await.expect("a container").id;
    world.runtime.exit_container(&id, 1);
    world
        .until("it runs again", async |world| {
            world.running("web").await.is_some_and(|new| new.id != id)
        })
        .await;
    let again = world.running("web").await.expect("a container");
    assert_eq!(again.resources, sizes(2000, 64), "as it was given, not as it asks");
    world.until_pending("web", "Deferred").await;

    world.delete("other", Some(0)).await;
    world.until_told("web", "3", "64Mi").await;
    let last = world.running("web").await.expect("a container");
    assert_eq!((last.id, last.resources), (again.id, sizes(3000, 64)));
}

#[tokio::test(start_paused = true)]
async fn what_the_host_never_has_is_infeasible_until_less_is_asked_for() {
    let world = World::start().await;
    world.sized("web", "1", "64Mi").await;
    world.resize("web", "1", "9Gi").await;
    world.until_pending("web", "Infeasible").await;
    let pending = world.resizing("web").await.remove(0);
    let expected =
        "Node didn't have enough capacity: memory, requested: 9663676416, capacity: 8589934592";
    assert_eq!(
        (pending.type_.as_str(), pending.message.as_deref()),
        ("PodResizePending", Some(expected))
    );
    assert!(world.is_told("web", "1", "64Mi").await);
    world.resize("web", "1", "64Mi").await;
    let settled = async |world: &World| world.resizing("web").await.is_empty();
    world.until("nothing is pending", settled).await;
    assert_eq!(world.container("web").await.restart_count, 0);
    assert_eq!(
        (world.events("ResizeInfeasible").await, world.events("ResizeStarted").await),
        (1, 0)
    );
}

#[tokio::test(start_paused = true)]
async fn an_update_that_fails_is_told_and_tried_again_by_the_next_agent_too() {
    let mut world = World::start().await;
    world.sized("web", "1", "64Mi").await;
    for _ in 0..3 {
        let busy = RuntimeError::Failed("busy".into());
        world.runtime.fail_next(Operation::UpdateContainer, busy);
    }
    world.resize("web", "2", "64Mi").await;
    world.until_pending("web", "Error").await;
    assert_eq!(world.container("web").await.allocated_resources.expect("given")["cpu"].0, "2");
    world.stop_agent().await;
    world.start_agent();
    world.until_told("web", "2", "64Mi").await;
    assert_eq!(world.running("web").await.expect("a container").resources, sizes(2000, 64));
    assert_eq!(world.container("web").await.restart_count, 0);
}
