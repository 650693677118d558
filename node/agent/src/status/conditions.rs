//! The conditions this host sets on a pod.

use k8s_openapi::api::core::v1::{ContainerStatus, PodCondition, PodStatus};

use super::{View, resize, time};
use crate::lifecycle::Role;

/// Why a condition does not hold.
type Unmet = Option<(&'static str, Option<String>)>;

/// The conditions; transition times are kept from `before` where nothing changed.
pub(super) fn build(
    view: &View<'_>,
    init: &[ContainerStatus],
    main: &[ContainerStatus],
    phase: &str,
    before: &PodStatus,
) -> Vec<PodCondition> {
    let has_network = view.desired.host_network || view.memory.ip(view.observed).is_some();
    let sandbox: Unmet =
        (view.observed.live_sandbox().is_none() || !has_network).then_some(("", None));
    let containers_ready = ready(view, init, main, phase);
    let ready = containers_ready.clone().or_else(|| gates(view, before));
    let conditions = [
        ("PodReadyToStartContainers", sandbox),
        ("Initialized", initialized(view, init, phase)),
        ("Ready", ready),
        ("ContainersReady", containers_ready),
        ("PodScheduled", None),
    ];
    let conditions = conditions.into_iter().map(|(type_, unmet)| condition(view, type_, unmet));
    let mut conditions: Vec<_> = conditions.chain(resize::conditions(view)).collect();
    if phase == "Succeeded" {
        let initialized = conditions.iter_mut().find(|condition| condition.type_ == "Initialized");
        if let Some(initialized) = initialized {
            initialized.reason = Some("PodCompleted".to_owned());
        }
    }
    for condition in &mut conditions {
        let old = before.conditions.iter().flatten().find(|old| old.type_ == condition.type_);
        if let Some(old) = old.filter(|old| old.status == condition.status) {
            condition.last_transition_time.clone_from(&old.last_transition_time);
        }
    }
    conditions
}

fn condition(view: &View<'_>, type_: &str, unmet: Unmet) -> PodCondition {
    let (reason, message) = match &unmet {
        Some((reason, message)) => (Some(*reason), message.clone()),
        None => (None, None),
    };
    PodCondition {
        type_: type_.to_owned(),
        status: if unmet.is_none() { "True" } else { "False" }.to_owned(),
        reason: reason.filter(|reason| !reason.is_empty()).map(str::to_owned),
        message,
        last_transition_time: Some(time(view.now)),
        ..PodCondition::default()
    }
}

fn initialized(view: &View<'_>, init: &[ContainerStatus], phase: &str) -> Unmet {
    if phase == "Succeeded" {
        return None;
    }
    let open = view.desired.init.iter().zip(init).filter(|(spec, status)| match spec.role {
        Role::Sidecar => status.started != Some(true),
        Role::Init | Role::Main | Role::Ephemeral => !status.ready,
    });
    let open: Vec<_> = open.map(|(spec, _)| spec.name.as_str()).collect();
    let message = format!("containers with incomplete status: [{}]", open.join(" "));
    (!open.is_empty()).then_some(("ContainersNotInitialized", Some(message)))
}

fn ready(
    view: &View<'_>,
    init: &[ContainerStatus],
    main: &[ContainerStatus],
    phase: &str,
) -> Unmet {
    match phase {
        "Succeeded" => return Some(("PodCompleted", None)),
        "Failed" => return Some(("PodFailed", None)),
        _ => {}
    }
    let sidecars =
        view.desired.init.iter().zip(init).filter(|(spec, _)| spec.role == Role::Sidecar);
    let all = sidecars.map(|(_, status)| status).chain(main);
    let unready: Vec<_> =
        all.filter(|status| !status.ready).map(|status| status.name.as_str()).collect();
    let message = format!("containers with unready status: [{}]", unready.join(" "));
    (!unready.is_empty()).then_some(("ContainersNotReady", Some(message)))
}

/// Readiness gates: conditions somebody else sets.
fn gates(view: &View<'_>, before: &PodStatus) -> Unmet {
    let stored = view.pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    let known = || stored.into_iter().chain(&before.conditions).flatten();
    let gates = view.pod.spec.as_ref().and_then(|spec| spec.readiness_gates.as_ref());
    let unmet = gates
        .into_iter()
        .flatten()
        .find(|gate| !known().any(|c| c.type_ == gate.condition_type && c.status == "True"))?;
    let message = format!(
        "corresponding condition of pod readiness gate {:?} does not exist or is not True.",
        unmet.condition_type
    );
    Some(("ReadinessGatesNotReady", Some(message)))
}
