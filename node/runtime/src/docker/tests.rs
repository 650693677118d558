//! The contract against a real engine, and what only Docker can show.

use std::time::{Duration, Instant};

use bollard::query_parameters::{
    PushImageOptionsBuilder, RemoveImageOptions, TagImageOptionsBuilder,
};
use futures::stream::{StreamExt, TryStreamExt};

use super::testing::{SHELL_IMAGE, TestEngine, TestRegistry};
use crate::{
    ContainerState, LogOptions, RuntimeError, RuntimeEvent,
    contract::{eventually, fulfil, pod},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn docker_fulfils_the_contract() {
    let engine = TestEngine::start().await;
    fulfil(&engine.subject().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pod_shares_one_network_apart_from_the_hosts_with_its_own_names() {
    let engine = TestEngine::start().await;
    let subject = engine.subject().await;
    let mut config = pod("web-0");
    config.host_aliases = vec![("10.1.2.3".to_owned(), vec!["db".to_owned()])];
    let sandbox = subject.runtime.run_sandbox(&config).await.unwrap();
    let print = "hostname; cat /etc/hosts /etc/resolv.conf; ip -o link";
    let id = subject.runtime.create_container(&sandbox, &subject.script(print)).await.unwrap();
    subject.runtime.start_container(&id).await.unwrap();
    subject.ended(&sandbox, &id).await;
    let printed = subject.log(&id, LogOptions::default()).await;
    assert!(printed.starts_with("web-0\n"), "{printed}");
    for line in [
        "10.1.2.3\tdb",
        "nameserver 10.43.0.10",
        "search default.svc.cluster.local",
        "options ndots:5",
    ] {
        assert!(printed.contains(line), "{line:?} in {printed}");
    }
    let links = printed.lines().filter(|line| line.contains("mtu")).count();
    assert_eq!(links, 1, "only the loopback device: {printed}");
    let namespace = |process: &str| std::fs::read_link(format!("/proc/{process}/ns/net")).unwrap();
    assert_ne!(namespace(&sandbox.pid.unwrap().to_string()), namespace("self"));

    let mut config = pod("host-0");
    config.host_network = true;
    let sandbox = subject.runtime.run_sandbox(&config).await.unwrap();
    assert_eq!(namespace(&sandbox.pid.unwrap().to_string()), namespace("self"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_engine_that_comes_back_is_found_and_listeners_are_told() {
    let mut engine = TestEngine::start().await;
    let subject = engine.subject().await;
    let mut events = subject.runtime.events();
    assert_eq!(events.next().await, Some(RuntimeEvent::Resync));
    let sandbox = subject.runtime.run_sandbox(&pod("before")).await.unwrap();
    assert_eq!(events.next().await, Some(RuntimeEvent::Pod { uid: sandbox.uid }));
    engine.stop();
    let error = subject.runtime.list_sandboxes().await.unwrap_err();
    assert!(matches!(error, RuntimeError::Unreachable(_)), "{error:?}");
    engine.start_again().await;
    eventually("a hint to look at everything", async || {
        (events.next().await == Some(RuntimeEvent::Resync)).then_some(())
    })
    .await;
    assert!(!subject.runtime.list_sandboxes().await.unwrap()[0].running);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn images_are_pulled_from_a_registry_and_refusals_say_why() {
    let (engine, registry) = (TestEngine::start().await, TestRegistry::start().await);
    let subject = engine.subject().await;
    let name = format!("{}/team/shell", registry.address);
    let docker = engine.runtime().client.docker().await.unwrap();
    let tag = TagImageOptionsBuilder::new().repo(&name).tag("2").build();
    docker.tag_image(SHELL_IMAGE, Some(tag)).await.unwrap();
    let push = PushImageOptionsBuilder::new().tag("2").build();
    docker.push_image(&name, Some(push), None).try_collect::<Vec<_>>().await.unwrap();
    let reference = format!("{name}:2");
    docker.remove_image(&reference, None::<RemoveImageOptions>, None).await.unwrap();

    assert_eq!(subject.runtime.image(&reference).await.unwrap(), None);
    let pulled = subject.runtime.pull_image(&reference).await.unwrap();
    assert!(pulled.tags.contains(&reference), "{pulled:?}");
    let error = subject.runtime.pull_image(&format!("{name}:3")).await.unwrap_err();
    let RuntimeError::ImagePull { image, message } = error else { panic!("{error:?}") };
    assert!(image.ends_with(":3") && message.contains("manifest unknown"), "{message}");
}

/// Prints what a pod costs beside a raw `docker run` of the same image; run it with `--nocapture`
/// and alone for figures worth keeping.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_pods_at_once_all_start() {
    let engine = TestEngine::start().await;
    let subject = engine.subject().await;
    let mut spent: Vec<(Duration, Duration)> = Vec::new();
    for number in 0..5 {
        let began = Instant::now();
        let sandbox = subject.runtime.run_sandbox(&pod(&format!("one-{number}"))).await.unwrap();
        let sandboxed = began.elapsed();
        let script = subject.script("sleep 300");
        let id = subject.runtime.create_container(&sandbox, &script).await.unwrap();
        subject.runtime.start_container(&id).await.unwrap();
        spent.push((sandboxed, began.elapsed()));
    }
    let began = Instant::now();
    let pods = (0..10).map(|number| {
        let subject = subject.clone();
        async move { subject.run(&format!("ten-{number}"), "sleep 300").await }
    });
    let started = futures::future::join_all(pods).await;
    println!("one after the other (sandbox, whole): {spent:?}; ten at once: {:?}", began.elapsed());
    for (sandbox, id) in started {
        let listed = subject.runtime.list_containers(Some(&sandbox.uid)).await.unwrap();
        assert!(matches!(listed[0].state, ContainerState::Running { .. }), "{listed:?}");
        assert_eq!(listed[0].id, id);
    }
    let all = subject.runtime.list_sandboxes().await.unwrap();
    let removed = all.iter().map(|sandbox| subject.remove(sandbox));
    futures::future::join_all(removed).await;
}
