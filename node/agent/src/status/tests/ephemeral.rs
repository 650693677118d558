//! What is said of ephemeral containers, and that it counts for nothing else.

use k8s_openapi::api::core::v1::ContainerState as State;

use super::*;

fn visited(policy: &str) -> Pod {
    pod(json!({
        "restartPolicy": policy,
        "containers": [{"name": "a", "image": "app:1"}],
        "ephemeralContainers": [{"name": "v", "image": "tools:1", "targetContainerName": "a"}],
    }))
}

fn visitor(status: &PodStatus) -> &ContainerStatus {
    match status.ephemeral_container_statuses.as_deref() {
        Some([one]) => one,
        other => panic!("one status: {other:?}"),
    }
}

fn state(status: &PodStatus) -> State {
    visitor(status).state.clone().expect("a state")
}

#[test]
fn a_pod_is_what_it_is_without_them() {
    let cases = [
        ("Always", running(), running(), "Running", "True"),
        ("Always", running(), exited(1), "Running", "True"),
        ("Always", ContainerState::Created, running(), "Pending", "False"),
        ("Never", exited(0), running(), "Succeeded", "False"),
        ("Never", exited(1), exited(0), "Failed", "False"),
        ("Never", running(), exited(1), "Running", "True"),
    ];
    for (policy, main, added, phase, ready) in cases {
        let said = format!("{policy} {main:?} {added:?}");
        let containers = [made("a", 0, main), made("v", 0, added)];
        let status = fresh(&visited(policy), &containers, &attached(), 11);
        assert_eq!(status.phase.as_deref(), Some(phase), "{said}");
        assert_eq!(condition(&status, "Ready").status, ready, "{said}");
        assert_eq!(status.container_statuses.as_ref().map(Vec::len), Some(1), "{said}");
        assert_eq!(status.qos_class.as_deref(), Some("BestEffort"), "{said}");
    }
    let without = fresh(&simple("Always"), &[made("a", 0, running())], &attached(), 11);
    assert_eq!(without.ephemeral_container_statuses, None);
}

#[test]
fn they_show_how_far_they_are_and_are_never_ready() {
    let main = made("a", 0, running());
    let status =
        |containers: &[ContainerInfo]| fresh(&visited("Always"), containers, &attached(), 11);
    let waiting = |status: &PodStatus| {
        let waiting = state(status).waiting.expect("it waits");
        (waiting.reason.unwrap_or_default(), waiting.message)
    };
    let alone = status(&[]);
    let message = "waiting for target container \"a\" to run".to_owned();
    assert_eq!(waiting(&alone), ("ContainerCreating".into(), Some(message)));
    let soon = status(std::slice::from_ref(&main));
    assert_eq!(waiting(&soon), ("ContainerCreating".into(), None));
    let runs = status(&[main.clone(), made("v", 0, running())]);
    assert!(state(&runs).running.is_some());
    let shown = visitor(&runs);
    assert_eq!((shown.image.as_str(), shown.image_id.as_str()), ("tools:1", "sha256:1"));
    assert_eq!(shown.container_id.as_deref(), Some("docker://v0"));
    assert_eq!((shown.ready, shown.started, shown.restart_count), (false, None, 0));
    let over = state(&status(&[main, made("v", 0, exited(2))])).terminated.expect("an end");
    assert_eq!((over.exit_code, over.reason.as_deref()), (2, Some("Error")));
}

#[test]
fn an_end_stays_when_the_container_is_gone() {
    let pod = visited("Always");
    let main = made("a", 0, running());
    let over = [main.clone(), made("v", 0, exited(0))];
    let over = fresh(&pod, &over, &attached(), 11);
    let mut busy = attached();
    busy.in_flight.insert(Step::Launch("a".into()));
    for memory in [attached(), busy] {
        let later = status_of(&pod, std::slice::from_ref(&main), &memory, &over, 99);
        assert_eq!(later.ephemeral_container_statuses, over.ephemeral_container_statuses);
    }
    let ran = fresh(&pod, &[main.clone(), made("v", 0, running())], &attached(), 11);
    let lost = status_of(&pod, &[main], &attached(), &ran, 99);
    let end = state(&lost).terminated.expect("an end");
    assert_eq!(end.reason.as_deref(), Some("ContainerStatusUnknown"));
    assert_eq!(
        merge(&ran, lost.clone()).ephemeral_container_statuses,
        lost.ephemeral_container_statuses
    );
}

#[test]
fn whoever_runs_or_has_ended_has_run() {
    let pod = visited("Always");
    let main = made("a", 0, running());
    let cases = [
        (None, false),
        (Some(ContainerState::Created), false),
        (Some(running()), true),
        (Some(exited(0)), true),
    ];
    for (state, expected) in cases {
        let added = state.clone().map(|state| made("v", 0, state));
        let containers: Vec<_> = added.into_iter().chain([main.clone()]).collect();
        let status = fresh(&pod, &containers, &attached(), 11);
        assert_eq!(ran_once(&status).any(|name| name == "v"), expected, "{state:?}");
    }
}
