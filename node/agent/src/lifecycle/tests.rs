//! The plan, as tables and as properties over random lives.

mod ephemeral;
mod properties;
mod resize;

use jiff::{SignedDuration, Timestamp};
use skein_runtime::{
    ContainerId, ContainerInfo, ContainerState, Resources, SandboxId, SandboxInfo,
};

use super::*;

pub(super) fn at(seconds: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_secs(1_000_000 + seconds)
}

pub(super) fn container(name: &str, role: Role, restart: RestartPolicy) -> ContainerSpec {
    ContainerSpec {
        name: name.into(),
        role,
        restart,
        target: None,
        size: None,
        needs_ip: false,
        probes: vec![],
    }
}

pub(super) fn pod(init: Vec<ContainerSpec>, names: &[&str], restart: RestartPolicy) -> Desired {
    Desired {
        init,
        main: names.iter().map(|name| container(name, Role::Main, restart)).collect(),
        ephemeral: vec![],
        restart,
        host_network: false,
        grace_seconds: 30,
        intent: Intent::Run,
        deadline: None,
    }
}

pub(super) fn sandbox(attempt: u32, running: bool) -> SandboxInfo {
    SandboxInfo {
        id: SandboxId(format!("s{attempt}")),
        namespace: "default".into(),
        name: "pod".into(),
        uid: "uid".into(),
        attempt,
        running,
        pid: running.then_some(1),
        created: at(0),
        labels: Default::default(),
    }
}

pub(super) fn made(name: &str, attempt: u32, sandbox: u32, state: ContainerState) -> ContainerInfo {
    ContainerInfo {
        id: ContainerId(format!("{name}-{attempt}")),
        sandbox: SandboxId(format!("s{sandbox}")),
        pod_uid: "uid".into(),
        name: name.into(),
        attempt,
        image: "app:1".into(),
        image_id: "sha256:1".into(),
        state,
        created: at(i64::from(attempt)),
        resources: Default::default(),
        labels: Default::default(),
    }
}

const RUNNING: fn() -> ContainerState = || ContainerState::Running { started: at(0) };

pub(super) fn exited(code: i32, finished: i64) -> ContainerState {
    ContainerState::Exited {
        started: Some(at(0)),
        finished: at(finished),
        exit_code: code,
        oom_killed: false,
        message: String::new(),
    }
}

fn observed(sandboxes: &[SandboxInfo], containers: &[ContainerInfo]) -> Observed {
    Observed { sandboxes: sandboxes.to_vec(), containers: containers.to_vec() }
}

/// A memory of a pod whose network is attached, which holds a place and has prepared `prepared`.
fn memory(prepared: &[(&str, u32)]) -> Memory {
    let ip = "10.42.0.2".parse().expect("an address");
    Memory {
        network: Network::Attached { sandbox: SandboxId("s0".into()), ip },
        slot: true,
        prepared: prepared.iter().map(|(name, attempt)| ((*name).into(), *attempt)).collect(),
        ..Memory::default()
    }
}

/// A plan in short words.
fn words(desired: &Desired, observed: &Observed, memory: &Memory, now: i64) -> Vec<String> {
    plan(desired, observed, memory, at(now)).actions.iter().map(word).collect()
}

fn word(action: &Action) -> String {
    match action {
        Action::TakeSlot => "slot".into(),
        Action::RunSandbox { attempt } => format!("sandbox {attempt}"),
        Action::Attach { .. } => "attach".into(),
        Action::Prepare { container, attempt } => format!("prepare {container} {attempt}"),
        Action::Create { container, attempt, .. } => format!("create {container} {attempt}"),
        Action::Start { container, .. } => format!("start {container}"),
        Action::Update { id, resources } => {
            format!("update {} {}", id.0, resources.cpu_limit_millis)
        }
        Action::Stop { id, grace_seconds, .. } => format!("stop {} {grace_seconds}", id.0),
        Action::RemoveContainer { id } => format!("remove {}", id.0),
        Action::StopSandbox { id } => format!("stop {}", id.0),
        Action::RemoveSandbox { id } => format!("remove {}", id.0),
        Action::Detach => "detach".into(),
        Action::Probe(_) => "probe".into(),
        Action::Cleanup => "cleanup".into(),
        Action::Delete => "delete".into(),
    }
}

#[test]
fn a_new_pod_prepares_while_its_sandbox_starts() {
    let pod = pod(vec![], &["a", "b"], RestartPolicy::Always);
    let held = Memory { slot: true, ..Memory::default() };
    let none = Observed::default();
    assert_eq!(words(&pod, &none, &Memory::default(), 0), ["slot", "prepare a 0", "prepare b 0"]);
    assert_eq!(words(&pod, &none, &held, 0), ["sandbox 0", "prepare a 0", "prepare b 0"]);
}

#[test]
fn containers_are_made_while_the_network_is_attached_but_start_after() {
    let pod = pod(vec![], &["a"], RestartPolicy::Always);
    let unattached = Memory { network: Network::Unknown, ..memory(&[("a", 0)]) };
    let fresh = observed(&[sandbox(0, true)], &[]);
    assert_eq!(words(&pod, &fresh, &unattached, 0), ["attach", "create a 0"]);
    let created = observed(&[sandbox(0, true)], &[made("a", 0, 0, ContainerState::Created)]);
    assert_eq!(words(&pod, &created, &unattached, 0), ["attach"]);
    assert_eq!(words(&pod, &created, &memory(&[("a", 0)]), 0), ["start a"]);
}

#[test]
fn a_container_that_needs_the_address_is_prepared_after_the_network() {
    let mut pod = pod(vec![], &["a"], RestartPolicy::Always);
    pod.main[0].needs_ip = true;
    let fresh = observed(&[sandbox(0, true)], &[]);
    let unattached = Memory { network: Network::Unknown, ..memory(&[]) };
    assert_eq!(words(&pod, &fresh, &unattached, 0), ["attach"]);
    assert_eq!(words(&pod, &fresh, &memory(&[]), 0), ["prepare a 0"]);
}

#[test]
fn init_containers_run_in_order_and_sidecars_let_the_next_begin() {
    let init = vec![
        container("i", Role::Init, RestartPolicy::OnFailure),
        container("side", Role::Sidecar, RestartPolicy::Always),
    ];
    let pod = pod(init, &["a"], RestartPolicy::Always);
    let live = sandbox(0, true);
    let run = made("i", 0, 0, RUNNING());
    let done = made("i", 0, 0, exited(0, 1));
    let side = made("side", 0, 0, RUNNING());
    let cases: [(&[ContainerInfo], &[&str]); 4] = [
        (&[], &["prepare i 0"]),
        (&[run], &[]),
        (std::slice::from_ref(&done), &["prepare side 0"]),
        (&[done.clone(), side], &["prepare a 0"]),
    ];
    for (containers, expected) in cases {
        let seen = observed(std::slice::from_ref(&live), containers);
        assert_eq!(words(&pod, &seen, &memory(&[]), 5), expected);
    }
}

#[test]
fn restart_delays_double_from_ten_seconds_to_five_minutes() {
    let delays: Vec<i64> = (0..8).map(|attempt| restart_delay(attempt, 0).as_secs()).collect();
    assert_eq!(delays, [0, 10, 20, 40, 80, 160, 300, 300]);
    assert_eq!(restart_delay(7, 7).as_secs(), 0);
    assert_eq!(restart_delay(u32::MAX, 0).as_secs(), 300);
}

#[test]
fn a_long_run_resets_the_restart_delay() {
    let pod = pod(vec![], &["a"], RestartPolicy::Always);
    let live = sandbox(0, true);
    let mut seen = observed(&[live], &[made("a", 5, 0, exited(1, 601))]);
    let mut known = memory(&[]);
    known.absorb(&mut seen);
    assert_eq!(words(&pod, &seen, &known, 601), ["prepare a 6"]);
    let short = observed(&[sandbox(0, true)], &[made("a", 5, 0, exited(1, 599))]);
    let waiting = plan(&pod, &short, &memory(&[]), at(599));
    assert_eq!((waiting.actions, waiting.wake), (vec![], Some(at(599 + 160))));
}

#[test]
fn a_dead_sandbox_ends_its_containers_before_the_next_is_made() {
    let pod = pod(vec![], &["a"], RestartPolicy::Always);
    let dead = sandbox(0, false);
    let left = observed(std::slice::from_ref(&dead), &[made("a", 0, 0, RUNNING())]);
    assert_eq!(words(&pod, &left, &memory(&[]), 0), ["stop a-0 30"]);
    let ended = observed(&[dead], &[made("a", 0, 0, exited(137, 1))]);
    assert_eq!(words(&pod, &ended, &memory(&[]), 1), ["sandbox 1", "prepare a 1"]);
}

#[test]
fn a_dead_sandbox_is_not_made_again_for_a_pod_that_never_restarts() {
    let pod = pod(vec![], &["a"], RestartPolicy::Never);
    let ended = observed(&[sandbox(0, false)], &[made("a", 0, 0, exited(137, 1))]);
    assert_eq!(words(&pod, &ended, &memory(&[]), 1), Vec::<String>::new());
}

#[test]
fn only_the_last_two_runs_of_a_container_are_kept() {
    let pod = pod(vec![], &["a"], RestartPolicy::Always);
    let runs =
        [made("a", 1, 0, exited(1, 1)), made("a", 2, 0, exited(1, 2)), made("a", 3, 0, RUNNING())];
    assert_eq!(words(&pod, &observed(&[sandbox(0, true)], &runs), &memory(&[]), 9), ["remove a-1"]);
}

#[test]
fn of_two_running_copies_the_older_is_ended() {
    let pod = pod(vec![], &["a"], RestartPolicy::Always);
    let two = [made("a", 0, 0, RUNNING()), made("a", 1, 0, RUNNING())];
    assert_eq!(words(&pod, &observed(&[sandbox(0, true)], &two), &memory(&[]), 9), ["stop a-0 30"]);
}

#[test]
fn a_deleted_pod_ends_its_containers_then_its_sandbox_then_its_object() {
    let mut pod = pod(vec![], &["a"], RestartPolicy::Always);
    pod.intent = Intent::Terminate { grace_seconds: 7 };
    let live = sandbox(0, true);
    let running = observed(std::slice::from_ref(&live), &[made("a", 0, 0, RUNNING())]);
    assert_eq!(words(&pod, &running, &memory(&[]), 0), ["stop a-0 7"]);
    let ended = observed(&[live], &[made("a", 0, 0, exited(0, 1))]);
    assert_eq!(words(&pod, &ended, &memory(&[]), 1), ["detach", "remove s0"]);
    let none = Observed::default();
    let mut left = Memory { network: Network::Detached, ..memory(&[]) };
    assert_eq!(words(&pod, &none, &left, 1), ["cleanup"]);
    left.cleaned = true;
    assert_eq!(words(&pod, &none, &left, 1), ["delete"]);
    left.deleted = true;
    assert!(plan(&pod, &none, &left, at(1)).finished);
}

#[test]
fn a_shorter_grace_overtakes_a_longer_one() {
    let mut pod = pod(vec![], &["a"], RestartPolicy::Always);
    let running = observed(&[sandbox(0, true)], &[made("a", 0, 0, RUNNING())]);
    let mut known = memory(&[]);
    known.in_flight.insert(Step::Stop(ContainerId("a-0".into()), 30));
    pod.intent = Intent::Terminate { grace_seconds: 30 };
    assert_eq!(words(&pod, &running, &known, 0), Vec::<String>::new());
    pod.intent = Intent::Terminate { grace_seconds: 1 };
    assert_eq!(words(&pod, &running, &known, 0), ["stop a-0 1"]);
}

#[test]
fn sidecars_end_after_the_others_in_reverse_order() {
    let side = |name| container(name, Role::Sidecar, RestartPolicy::Always);
    let mut pod = pod(vec![side("s1"), side("s2")], &["a"], RestartPolicy::Always);
    pod.intent = Intent::Terminate { grace_seconds: 5 };
    let all = ["s1", "s2", "a"].map(|name| made(name, 0, 0, RUNNING()));
    let live = [sandbox(0, true)];
    assert_eq!(words(&pod, &observed(&live, &all), &memory(&[]), 0), ["stop a-0 5"]);
    assert_eq!(words(&pod, &observed(&live, &all[..2]), &memory(&[]), 0), ["stop s2-0 5"]);
    assert_eq!(words(&pod, &observed(&live, &all[..1]), &memory(&[]), 0), ["stop s1-0 5"]);
}

#[test]
fn a_finished_pod_gives_up_its_sandbox_and_address_but_not_its_logs() {
    let pod = pod(vec![], &["a"], RestartPolicy::Never);
    let ended = observed(&[sandbox(0, true)], &[made("a", 0, 0, exited(0, 1))]);
    assert_eq!(words(&pod, &ended, &memory(&[]), 1), ["stop s0", "detach"]);
}

#[test]
fn a_failed_step_waits_for_its_retry() {
    let pod = pod(vec![], &["a"], RestartPolicy::Always);
    let mut known = memory(&[]);
    let first = Failure::next(None, Cause::ImagePull, "no".into(), at(0));
    let second = Failure::next(Some(&first), Cause::ImagePull, "no".into(), at(10));
    assert_eq!((first.retry_at(at(0)), second.retry_at(at(10))), (at(10), at(30)));
    assert_eq!(second.retry_at(at(9)), at(9), "the clock was set back");
    known.failures.insert(Step::Prepare("a".into()), second);
    let live = observed(&[sandbox(0, true)], &[]);
    let waiting = plan(&pod, &live, &known, at(11));
    assert_eq!((waiting.actions, waiting.wake), (vec![], Some(at(30))));
    assert_eq!(words(&pod, &live, &known, 30), ["prepare a 0"]);
}

#[test]
fn restart_counts_of_a_lost_runtime_go_on() {
    let pod = pod(vec![], &["a"], RestartPolicy::Always);
    let mut known = memory(&[]);
    known.least_attempt.insert("a".into(), 4);
    assert_eq!(words(&pod, &observed(&[sandbox(0, true)], &[]), &known, 0), ["prepare a 4"]);
}
