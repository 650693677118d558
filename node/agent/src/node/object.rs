//! What the node's object says. Pure, but for the machine's ids.

use std::{collections::BTreeMap, fs};

use jiff::Timestamp;
use k8s_openapi::{
    api::core::v1::{
        Node, NodeAddress, NodeCondition, NodeDaemonEndpoints, NodeStatus, NodeSystemInfo,
    },
    apimachinery::pkg::{api::resource::Quantity, apis::meta::v1::Time},
};
use skein_runtime::RuntimeVersion;

use crate::{
    AgentConfig,
    host::{Health, NetworkHealth},
};

/// What the kernel and the firmware call this machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct MachineIds {
    machine: String,
    boot: String,
    system: String,
}

impl MachineIds {
    /// Reads them; one that cannot be read stays empty.
    pub(super) fn read() -> Self {
        let read = |path| fs::read_to_string(path).unwrap_or_default().trim().to_owned();
        let machine = read("/etc/machine-id");
        let system = read("/sys/class/dmi/id/product_uuid");
        Self {
            boot: read("/proc/sys/kernel/random/boot_id"),
            system: if system.is_empty() { machine.clone() } else { system },
            machine,
        }
    }
}

/// What is known of this host.
#[derive(Clone, Debug)]
pub(super) struct Facts<'a> {
    pub(super) config: &'a AgentConfig,
    pub(super) machine: &'a MachineIds,
    pub(super) health: Health,
    pub(super) network: NetworkHealth,
    pub(super) now: Timestamp,
}

/// Names the labels that come from the configuration, separated by commas.
const CONFIGURED_LABELS: &str = "skein.dev/labels";

/// The node with the labels it must have. Those once configured go when they are no longer; others
/// stay.
pub(super) fn with_labels(node: &Node, config: &AgentConfig) -> Node {
    let mut node = node.clone();
    let labels = node.metadata.labels.get_or_insert_default();
    let annotations = node.metadata.annotations.get_or_insert_default();
    for key in annotations.remove(CONFIGURED_LABELS).iter().flat_map(|keys| keys.split(',')) {
        labels.remove(key);
    }
    let architecture = architecture();
    let fixed = [
        ("kubernetes.io/hostname", config.node_name.as_str()),
        ("kubernetes.io/os", "linux"),
        ("kubernetes.io/arch", architecture),
    ];
    for (key, value) in fixed {
        labels.insert(key.to_owned(), value.to_owned());
    }
    labels.extend(config.labels.clone());
    if !config.labels.is_empty() {
        let keys: Vec<&str> = config.labels.keys().map(String::as_str).collect();
        annotations.insert(CONFIGURED_LABELS.to_owned(), keys.join(","));
    }
    if annotations.is_empty() {
        node.metadata.annotations = None;
    }
    node
}

/// The architecture by its Go name, as Kubernetes labels it.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// The node with its status as the facts are. What others wrote stays, conditions keep their
/// transition time where they say the same.
pub(super) fn with_facts(node: &Node, facts: &Facts<'_>) -> Node {
    let mut node = node.clone();
    let status = node.status.get_or_insert_default();
    if let Some(version) = facts.health.version() {
        let capacity = capacity(version, facts.config);
        status.allocatable = Some(capacity.clone());
        status.capacity = Some(capacity);
        status.node_info = Some(system_info(version, facts));
    }
    let address = |type_: &str, address: String| NodeAddress { type_: type_.to_owned(), address };
    status.addresses = Some(vec![
        address("InternalIP", facts.config.host_ip.to_string()),
        address("Hostname", facts.config.node_name.clone()),
    ]);
    status.daemon_endpoints.get_or_insert_with(NodeDaemonEndpoints::default);
    set_conditions(status, facts);
    node
}

fn capacity(version: &RuntimeVersion, config: &AgentConfig) -> BTreeMap<String, Quantity> {
    let quantities = [
        ("cpu", version.cpus.to_string()),
        ("memory", format!("{}Ki", version.memory_bytes / 1024)),
        ("pods", config.max_pods.to_string()),
    ];
    quantities.into_iter().map(|(name, value)| (name.to_owned(), Quantity(value))).collect()
}

fn system_info(version: &RuntimeVersion, facts: &Facts<'_>) -> NodeSystemInfo {
    NodeSystemInfo {
        architecture: version.architecture.clone(),
        boot_id: facts.machine.boot.clone(),
        container_runtime_version: format!("{}://{}", version.name, version.version),
        kernel_version: version.kernel.clone(),
        kube_proxy_version: String::new(),
        kubelet_version: format!("v{}", facts.config.version.trim_start_matches('v')),
        machine_id: facts.machine.machine.clone(),
        operating_system: "linux".to_owned(),
        os_image: version.os_image.clone(),
        swap: None,
        system_uuid: facts.machine.system.clone(),
    }
}

fn set_conditions(status: &mut NodeStatus, facts: &Facts<'_>) {
    let (ready, reason, message) = readiness(facts);
    let set = [
        (
            "MemoryPressure",
            false,
            "AgentHasSufficientMemory",
            "agent has sufficient memory available".to_owned(),
        ),
        ("DiskPressure", false, "AgentHasNoDiskPressure", "agent has no disk pressure".to_owned()),
        (
            "PIDPressure",
            false,
            "AgentHasSufficientPID",
            "agent has sufficient PID available".to_owned(),
        ),
        ("Ready", ready, reason, message),
    ];
    let conditions = status.conditions.get_or_insert_default();
    for (type_, holds, reason, message) in set {
        let value = if holds { "True" } else { "False" };
        let old = conditions.iter().position(|condition| condition.type_ == type_);
        let same = old.map(|at| &conditions[at]);
        let (heartbeat, transition) = match same.filter(|same| same.status == value) {
            Some(same) => (same.last_heartbeat_time.clone(), same.last_transition_time.clone()),
            None => (Some(whole_seconds(facts.now)), Some(whole_seconds(facts.now))),
        };
        let condition = NodeCondition {
            type_: type_.to_owned(),
            status: value.to_owned(),
            reason: Some(reason.to_owned()),
            message: Some(message),
            last_heartbeat_time: heartbeat,
            last_transition_time: transition,
        };
        match old {
            Some(at) => conditions[at] = condition,
            None => conditions.push(condition),
        }
    }
}

/// Kubernetes writes times to the second.
fn whole_seconds(time: Timestamp) -> Time {
    Time(Timestamp::from_second(time.as_second()).unwrap_or(time))
}

/// Whether the node can run pods, why, and in words.
fn readiness(facts: &Facts<'_>) -> (bool, &'static str, String) {
    match (&facts.health, &facts.network) {
        (Health::Unknown, _) => {
            (false, "RuntimeNotReady", "the container runtime was not asked yet".to_owned())
        }
        (Health::Ill { message, last }, _) => {
            let is_docker = last.as_ref().is_none_or(|last| last.name == "docker");
            let reason = if is_docker { "DockerNotReady" } else { "RuntimeNotReady" };
            (false, reason, message.clone())
        }
        (Health::Well(_), NetworkHealth::NoRange) => {
            let message = "no pod range has been assigned to this node yet".to_owned();
            (false, "NetworkNotReady", message)
        }
        (Health::Well(_), NetworkHealth::Ill(message)) => {
            (false, "NetworkNotReady", message.clone())
        }
        (Health::Well(_), NetworkHealth::Well) => {
            (true, "AgentReady", "agent is posting ready status".to_owned())
        }
    }
}
