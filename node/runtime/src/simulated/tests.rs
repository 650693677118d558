//! What only the simulated runtime promises, and the contract.

use super::*;
use crate::contract::{Subject, eventually, fulfil, pod};

fn subject() -> (SimulatedRuntime, Subject) {
    let runtime = SimulatedRuntime::new(Timestamp::UNIX_EPOCH);
    let image = "test/shell:1".to_owned();
    runtime.add_image(&image);
    (runtime.clone(), Subject { runtime: Arc::new(runtime), image })
}

#[tokio::test(start_paused = true)]
async fn simulated_fulfils_the_contract() {
    fulfil(&subject().1).await;
}

#[tokio::test(start_paused = true)]
async fn latencies_pass_on_the_paused_clock_only() {
    let (runtime, _) = subject();
    runtime.set_docker_latencies();
    let before = Instant::now();
    runtime.run_sandbox(&pod("slow")).await.unwrap();
    assert_eq!(before.elapsed(), Duration::from_millis(300));
}

#[tokio::test(start_paused = true)]
async fn failures_come_in_the_order_they_were_planned_and_then_end() {
    let (runtime, _) = subject();
    for message in ["first", "second"] {
        runtime.fail_next(Operation::RunSandbox, RuntimeError::Failed(message.to_owned()));
    }
    for expected in ["first", "second"] {
        let error = runtime.run_sandbox(&pod("unlucky")).await.unwrap_err();
        assert!(error.to_string().ends_with(expected), "{error}");
    }
    runtime.run_sandbox(&pod("unlucky")).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn containers_outlive_an_engine_that_does_not_answer() {
    let (runtime, subject) = subject();
    let (sandbox, id) = subject.run("steady", "sleep 10; exit 4").await;
    let mut events = runtime.events();
    runtime.set_reachable(false);
    let error = runtime.list_containers(None).await.unwrap_err();
    assert!(matches!(error, RuntimeError::Unreachable(_)), "{error:?}");
    runtime.set_reachable(true);
    assert_eq!(events.next().await, Some(RuntimeEvent::Resync));
    let state = subject.ended(&sandbox, &id).await;
    assert!(matches!(state, crate::ContainerState::Exited { exit_code: 4, .. }), "{state:?}");
}

#[tokio::test(start_paused = true)]
async fn ends_can_be_brought_about() {
    let (runtime, subject) = subject();
    let (sandbox, id) = subject.run("victim", "serve").await;
    runtime.oom_kill_container(&id);
    let state = subject.ended(&sandbox, &id).await;
    let crate::ContainerState::Exited { exit_code: 137, oom_killed: true, .. } = state else {
        panic!("{state:?}");
    };
    runtime.kill_sandbox(&sandbox.id);
    assert!(!runtime.list_sandboxes(None).await.unwrap()[0].running);
}

#[tokio::test(start_paused = true)]
async fn pulls_fail_as_told() {
    let (runtime, _) = subject();
    runtime.set_pull_error("nginx:1", Some("manifest unknown"));
    let error = runtime.pull_image("nginx:1").await.unwrap_err();
    assert!(
        matches!(&error, RuntimeError::ImagePull { message, .. } if message == "manifest unknown")
    );
    runtime.set_pull_error("nginx:1", None);
    runtime.pull_image("nginx:1").await.unwrap();
    assert!(runtime.image("docker.io/library/nginx:1").await.unwrap().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_listener_that_falls_behind_is_told_to_look_at_everything() {
    let (runtime, _) = subject();
    let mut events = runtime.events();
    for number in 0..=EVENT_BACKLOG {
        runtime.run_sandbox(&pod(&format!("p{number}"))).await.unwrap();
    }
    assert_eq!(events.next().await, Some(RuntimeEvent::Resync));
}

#[tokio::test(start_paused = true)]
async fn a_thousand_pods_end_on_time() {
    let (_, subject) = subject();
    for number in 0..1000 {
        subject.run(&format!("p{number}"), "sleep 5").await;
    }
    let before = Instant::now();
    eventually("all have ended", async || {
        let all = subject.runtime.list_containers(None).await.unwrap();
        let ended =
            |info: &ContainerInfo| matches!(info.state, crate::ContainerState::Exited { .. });
        all.iter().all(ended).then_some(())
    })
    .await;
    assert!(before.elapsed() <= Duration::from_secs(6));
}
