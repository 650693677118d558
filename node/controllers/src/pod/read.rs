//! Reads pods from stored bytes and shares what they have in common.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use k8s_openapi::{
    api::core::v1::{ContainerPort, NodeSelectorTerm, ResourceRequirements, Toleration},
    apimachinery::pkg::{
        api::resource::Quantity,
        apis::meta::v1::{OwnerReference, Time},
    },
};
use serde::{Deserialize, de::IgnoredAny};
use skein_consensus::Record;
use skein_objects::StatusError;
use skein_scheduler::{HostPort, PodView, Resources};
use skein_storage::read_part;

use super::{Controller, Phase, Pod, Shape};
use crate::{
    placement::{host_port, resources, term, toleration},
    pool::Pool,
    uid::Uid,
};

/// The name that pods call this scheduler by.
const SCHEDULER: &str = "default-scheduler";

/// Reads pods.
#[derive(Default)]
pub(crate) struct Reader {
    shapes: Pool<Shape>,
    /// Names of namespaces and nodes, and messages.
    texts: Pool<str>,
}

impl Reader {
    /// What the controllers know of this pod.
    pub(crate) fn read(&self, record: &Record) -> Result<Pod, StatusError> {
        let Stored { metadata, spec, status } = read_part(record)?;
        let node = spec.node_name.as_deref().filter(|name| !name.is_empty());
        Ok(Pod {
            namespace: self.texts.share(&*record.key.namespace),
            name: record.key.name.clone(),
            uid: Uid::from(metadata.uid.as_deref().unwrap_or_default()),
            revision: record.modified,
            node: node.map(|node| self.texts.share(node)),
            created: moment(metadata.creation_timestamp.as_ref()),
            ready_since: status.ready_since(),
            refusal: status.refusal().map(|message| self.texts.share(message)),
            restarts: status.restarts(),
            phase: status.phase(),
            is_terminating: metadata.deletion_timestamp.is_some(),
            shape: self.shapes.share(shape(metadata, &spec, &status)),
        })
    }
}

/// The fields of a pod that are read; all others are skipped.
#[derive(Deserialize)]
struct Stored {
    #[serde(default)]
    metadata: Metadata,
    #[serde(default)]
    spec: Spec,
    #[serde(default)]
    status: Status,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    uid: Option<String>,
    labels: Option<BTreeMap<String, String>>,
    annotations: Option<Annotations>,
    owner_references: Option<Vec<OwnerReference>>,
    creation_timestamp: Option<Time>,
    deletion_timestamp: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Annotations {
    #[serde(rename = "controller.kubernetes.io/pod-deletion-cost")]
    deletion_cost: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec {
    node_name: Option<String>,
    scheduler_name: Option<String>,
    scheduling_gates: Option<Vec<IgnoredAny>>,
    node_selector: Option<BTreeMap<String, String>>,
    affinity: Option<Affinity>,
    tolerations: Option<Vec<Toleration>>,
    priority: Option<i32>,
    host_network: Option<bool>,
    overhead: Option<BTreeMap<String, Quantity>>,
    containers: Option<Vec<Container>>,
    init_containers: Option<Vec<Container>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Affinity {
    node_affinity: Option<NodeAffinity>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct NodeAffinity {
    required_during_scheduling_ignored_during_execution: Option<NodeSelector>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct NodeSelector {
    node_selector_terms: Vec<NodeSelectorTerm>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Container {
    name: Option<String>,
    ports: Option<Vec<ContainerPort>>,
    resources: Option<ResourceRequirements>,
    restart_policy: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    phase: Option<String>,
    conditions: Option<Vec<Condition>>,
    container_statuses: Option<Vec<ContainerStatus>>,
    init_container_statuses: Option<Vec<ContainerStatus>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Condition {
    r#type: String,
    status: String,
    reason: Option<String>,
    message: Option<String>,
    last_transition_time: Option<Time>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ContainerStatus {
    name: Option<String>,
    restart_count: i32,
    allocated_resources: Option<BTreeMap<String, Quantity>>,
}

impl Status {
    fn condition(&self, kind: &str) -> Option<&Condition> {
        self.conditions.iter().flatten().find(|condition| condition.r#type == kind)
    }

    fn ready_since(&self) -> Option<Timestamp> {
        let ready = self.condition("Ready").filter(|condition| condition.status == "True")?;
        Some(moment(ready.last_transition_time.as_ref()))
    }

    fn refusal(&self) -> Option<&str> {
        self.condition("PodScheduled")?.message.as_deref()
    }

    fn restarts(&self) -> i32 {
        let containers = self.container_statuses.iter().flatten();
        containers.map(|container| container.restart_count).max().unwrap_or(0)
    }

    /// Whether the node has said that it can never give the pod what its spec asks for.
    fn is_infeasible(&self) -> bool {
        let pending = self.condition("PodResizePending");
        pending
            .is_some_and(|one| one.status == "True" && one.reason.as_deref() == Some("Infeasible"))
    }

    /// What the node has given to a container.
    fn allocated(&self, container: &Container) -> Option<&BTreeMap<String, Quantity>> {
        let all = self.container_statuses.iter().chain(&self.init_container_statuses).flatten();
        let mut named = all.filter(|one| one.name.is_some() && one.name == container.name);
        named.next()?.allocated_resources.as_ref()
    }

    fn phase(&self) -> Phase {
        match self.phase.as_deref() {
            None | Some("Pending") => Phase::Pending,
            Some("Unknown") => Phase::Unknown,
            Some("Succeeded") => Phase::Succeeded,
            Some("Failed") => Phase::Failed,
            Some(_) => Phase::Running,
        }
    }
}

fn moment(time: Option<&Time>) -> Timestamp {
    time.map_or(Timestamp::UNIX_EPOCH, |time| time.0)
}

fn shape(metadata: Metadata, spec: &Spec, status: &Status) -> Shape {
    let mut owners = metadata.owner_references.into_iter().flatten();
    let controller = owners.find(|owner| owner.controller == Some(true)).map(|owner| Controller {
        kind: owner.kind,
        name: owner.name.into(),
        uid: owner.uid.into(),
    });
    let owner = controller.as_ref().map(|controller| controller.uid.clone());
    let cost = metadata.annotations.and_then(|annotations| annotations.deletion_cost);
    let scheduler = spec.scheduler_name.as_deref();
    let is_gated = spec.scheduling_gates.as_ref().is_some_and(|gates| !gates.is_empty());
    Shape {
        labels: metadata.labels.unwrap_or_default(),
        placement: placement(spec, requests(spec, status), owner),
        patience_seconds: tolerations(spec).map(|one| one.toleration_seconds).collect(),
        deletion_cost: cost.and_then(|cost| cost.parse().ok()).unwrap_or(0),
        is_ours: scheduler.is_none_or(|name| name.is_empty() || name == SCHEDULER) && !is_gated,
        controller,
    }
}

fn placement(spec: &Spec, requests: Resources, owner: Option<Arc<str>>) -> PodView {
    let affinity = spec.affinity.as_ref().and_then(|affinity| affinity.node_affinity.as_ref());
    let required = affinity
        .and_then(|affinity| affinity.required_during_scheduling_ignored_during_execution.as_ref());
    PodView {
        requests: Arc::new(requests),
        host_ports: host_ports(spec),
        node_selector: spec.node_selector.clone().unwrap_or_default(),
        required_terms: required
            .map(|required| required.node_selector_terms.iter().map(term).collect()),
        tolerations: tolerations(spec).map(toleration).collect(),
        priority: spec.priority.unwrap_or(0),
        owner,
    }
}

fn tolerations(spec: &Spec) -> impl Iterator<Item = &Toleration> {
    spec.tolerations.iter().flatten()
}

fn host_ports(spec: &Spec) -> Arc<[HostPort]> {
    let host_network = spec.host_network.unwrap_or(false);
    let containers = spec.containers.iter().flatten();
    let ports = containers.flat_map(|container| container.ports.iter().flatten());
    ports.filter_map(|port| host_port(port, host_network)).collect()
}

/// What a pod asks for: the sum over its containers and sidecars, or what a single init container
/// needs beside the sidecars started before it if that is more, and its overhead.
fn requests(spec: &Spec, status: &Status) -> Resources {
    let mut running = Resources::default();
    for container in spec.containers.iter().flatten() {
        running.add(&container_requests(container, status));
    }
    let (mut sidecars, mut peak) = (Resources::default(), Resources::default());
    for container in spec.init_containers.iter().flatten() {
        let mut need = container_requests(container, status);
        if container.restart_policy.as_deref() == Some("Always") {
            running.add(&need);
            sidecars.add(&need);
            peak.raise_to(&sidecars);
        } else {
            need.add(&sidecars);
            peak.raise_to(&need);
        }
    }
    running.raise_to(&peak);
    running.add(&resources(spec.overhead.iter().flatten()));
    running
}

/// Requests; a limit without a request is a request too, as in Kubernetes. While a container is
/// resized it holds what it asks for and what its node has given to it, whichever is more.
fn container_requests(container: &Container, status: &Status) -> Resources {
    let stated = container.resources.as_ref().map(|stated| {
        resources(stated.limits.iter().flatten().chain(stated.requests.iter().flatten()))
    });
    match status.allocated(container).map(resources) {
        Some(allocated) if status.is_infeasible() => allocated,
        allocated => {
            let mut held = stated.unwrap_or_default();
            held.raise_to(&allocated.unwrap_or_default());
            held
        }
    }
}
