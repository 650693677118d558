//! What Docker says about a container, in our words. Pure.

use bollard::models::{
    ContainerInspectResponse, ContainerState as DockerState, ContainerStateStatusEnum,
};
use jiff::Timestamp;

use super::{
    labels::{self, Marked},
    spec,
};
use crate::{ContainerId, ContainerInfo, ContainerState, SandboxId, SandboxInfo};

/// A container of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Observed {
    Sandbox(SandboxInfo),
    Container(ContainerInfo),
}

/// Reads an inspection; `None` if the container is not one of ours.
pub(super) fn observe(inspected: ContainerInspectResponse) -> Option<Observed> {
    let marked = labels::read(inspected.config.as_ref()?.labels.as_ref()?)?;
    let id = inspected.id?;
    let created = inspected.created.as_deref().and_then(time).unwrap_or(Timestamp::UNIX_EPOCH);
    let state = inspected.state.unwrap_or_default();
    Some(if marked.sandbox {
        Observed::Sandbox(sandbox(id, marked, created, &state))
    } else {
        Observed::Container(ContainerInfo {
            id: ContainerId(id),
            sandbox: SandboxId(marked.sandbox_id),
            pod_uid: marked.uid,
            name: marked.container,
            attempt: marked.attempt,
            image: marked.image,
            image_id: inspected.image.unwrap_or_default(),
            state: container_state(&state, created),
            created,
            resources: inspected.host_config.as_ref().map(spec::resources).unwrap_or_default(),
            labels: marked.own,
        })
    })
}

fn sandbox(id: String, marked: Marked, created: Timestamp, state: &DockerState) -> SandboxInfo {
    let running = state.running.unwrap_or_default();
    SandboxInfo {
        id: SandboxId(id),
        namespace: marked.namespace,
        name: marked.pod,
        uid: marked.uid,
        attempt: marked.attempt,
        running,
        pid: state.pid.and_then(|pid| u32::try_from(pid).ok()).filter(|&pid| running && pid > 0),
        created,
        labels: marked.own,
    }
}

/// A container that could not be started stays `created` in Docker, with an exit code and an error.
fn container_state(state: &DockerState, created: Timestamp) -> ContainerState {
    let started = state.started_at.as_deref().and_then(time);
    let finished = state.finished_at.as_deref().and_then(time);
    let exit_code = state.exit_code.and_then(|code| i32::try_from(code).ok()).unwrap_or_default();
    let message = state.error.clone().unwrap_or_default();
    let never_started = exit_code == 0 && message.is_empty();
    match state.status {
        _ if state.running.unwrap_or_default() => {
            ContainerState::Running { started: started.unwrap_or(created) }
        }
        None | Some(ContainerStateStatusEnum::CREATED | ContainerStateStatusEnum::EMPTY)
            if never_started =>
        {
            ContainerState::Created
        }
        _ => ContainerState::Exited {
            started,
            finished: finished.or(started).unwrap_or(created),
            exit_code,
            oom_killed: state.oom_killed.unwrap_or_default(),
            message,
        },
    }
}

/// Docker's times are RFC 3339; the year 1 stands for never.
fn time(text: &str) -> Option<Timestamp> {
    text.parse::<Timestamp>().ok().filter(|&time| time > Timestamp::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(status: ContainerStateStatusEnum, state: DockerState) -> ContainerState {
        let running = status == ContainerStateStatusEnum::RUNNING;
        let state = DockerState { status: Some(status), running: Some(running), ..state };
        container_state(&state, "2026-01-01T00:00:00Z".parse().unwrap())
    }

    #[test]
    fn states_are_told_apart() {
        const NEVER: &str = "0001-01-01T00:00:00Z";
        let at = |second: i64| Timestamp::from_second(1_767_225_600 + second).unwrap();
        let text = |second: i64| Some(at(second).to_string());
        let created = seen(
            ContainerStateStatusEnum::CREATED,
            DockerState { started_at: Some(NEVER.to_owned()), ..DockerState::default() },
        );
        assert_eq!(created, ContainerState::Created);

        let running = seen(
            ContainerStateStatusEnum::RUNNING,
            DockerState { started_at: text(5), ..DockerState::default() },
        );
        assert_eq!(running, ContainerState::Running { started: at(5) });

        let exited = seen(
            ContainerStateStatusEnum::EXITED,
            DockerState {
                started_at: text(5),
                finished_at: text(9),
                exit_code: Some(137),
                oom_killed: Some(true),
                ..DockerState::default()
            },
        );
        let expected = ContainerState::Exited {
            started: Some(at(5)),
            finished: at(9),
            exit_code: 137,
            oom_killed: true,
            message: String::new(),
        };
        assert_eq!(exited, expected);

        let failed = seen(
            ContainerStateStatusEnum::CREATED,
            DockerState {
                started_at: Some(NEVER.to_owned()),
                finished_at: Some(NEVER.to_owned()),
                exit_code: Some(127),
                error: Some("no such file".to_owned()),
                ..DockerState::default()
            },
        );
        assert!(
            matches!(failed, ContainerState::Exited { started: None, exit_code: 127, ref message, .. } if message == "no such file"),
            "{failed:?}"
        );
    }
}
