//! What is counted of pods and of the runtime.

use prometheus_client::{encoding::text::encode, registry::Registry};
use skein_runtime::{Operation, RuntimeError};

use super::world::World;

/// What Prometheus would read.
fn scraped(world: &World) -> String {
    let (mut registry, mut text) = (Registry::default(), String::new());
    world.agent().register_metrics(&mut registry);
    encode(&mut text, &registry).expect("text");
    text
}

fn count(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.and_then(|value| value.parse().ok()).unwrap_or_default()
}

#[tokio::test(start_paused = true)]
async fn pods_containers_and_starts_are_counted_until_they_are_gone() {
    let mut world = World::start().await;
    world.run("web", &["serve"]).await;
    world.run("job", &["true"]).await;
    world.until_ready("web").await;
    let exited = "kubelet_running_containers{container_state=\"exited\"}";
    world.until("one has ended", async |world| count(&scraped(world), exited) > 0).await;
    let text = scraped(&world);
    let running = "kubelet_running_containers{container_state=\"running\"}";
    assert_eq!(count(&text, running), 1, "{text}");
    assert!(count(&text, "kubelet_running_pods") >= 1, "{text}");
    assert_eq!(count(&text, "kubelet_pod_start_duration_seconds_count"), 2, "{text}");

    world.stop_agent().await;
    world.start_agent();
    world.until("the pod is found again", async |world| count(&scraped(world), running) == 1).await;
    let starts = "kubelet_pod_start_duration_seconds_count";
    assert_eq!(count(&scraped(&world), starts), 0, "an adopted pod does not start");
    for pod in ["web", "job"] {
        world.delete(pod, Some(0)).await;
    }
    world
        .until("nothing is left", async |world| {
            let text = scraped(world);
            [running, exited, "kubelet_running_pods"].iter().all(|name| count(&text, name) == 0)
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn calls_of_the_runtime_are_counted_with_those_that_failed() {
    let world = World::start().await;
    world.runtime.fail_next(Operation::RunSandbox, RuntimeError::Failed("no".into()));
    world.run("web", &["serve"]).await;
    world.until_ready("web").await;
    let text = scraped(&world);
    let of = |what: &str| {
        let name =
            format!("kubelet_runtime_operations_{what}{{operation_type=\"run_podsandbox\"}}");
        count(&text, &name)
    };
    assert_eq!((of("total"), of("errors_total")), (2, 1), "{text}");
    assert_eq!(of("duration_seconds_count"), 2, "{text}");
}
