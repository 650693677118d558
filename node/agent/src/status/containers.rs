//! The status of one container.

use k8s_openapi::api::core::v1::{
    Container, ContainerState as State, ContainerStateRunning, ContainerStateTerminated,
    ContainerStateWaiting, ContainerStatus,
};
use skein_runtime::{ContainerInfo, ContainerState};

use super::{View, resize, time};
use crate::{
    lifecycle::{Cause, ContainerSpec, Failure, Role, Step, due, restart_delay},
    limits,
    probe::ProbeKind,
};

/// Exit code shown for a container whose end nobody saw.
const LOST_EXIT_CODE: i32 = 137;

/// The status of a container, given the one before.
pub(super) fn status(
    view: &View<'_>,
    spec: &ContainerSpec,
    container: &Container,
    old: Option<&ContainerStatus>,
) -> ContainerStatus {
    let newest = view.observed.newest(&spec.name);
    let previous = view.observed.previous(&spec.name);
    let old_last = old.and_then(|old| old.last_state.clone());
    let before = previous.and_then(|info| terminated(view, info)).or(old_last);
    let (state, last_state) = match newest {
        None => without_container(view, spec, old),
        Some(info) => match &info.state {
            ContainerState::Created => (waiting(view, spec), before),
            ContainerState::Running { started } => {
                let started_at = Some(time(*started));
                let running = ContainerStateRunning { started_at };
                (State { running: Some(running), ..State::default() }, before)
            }
            ContainerState::Exited { .. } => ended(view, spec, info, before),
        },
    };
    let started = newest.is_some_and(|info| has_started(view, spec, info));
    let old_image_id = old.map(|old| old.image_id.clone()).unwrap_or_default();
    ContainerStatus {
        name: spec.name.clone(),
        image: container.image.clone().unwrap_or_default(),
        image_id: newest.map_or(old_image_id, |info| info.image_id.clone()),
        container_id: match newest {
            Some(info) => Some(id(view, info)),
            None => old.and_then(|old| old.container_id.clone()),
        },
        ready: newest.is_some_and(|info| is_ready(view, spec, info, started)),
        // Kubernetes does not say it of ephemeral containers.
        started: (spec.role != Role::Ephemeral).then_some(started),
        restart_count: restart_count(newest, old),
        state: Some(state),
        last_state,
        // An ephemeral container is given nothing of its own.
        allocated_resources: resize::allocated(spec, container),
        resources: resize::resources(spec, container, newest),
        ..ContainerStatus::default()
    }
}

fn restart_count(newest: Option<&ContainerInfo>, old: Option<&ContainerStatus>) -> i32 {
    let seen = newest.map_or(0, |info| i32::try_from(info.attempt).unwrap_or(i32::MAX));
    seen.max(old.map_or(0, |old| old.restart_count))
}

fn id(view: &View<'_>, info: &ContainerInfo) -> String {
    format!("{}://{}", view.runtime, info.id.0)
}

fn has_started(view: &View<'_>, spec: &ContainerSpec, info: &ContainerInfo) -> bool {
    matches!(info.state, ContainerState::Running { .. })
        && (spec.probe(ProbeKind::Startup).is_none()
            || view.memory.probed(&info.id, ProbeKind::Startup) == Some(true))
}

fn is_ready(view: &View<'_>, spec: &ContainerSpec, info: &ContainerInfo, started: bool) -> bool {
    match (&info.state, spec.role) {
        (ContainerState::Exited { exit_code, .. }, Role::Init) => *exit_code == 0,
        (ContainerState::Running { .. }, Role::Sidecar | Role::Main) => {
            started
                && view.observed.live_sandbox().is_some()
                && (spec.probe(ProbeKind::Readiness).is_none()
                    || view.memory.probed(&info.id, ProbeKind::Readiness) == Some(true))
        }
        _ => false,
    }
}

/// A container the runtime does not have: not made yet, or gone.
fn without_container(
    view: &View<'_>,
    spec: &ContainerSpec,
    old: Option<&ContainerStatus>,
) -> (State, Option<State>) {
    let old_state = old.and_then(|old| old.state.clone()).unwrap_or_default();
    let old_last = old.and_then(|old| old.last_state.clone());
    let is_over = view.is_ending() || spec.role == Role::Ephemeral;
    if old_state.terminated.is_some() && (is_over || !is_starting(view)) {
        return (old_state, old_last);
    }
    let Some(running) = old_state.running else {
        let last = old_state
            .terminated
            .map(|terminated| State { terminated: Some(terminated), ..State::default() });
        return (waiting(view, spec), last.or(old_last));
    };
    let lost = ContainerStateTerminated {
        container_id: old.and_then(|old| old.container_id.clone()),
        exit_code: LOST_EXIT_CODE,
        reason: Some("ContainerStatusUnknown".to_owned()),
        message: Some("The container could not be located when the pod was terminated".to_owned()),
        started_at: running.started_at,
        finished_at: Some(time(view.now)),
        ..ContainerStateTerminated::default()
    };
    let lost = State { terminated: Some(lost), ..State::default() };
    if is_over { (lost, old_last) } else { (waiting(view, spec), Some(lost)) }
}

/// Whether the pod still makes containers.
fn is_starting(view: &View<'_>) -> bool {
    view.memory.in_flight.iter().any(Step::changes_runtime)
}

fn ended(
    view: &View<'_>,
    spec: &ContainerSpec,
    info: &ContainerInfo,
    before: Option<State>,
) -> (State, Option<State>) {
    let end = terminated(view, info);
    let ContainerState::Exited { exit_code, finished, .. } = &info.state else {
        return (State::default(), before);
    };
    if !view.is_ending() && view.memory.may_restart(spec, info, *exit_code) {
        if view.memory.renewed.contains(&info.id) {
            return (waiting(view, spec), end);
        }
        let base = view.memory.delay_base.get(&spec.name).copied().unwrap_or(0);
        let delay = restart_delay(info.attempt, base);
        if due(*finished, delay, view.now) > view.now {
            let message = format!(
                "back-off {} restarting failed container={} pod={}",
                minutes(delay.as_secs()),
                spec.name,
                pod_name(view)
            );
            return (waiting_for("CrashLoopBackOff", Some(message)), end);
        }
        if let Some(failure) = failure(view, spec) {
            return (waiting_after(view, failure), end);
        }
    }
    (end.unwrap_or_default(), before)
}

/// Seconds as the kubelet prints a delay: `40s`, `2m40s`.
fn minutes(seconds: i64) -> String {
    if seconds < 60 { format!("{seconds}s") } else { format!("{}m{}s", seconds / 60, seconds % 60) }
}

fn pod_name(view: &View<'_>) -> String {
    let meta = &view.pod.metadata;
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    format!("{}_{}({})", text(&meta.name), text(&meta.namespace), text(&meta.uid))
}

/// How a container ended; `None` if it has not.
fn terminated(view: &View<'_>, info: &ContainerInfo) -> Option<State> {
    let ContainerState::Exited { started, finished, exit_code, oom_killed, message } = &info.state
    else {
        return None;
    };
    let reason = match (oom_killed, started, exit_code) {
        (true, ..) => "OOMKilled",
        (_, None, code) if *code != 0 => "StartError",
        (_, _, 0) => "Completed",
        _ => "Error",
    };
    let terminated = ContainerStateTerminated {
        container_id: Some(id(view, info)),
        exit_code: *exit_code,
        reason: Some(reason.to_owned()),
        message: (!message.is_empty()).then(|| message.clone()),
        started_at: started.map(time),
        finished_at: Some(time(*finished)),
        ..ContainerStateTerminated::default()
    };
    Some(State { terminated: Some(terminated), ..State::default() })
}

fn failure<'a>(view: &View<'a>, spec: &ContainerSpec) -> Option<&'a Failure> {
    let failures = &view.memory.failures;
    failures
        .get(&Step::Launch(spec.name.clone()))
        .or_else(|| failures.get(&Step::Prepare(spec.name.clone())))
}

fn waiting(view: &View<'_>, spec: &ContainerSpec) -> State {
    if let Some(failure) = failure(view, spec) {
        return waiting_after(view, failure);
    }
    if let Some(target) = &spec.target
        && !view.observed.running().any(|container| container.name == *target)
    {
        let message = format!("waiting for target container {target:?} to run");
        return waiting_for("ContainerCreating", Some(message));
    }
    let behind_init = spec.role == Role::Main
        && view.desired.init.iter().any(|init| {
            init.role == Role::Init
                && !view.observed.newest(&init.name).is_some_and(|info| {
                    matches!(info.state, ContainerState::Exited { exit_code: 0, .. })
                })
        });
    waiting_for(if behind_init { "PodInitializing" } else { "ContainerCreating" }, None)
}

fn waiting_after(view: &View<'_>, failure: &Failure) -> State {
    let age = view.now.duration_since(failure.at);
    let reason = match failure.cause {
        Cause::ImagePull if failure.count > 1 || age >= limits::PULL_ERROR_SHOWN => {
            let message = format!("Back-off pulling image: {}", failure.message);
            return waiting_for("ImagePullBackOff", Some(message));
        }
        Cause::ImagePull => "ErrImagePull",
        Cause::ImageNeverPull => "ErrImageNeverPull",
        Cause::InvalidImage => "InvalidImageName",
        Cause::Config => "CreateContainerConfigError",
        Cause::Create => "CreateContainerError",
        Cause::Start => "RunContainerError",
        Cause::Sandbox | Cause::Resize | Cause::Runtime | Cause::Store => "ContainerCreating",
    };
    waiting_for(reason, Some(failure.message.clone()))
}

fn waiting_for(reason: &str, message: Option<String>) -> State {
    let waiting = ContainerStateWaiting { reason: Some(reason.to_owned()), message };
    State { waiting: Some(waiting), ..State::default() }
}
