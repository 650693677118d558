//! Phases, reasons and conditions, as tables.

mod ephemeral;
mod resize;

use jiff::SignedDuration;
use k8s_openapi::api::core::v1::PodCondition;
use serde_json::{Value, json};
use skein_runtime::{
    ContainerId, ContainerInfo, ContainerState, Resources, SandboxId, SandboxInfo,
};

use super::*;
use crate::lifecycle::{Cause, Failure, Network, Step};

fn at(seconds: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_secs(seconds)
}

fn pod(spec: Value) -> Pod {
    let pod = json!({"metadata": {"name": "p", "namespace": "n", "uid": "u"}, "spec": spec});
    serde_json::from_value(pod).expect("a pod")
}

fn simple(policy: &str) -> Pod {
    pod(json!({"restartPolicy": policy, "containers": [{"name": "a", "image": "app:1"}]}))
}

fn live() -> SandboxInfo {
    SandboxInfo {
        id: SandboxId("s".into()),
        namespace: "n".into(),
        name: "p".into(),
        uid: "u".into(),
        attempt: 0,
        running: true,
        pid: Some(1),
        created: at(0),
        labels: Default::default(),
    }
}

fn made(name: &str, attempt: u32, state: ContainerState) -> ContainerInfo {
    ContainerInfo {
        id: ContainerId(format!("{name}{attempt}")),
        sandbox: SandboxId("s".into()),
        pod_uid: "u".into(),
        name: name.into(),
        attempt,
        image: "app:1".into(),
        image_id: "sha256:1".into(),
        state,
        created: at(0),
        resources: Default::default(),
        labels: Default::default(),
    }
}

fn running() -> ContainerState {
    ContainerState::Running { started: at(1) }
}

fn exited(exit_code: i32) -> ContainerState {
    ContainerState::Exited {
        started: Some(at(1)),
        finished: at(10),
        exit_code,
        oom_killed: false,
        message: String::new(),
    }
}

fn attached() -> Memory {
    let ip = "10.42.0.2".parse().expect("an address");
    let network = Network::Attached { sandbox: SandboxId("s".into()), ip };
    Memory { network, ..Memory::default() }
}

fn status_of(
    pod: &Pod,
    containers: &[ContainerInfo],
    memory: &Memory,
    before: &PodStatus,
    now: i64,
) -> PodStatus {
    let observed = Observed { sandboxes: vec![live()], containers: containers.to_vec() };
    let desired = Desired::of(pod);
    let host_ip = "10.77.0.1".parse().expect("an address");
    let view = View {
        pod,
        desired: &desired,
        observed: &observed,
        memory,
        host_ip,
        runtime: "docker",
        now: at(now),
    };
    build(&view, before)
}

fn fresh(pod: &Pod, containers: &[ContainerInfo], memory: &Memory, now: i64) -> PodStatus {
    status_of(pod, containers, memory, &PodStatus::default(), now)
}

fn waiting(status: &PodStatus) -> Option<(String, Option<String>)> {
    let state = status.container_statuses.as_ref()?.first()?.state.clone()?;
    let waiting = state.waiting?;
    Some((waiting.reason?, waiting.message))
}

fn condition<'a>(status: &'a PodStatus, type_: &str) -> &'a PodCondition {
    let conditions = status.conditions.as_ref().expect("conditions");
    conditions.iter().find(|condition| condition.type_ == type_).expect("condition")
}

#[test]
fn phase_follows_the_states_and_the_restart_policy() {
    let cases: [(&str, ContainerState, &str); 8] = [
        ("Always", ContainerState::Created, "Pending"),
        ("Always", running(), "Running"),
        ("Always", exited(0), "Running"),
        ("Always", exited(1), "Running"),
        ("OnFailure", exited(0), "Succeeded"),
        ("OnFailure", exited(1), "Running"),
        ("Never", exited(0), "Succeeded"),
        ("Never", exited(1), "Failed"),
    ];
    for (policy, state, expected) in cases {
        let status = fresh(&simple(policy), &[made("a", 0, state.clone())], &attached(), 11);
        assert_eq!(status.phase.as_deref(), Some(expected), "{policy} {state:?}");
    }
}

#[test]
fn a_pod_that_ended_stays_ended_and_keeps_what_its_containers_said() {
    let pod = simple("Never");
    let ended = fresh(&pod, &[made("a", 0, exited(3))], &attached(), 11);
    let later = status_of(&pod, &[], &Memory::default(), &ended, 99);
    assert_eq!(later.phase.as_deref(), Some("Failed"));
    assert_eq!(later.container_statuses, ended.container_statuses);
    assert_eq!(later.pod_ip.as_deref(), Some("10.42.0.2"));
}

#[test]
fn failures_are_shown_with_the_reasons_of_kubernetes() {
    let failure = |cause, count| Failure {
        cause,
        message: "why".into(),
        at: at(10),
        count,
        delay: SignedDuration::from_secs(60),
    };
    let cases = [
        (Cause::ImagePull, 1, 11, "ErrImagePull"),
        (Cause::ImagePull, 1, 20, "ImagePullBackOff"),
        (Cause::ImagePull, 2, 11, "ImagePullBackOff"),
        (Cause::ImageNeverPull, 1, 11, "ErrImageNeverPull"),
        (Cause::InvalidImage, 1, 11, "InvalidImageName"),
        (Cause::Config, 1, 11, "CreateContainerConfigError"),
        (Cause::Create, 1, 11, "CreateContainerError"),
        (Cause::Start, 1, 11, "RunContainerError"),
        (Cause::Runtime, 1, 11, "ContainerCreating"),
    ];
    for (cause, count, now, expected) in cases {
        let mut memory = attached();
        memory.failures.insert(Step::Prepare("a".into()), failure(cause, count));
        let status = fresh(&simple("Always"), &[], &memory, now);
        assert_eq!(waiting(&status).map(|(reason, _)| reason).as_deref(), Some(expected));
    }
}

#[test]
fn a_crash_loop_shows_its_delay_and_the_last_end() {
    let status = fresh(&simple("Always"), &[made("a", 3, exited(2))], &attached(), 11);
    let message = "back-off 40s restarting failed container=a pod=p_n(u)".to_owned();
    assert_eq!(waiting(&status), Some(("CrashLoopBackOff".into(), Some(message))));
    let container = &status.container_statuses.as_ref().expect("statuses")[0];
    assert_eq!(container.restart_count, 3);
    let last = container.last_state.as_ref().and_then(|state| state.terminated.as_ref());
    assert_eq!(last.map(|last| (last.exit_code, last.reason.as_deref())), Some((2, Some("Error"))));
    assert_eq!(last.and_then(|last| last.container_id.as_deref()), Some("docker://a3"));
}

#[test]
fn conditions_say_what_is_missing() {
    let two = pod(json!({
        "initContainers": [{"name": "i", "image": "app:1"}],
        "containers": [{"name": "a", "image": "app:1"}, {"name": "b", "image": "app:1"}],
    }));
    let starting = fresh(&two, &[made("i", 0, running())], &attached(), 2);
    let initialized = condition(&starting, "Initialized");
    assert_eq!(initialized.reason.as_deref(), Some("ContainersNotInitialized"));
    assert_eq!(initialized.message.as_deref(), Some("containers with incomplete status: [i]"));
    assert_eq!(condition(&starting, "PodReadyToStartContainers").status, "True");
    assert_eq!(waiting(&starting).map(|(reason, _)| reason).as_deref(), Some("PodInitializing"));

    let half = [made("i", 0, exited(0)), made("a", 0, running())];
    let half = fresh(&two, &half, &attached(), 12);
    assert_eq!(condition(&half, "Initialized").status, "True");
    let ready = condition(&half, "Ready");
    assert_eq!(ready.message.as_deref(), Some("containers with unready status: [b]"));
    assert_eq!(half.phase.as_deref(), Some("Pending"));

    let all = [made("i", 0, exited(0)), made("a", 0, running()), made("b", 0, running())];
    let all = status_of(&two, &all, &attached(), &half, 20);
    assert_eq!(condition(&all, "Ready").status, "True");
    assert_eq!(condition(&all, "Ready").last_transition_time, Some(Time(at(20))));
    assert_eq!(condition(&all, "Initialized").last_transition_time, Some(Time(at(12))));
}

#[test]
fn merging_keeps_what_others_wrote() {
    let gate = PodCondition {
        type_: "example.com/gate".into(),
        status: "True".into(),
        ..PodCondition::default()
    };
    let stored = PodStatus {
        conditions: Some(vec![gate.clone()]),
        nominated_node_name: Some("h2".into()),
        ..PodStatus::default()
    };
    let built = fresh(&simple("Always"), &[made("a", 0, running())], &attached(), 5);
    let merged = merge(&stored, built.clone());
    assert!(merged.conditions.as_ref().is_some_and(|conditions| conditions.contains(&gate)));
    assert_eq!(merged.nominated_node_name.as_deref(), Some("h2"));
    assert_eq!(merge(&merged, built), merged, "merging again changes nothing");
}

#[test]
fn quality_of_service_follows_requests_and_limits() {
    let resources = |resources: Value| {
        pod(json!({"containers": [{"name": "a", "image": "x", "resources": resources}]}))
    };
    let full = json!({"cpu": "1", "memory": "1Gi"});
    let cases = [
        (json!({}), "BestEffort"),
        (json!({"requests": {"cpu": "1"}}), "Burstable"),
        (json!({"limits": full, "requests": full}), "Guaranteed"),
        (json!({"limits": full}), "Guaranteed"),
        (json!({"limits": full, "requests": {"cpu": "500m"}}), "Burstable"),
    ];
    for (given, expected) in cases {
        assert_eq!(qos::class(&resources(given.clone())), expected, "{given}");
    }
}
