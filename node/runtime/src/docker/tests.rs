//! The contract against a real engine, and what only Docker can show.

use std::time::{Duration, Instant};

use bollard::query_parameters::{
    PushImageOptionsBuilder, RemoveImageOptions, TagImageOptionsBuilder,
};
use futures::stream::{StreamExt, TryStreamExt};

use super::testing::{SHELL_IMAGE, TestEngine, TestRegistry};
use tokio::io::AsyncWriteExt;

use crate::{
    ContainerConfig, ContainerState, ExecConfig, ExecOutput, LogOptions, Resources, RuntimeError,
    RuntimeEvent, TerminalSize,
    contract::{command, eventually, fulfil, pod},
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
async fn a_container_sees_the_processes_of_its_target() {
    let engine = TestEngine::start().await;
    let subject = engine.subject().await;
    let (sandbox, target) = subject.run("target", "sleep 4321").await;
    let seen = async |name: &str, target| {
        let mut config = subject.script("cat /proc/*/cmdline");
        config.name = name.to_owned();
        config.target = target;
        let id = subject.runtime.create_container(&sandbox, &config).await.unwrap();
        subject.runtime.start_container(&id).await.unwrap();
        subject.ended(&sandbox, &id).await;
        subject.log(&id, LogOptions::default()).await
    };
    assert!(!seen("apart", None).await.contains("4321"));
    assert!(seen("debugger", Some(target)).await.contains("4321"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_update_reaches_the_kernel() {
    let engine = TestEngine::start().await;
    let subject = engine.subject().await;
    let (sandbox, id) = subject.run("grown", "sleep infinity").await;
    let (memory_limit_bytes, cpu_limit_millis) = (48 << 20, 250);
    let sizes = Resources { memory_limit_bytes, cpu_limit_millis, cpu_request_millis: 250 };
    subject.runtime.update_container(&id, &sizes).await.unwrap();
    let script = "cd /sys/fs/cgroup; cat memory.max cpu.max 2>/dev/null || cat \
        memory/memory.limit_in_bytes cpu/cpu.cfs_quota_us";
    let session = subject.runtime.exec(&id, &command(script)).await.unwrap();
    let parts: Vec<ExecOutput> = session.output.try_collect().await.unwrap();
    let said: Vec<u8> = parts.into_iter().flat_map(shown).collect();
    let said = String::from_utf8_lossy(&said);
    assert!(said.starts_with("50331648\n25000"), "{said}");
    subject.remove(&sandbox).await;
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
    let error = subject.runtime.list_sandboxes(None).await.unwrap_err();
    assert!(matches!(error, RuntimeError::Unreachable(_)), "{error:?}");
    engine.start_again().await;
    eventually("a hint to look at everything", async || {
        (events.next().await == Some(RuntimeEvent::Resync)).then_some(())
    })
    .await;
    assert!(!subject.runtime.list_sandboxes(None).await.unwrap()[0].running);
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
    let all = subject.runtime.list_sandboxes(None).await.unwrap();
    let removed = all.iter().map(|sandbox| subject.remove(sandbox));
    futures::future::join_all(removed).await;
}

fn shown(part: ExecOutput) -> Vec<u8> {
    match part {
        ExecOutput::Stdout(bytes) | ExecOutput::Stderr(bytes) => bytes.to_vec(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_container_is_heard_to_its_end_by_who_has_no_more_to_say() {
    let engine = TestEngine::start().await;
    let subject = engine.subject().await;
    let slow = "read line; sleep 1; echo \"got $line\"";
    let cases = [
        ("once", true, false, "cat; echo end", "hello\nend\n"),
        ("open", false, false, slow, "got hello\n"),
        ("terminal", false, true, slow, "hello\r\ngot hello\r\n"),
    ];
    for (name, stdin_once, tty, script, expected) in cases {
        let sandbox = subject.runtime.run_sandbox(&pod(name)).await.unwrap();
        let config = ContainerConfig { stdin: true, stdin_once, tty, ..subject.script(script) };
        let id = subject.runtime.create_container(&sandbox, &config).await.unwrap();
        subject.runtime.start_container(&id).await.unwrap();
        let attach = ExecConfig { stdin: true, command: Vec::new(), ..command("") };
        let mut session = subject.runtime.exec(&id, &attach).await.unwrap();
        session.input.write_all(b"hello\n").await.unwrap();
        session.input.shutdown().await.unwrap();
        let parts: Vec<ExecOutput> = session.output.try_collect().await.unwrap();
        let said: Vec<u8> = parts.into_iter().flat_map(shown).collect();
        assert_eq!(String::from_utf8_lossy(&said), expected, "{name}");
        let state = subject.ended(&sandbox, &id).await;
        assert!(matches!(state, ContainerState::Exited { exit_code: 0, .. }), "{state:?}");
        subject.remove(&sandbox).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_is_talked_to_with_and_without_a_terminal() {
    let engine = TestEngine::start().await;
    let subject = engine.subject().await;
    let (sandbox, id) = subject.run("talk", "sleep infinity").await;
    let copy = ExecConfig { stdin: true, ..command("cat; echo end >&2") };
    let mut session = subject.runtime.exec(&id, &copy).await.unwrap();
    // More than any pipe holds: input and output must flow at the same time.
    let sent = vec![b'x'; 1 << 20];
    let write = async {
        session.input.write_all(&sent).await.unwrap();
        session.input.shutdown().await.unwrap();
    };
    let ((), parts) = tokio::join!(write, session.output.try_collect::<Vec<_>>());
    let (mut out, mut err) = (Vec::new(), Vec::new());
    for part in parts.unwrap() {
        match part {
            ExecOutput::Stdout(bytes) => out.extend(bytes),
            ExecOutput::Stderr(bytes) => err.extend(bytes),
        }
    }
    assert_eq!((out.len(), err.as_slice()), (sent.len(), &b"end\n"[..]));
    assert_eq!(session.process.exit_code().await.unwrap(), Some(0));

    let config = ExecConfig { stdin: true, tty: true, ..command("read go; stty size; exit 7") };
    let mut session = subject.runtime.exec(&id, &config).await.unwrap();
    session.process.resize(TerminalSize { width: 91, height: 33 }).await.unwrap();
    session.input.write_all(b"go\n").await.unwrap();
    let parts: Vec<ExecOutput> = session.output.try_collect().await.unwrap();
    let said = parts.iter().any(
        |part| matches!(part, ExecOutput::Stdout(text) if text.windows(5).any(|w| w == b"33 91")),
    );
    assert!(said, "{parts:?}");
    assert_eq!(session.process.exit_code().await.unwrap(), Some(7));

    // What looks like a frame of the engine, and of four gigabytes, is what the terminal shows.
    let config = ExecConfig {
        tty: true,
        ..command("printf '\\001\\000\\000\\000\\377\\377\\377\\377hello'")
    };
    let session = subject.runtime.exec(&id, &config).await.unwrap();
    let parts: Vec<ExecOutput> = session.output.try_collect().await.unwrap();
    let bytes: Vec<u8> = parts.into_iter().flat_map(shown).collect();
    assert_eq!(bytes, b"\x01\0\0\0\xff\xff\xff\xffhello");

    for tty in [false, true] {
        let name = if tty { "terminal" } else { "pipe" };
        let sandbox = subject.runtime.run_sandbox(&pod(name)).await.unwrap();
        let script = "while read line; do echo \"main: $line\"; done";
        let main = ContainerConfig { stdin: true, tty, ..subject.script(script) };
        let id = subject.runtime.create_container(&sandbox, &main).await.unwrap();
        subject.runtime.start_container(&id).await.unwrap();
        let config = ExecConfig { stdin: true, stdout: true, ..ExecConfig::default() };
        let mut session = subject.runtime.exec(&id, &config).await.unwrap();
        session.input.write_all(b"hello\n").await.unwrap();
        session.input.flush().await.unwrap();
        let mut seen = Vec::new();
        while !String::from_utf8_lossy(&seen).contains("main: hello") {
            seen.extend(shown(session.output.next().await.unwrap().unwrap()));
        }
        assert_eq!(session.process.exit_code().await.unwrap(), None);
        drop(session);
        subject.remove(&sandbox).await;
    }
    subject.remove(&sandbox).await;
}
