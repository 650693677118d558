//! The phase of a pod, by the kubelet's rules.

use k8s_openapi::api::core::v1::{ContainerStatus, PodStatus};

use super::View;
use crate::lifecycle::{Intent, RestartPolicy, Role};

/// A phase and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    /// `Pending`, `Running`, `Succeeded` or `Failed`.
    pub(super) phase: String,
    /// A word.
    pub(super) reason: Option<String>,
    /// A sentence.
    pub(super) message: Option<String>,
}

impl Verdict {
    fn of(phase: &str) -> Self {
        Self { phase: phase.to_owned(), reason: None, message: None }
    }
}

/// Decides the phase; a pod that has succeeded or failed stays so.
pub(super) fn verdict(
    view: &View<'_>,
    init: &[ContainerStatus],
    main: &[ContainerStatus],
    before: &PodStatus,
) -> Verdict {
    if let Some(phase @ ("Succeeded" | "Failed")) = before.phase.as_deref() {
        let (reason, message) = (before.reason.clone(), before.message.clone());
        return Verdict { phase: phase.to_owned(), reason, message };
    }
    if view.is_past_deadline() {
        return Verdict {
            reason: Some("DeadlineExceeded".to_owned()),
            message: Some(
                "Pod was active on the node longer than the specified deadline".to_owned(),
            ),
            ..Verdict::of("Failed")
        };
    }
    let init_roles = view.desired.init.iter().zip(init);
    let open_init =
        init_roles.filter(|(spec, _)| spec.role == Role::Init).find(|(_, status)| !status.ready);
    let any_main_made = main.iter().any(|status| Life::of(status) != Life::Waiting);
    if let Some((_, status)) = open_init.filter(|_| !any_main_made) {
        let failed = exit_code(status).is_some_and(|code| code != 0)
            && view.desired.restart == RestartPolicy::Never;
        let ended = matches!(view.desired.intent, Intent::Terminate { .. })
            && view.observed.running().next().is_none()
            && exit_code(status).is_some();
        return Verdict::of(if failed || ended { "Failed" } else { "Pending" });
    }
    Verdict::of(from_main(view, main))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    Waiting,
    Running,
    Ended { success: bool },
}

impl Life {
    fn of(status: &ContainerStatus) -> Self {
        let state = status.state.as_ref();
        if state.is_some_and(|state| state.running.is_some()) {
            return Self::Running;
        }
        match exit_code(status) {
            Some(code) => Self::Ended { success: code == 0 },
            None => Self::Waiting,
        }
    }
}

/// The code with which a container ended, now or, if it waits for its next start, before.
fn exit_code(status: &ContainerStatus) -> Option<i32> {
    let of = |state: Option<&k8s_openapi::api::core::v1::ContainerState>| {
        state.and_then(|state| state.terminated.as_ref()).map(|terminated| terminated.exit_code)
    };
    of(status.state.as_ref()).or_else(|| of(status.last_state.as_ref()))
}

fn from_main(view: &View<'_>, main: &[ContainerStatus]) -> &'static str {
    // What is made anew has not ended, whatever its last end was like.
    let runs_on = |status: &&ContainerStatus| {
        view.memory.renews(view.observed, &status.name) && !view.is_ending()
    };
    let life = |status| if runs_on(&status) { Life::Running } else { Life::of(status) };
    let lives: Vec<Life> = main.iter().map(life).collect();
    if lives.is_empty() || lives.contains(&Life::Waiting) {
        return "Pending";
    }
    if lives.contains(&Life::Running) {
        return "Running";
    }
    let all_good = lives.iter().all(|life| *life == Life::Ended { success: true });
    let ends = view.desired.intent != Intent::Run;
    match (ends, view.desired.restart, all_good) {
        (false, RestartPolicy::Always, _) | (false, RestartPolicy::OnFailure, false) => "Running",
        (_, _, true) => "Succeeded",
        (_, _, false) => "Failed",
    }
}
