//! The status of a pod, computed from what is known of it. Pure.

mod conditions;
mod containers;
mod phase;
mod qos;
mod resize;
#[cfg(test)]
mod tests;

use std::net::IpAddr;

use jiff::Timestamp;
use k8s_openapi::{
    api::core::v1::{Container, ContainerStatus, HostIP, Pod, PodCondition, PodIP, PodStatus},
    apimachinery::pkg::apis::meta::v1::Time,
};

use crate::{
    lifecycle::{ContainerSpec, Desired, Intent, Memory, Observed},
    pod::container_of,
};

pub(crate) use resize::is_in_progress;

/// What a pod's status is computed from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View<'a> {
    /// The pod.
    pub(crate) pod: &'a Pod,
    /// What is wanted of it.
    pub(crate) desired: &'a Desired,
    /// What the runtime has of it.
    pub(crate) observed: &'a Observed,
    /// What else is known.
    pub(crate) memory: &'a Memory,
    /// Address of the host.
    pub(crate) host_ip: IpAddr,
    /// The runtime's name, the scheme of container ids.
    pub(crate) runtime: &'a str,
    /// The time.
    pub(crate) now: Timestamp,
}

/// The status of the pod, given the one before. Conditions of others are not in it, see
/// [`merge`].
pub(crate) fn build(view: &View<'_>, before: &PodStatus) -> PodStatus {
    let spec = view.pod.spec.as_ref();
    let statuses = |specs: &[ContainerSpec], containers: &[Container], old: &[ContainerStatus]| {
        let pairs = specs.iter().zip(containers);
        let build = |(spec, container): (&ContainerSpec, &Container)| {
            let old = old.iter().find(|status| status.name == spec.name);
            containers::status(view, spec, container, old)
        };
        pairs.map(build).collect::<Vec<_>>()
    };
    let init_specs = spec.and_then(|spec| spec.init_containers.as_deref()).unwrap_or(&[]);
    let init = statuses(
        &view.desired.init,
        init_specs,
        before.init_container_statuses.as_deref().unwrap_or(&[]),
    );
    let main = statuses(
        &view.desired.main,
        spec.map(|spec| spec.containers.as_slice()).unwrap_or(&[]),
        before.container_statuses.as_deref().unwrap_or(&[]),
    );
    let added: Vec<Container> = spec
        .and_then(|spec| spec.ephemeral_containers.as_ref())
        .map(|added| added.iter().map(container_of).collect())
        .unwrap_or_default();
    let ephemeral = statuses(
        &view.desired.ephemeral,
        &added,
        before.ephemeral_container_statuses.as_deref().unwrap_or(&[]),
    );
    let verdict = phase::verdict(view, &init, &main, before);
    let conditions = conditions::build(view, &init, &main, &verdict.phase, before);
    let ip = if view.desired.host_network {
        view.observed.live_sandbox().map(|_| view.host_ip)
    } else {
        view.memory.ip(view.observed)
    };
    // A pod keeps showing the address it had when its sandbox is gone.
    let pod_ip = ip.map(|ip| ip.to_string()).or_else(|| before.pod_ip.clone());
    PodStatus {
        phase: Some(verdict.phase),
        reason: verdict.reason,
        message: verdict.message,
        conditions: Some(conditions),
        host_ip: Some(view.host_ip.to_string()),
        host_ips: Some(vec![HostIP { ip: view.host_ip.to_string() }]),
        pod_ips: pod_ip.clone().map(|ip| vec![PodIP { ip }]),
        pod_ip,
        start_time: Some(before.start_time.clone().unwrap_or_else(|| time(view.now))),
        init_container_statuses: (!init.is_empty()).then_some(init),
        container_statuses: Some(main),
        ephemeral_container_statuses: (!ephemeral.is_empty()).then_some(ephemeral),
        qos_class: Some(
            before.qos_class.clone().unwrap_or_else(|| qos::class(view.pod).to_owned()),
        ),
        observed_generation: view.pod.metadata.generation,
        ..PodStatus::default()
    }
}

/// Puts a status of this host into the one in the store: what others own stays, and so do the
/// transition times of conditions that say the same as before.
pub(crate) fn merge(stored: &PodStatus, mut built: PodStatus) -> PodStatus {
    let old = stored.conditions.as_deref().unwrap_or(&[]);
    let mut conditions = built.conditions.take().unwrap_or_default();
    for condition in &mut conditions {
        let same = old.iter().find(|old| old.type_ == condition.type_);
        if let Some(same) = same.filter(|same| same.status == condition.status) {
            condition.last_transition_time.clone_from(&same.last_transition_time);
        }
    }
    let foreign =
        old.iter().filter(|old| !is_own(old) && !conditions.iter().any(|c| c.type_ == old.type_));
    let mut all: Vec<_> = foreign.cloned().collect();
    all.append(&mut conditions);
    PodStatus {
        conditions: Some(all),
        start_time: stored.start_time.clone().or(built.start_time),
        nominated_node_name: stored.nominated_node_name.clone(),
        resize: stored.resize.clone(),
        ..built
    }
}

/// Whether a condition is this host's to take back.
fn is_own(condition: &PodCondition) -> bool {
    resize::CONDITIONS.contains(&condition.type_.as_str())
}

/// The ephemeral containers that have run, by what a status says of them.
pub(crate) fn ran_once(status: &PodStatus) -> impl Iterator<Item = String> {
    let all = status.ephemeral_container_statuses.iter().flatten();
    let ran = all.filter(|status| {
        let state = status.state.as_ref();
        state.is_some_and(|state| state.running.is_some() || state.terminated.is_some())
    });
    ran.map(|status| status.name.clone())
}

/// Kubernetes writes times to the second; finer ones would make equal statuses differ.
fn time(time: Timestamp) -> Time {
    Time(Timestamp::from_second(time.as_second()).unwrap_or(time))
}

impl View<'_> {
    /// Whether the pod is on its way out or past its end, so that nothing is started again.
    fn is_ending(&self) -> bool {
        self.desired.intent != Intent::Run || self.is_past_deadline()
    }

    fn is_past_deadline(&self) -> bool {
        self.desired.intent == Intent::Run
            && self.desired.deadline.is_some_and(|deadline| deadline <= self.now)
    }
}
