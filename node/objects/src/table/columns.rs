//! The columns of each kind.

use jiff::Timestamp;
use serde_json::Value;

use super::{Cell, Column, NONE, age, node, pod, workload};

pub(crate) const NAME: Column<'static> =
    Column::new("Name", Cell::Text("/metadata/name"), "Name must be unique within a namespace.")
        .named();

pub(crate) const AGE: Column<'static> = Column::new(
    "Age",
    Cell::Age("/metadata/creationTimestamp"),
    "How long ago the object was created.",
);

const CREATED_AT: Column<'static> =
    Column::new("Created At", Cell::Text("/metadata/creationTimestamp"), "When it was created.");

/// For kinds without columns of their own.
pub(crate) const PLAIN: &[Column<'static>] = &[NAME, CREATED_AT];

/// Pods.
pub(crate) const POD: &[Column<'static>] = &[
    NAME,
    Column::new("Ready", Cell::Computed(pod::ready), "How many of its containers are ready."),
    Column::new("Status", Cell::Computed(pod::status), "What the pod is doing."),
    Column::new("Restarts", Cell::Computed(pod::restarts), "How often its containers restarted."),
    AGE,
    Column::new("IP", Cell::Text("/status/podIP"), "The pod's address.").wide(),
    Column::new("Node", Cell::Text("/spec/nodeName"), "The node it runs on.").wide(),
    Column::new(
        "Nominated Node",
        Cell::Text("/status/nominatedNodeName"),
        "The node where it waits for room.",
    )
    .wide(),
    Column::new(
        "Readiness Gates",
        Cell::Computed(pod::readiness_gates),
        "How many of its readiness gates are passed.",
    )
    .wide(),
];

/// Deployments.
pub(crate) const DEPLOYMENT: &[Column<'static>] = &[
    NAME,
    Column::new("Ready", Cell::Computed(workload::ready), "Ready pods over desired pods."),
    Column::new(
        "Up-to-date",
        Cell::Number("/status/updatedReplicas"),
        "Pods with the latest template.",
    ),
    Column::new(
        "Available",
        Cell::Number("/status/availableReplicas"),
        "Pods ready for at least minReadySeconds.",
    ),
    AGE,
    Column::new("Containers", Cell::Computed(workload::containers), "Its containers.").wide(),
    Column::new("Images", Cell::Computed(workload::images), "Their images.").wide(),
    Column::new("Selector", Cell::Computed(workload::selector), "Which pods belong to it.").wide(),
];

/// Replica sets.
pub(crate) const REPLICA_SET: &[Column<'static>] = &[
    NAME,
    Column::new("Desired", Cell::Number("/spec/replicas"), "How many pods are wanted."),
    Column::new("Current", Cell::Number("/status/replicas"), "How many pods there are."),
    Column::new("Ready", Cell::Number("/status/readyReplicas"), "How many pods are ready."),
    AGE,
    Column::new("Containers", Cell::Computed(workload::containers), "Its containers.").wide(),
    Column::new("Images", Cell::Computed(workload::images), "Their images.").wide(),
    Column::new("Selector", Cell::Computed(workload::selector), "Which pods belong to it.").wide(),
];

/// Stateful sets.
pub(crate) const STATEFUL_SET: &[Column<'static>] = &[
    NAME,
    Column::new("Ready", Cell::Computed(workload::ready), "Ready pods over desired pods."),
    AGE,
    Column::new("Containers", Cell::Computed(workload::containers), "Its containers.").wide(),
    Column::new("Images", Cell::Computed(workload::images), "Their images.").wide(),
];

/// Daemon sets.
pub(crate) const DAEMON_SET: &[Column<'static>] = &[
    NAME,
    Column::new("Desired", Cell::Number("/status/desiredNumberScheduled"), "Nodes it is for."),
    Column::new("Current", Cell::Number("/status/currentNumberScheduled"), "Nodes that have it."),
    Column::new("Ready", Cell::Number("/status/numberReady"), "How many pods are ready."),
    Column::new(
        "Up-to-date",
        Cell::Number("/status/updatedNumberScheduled"),
        "Pods with the latest template.",
    ),
    Column::new(
        "Available",
        Cell::Number("/status/numberAvailable"),
        "Pods ready for at least minReadySeconds.",
    ),
    Column::new("Node Selector", Cell::Computed(node_selector), "Which nodes it is for."),
    AGE,
    Column::new("Containers", Cell::Computed(workload::containers), "Its containers.").wide(),
    Column::new("Images", Cell::Computed(workload::images), "Their images.").wide(),
    Column::new("Selector", Cell::Computed(workload::selector), "Which pods belong to it.").wide(),
];

/// Pod templates.
pub(crate) const POD_TEMPLATE: &[Column<'static>] = &[
    NAME,
    Column::new("Containers", Cell::Computed(template_containers), "Its containers."),
    Column::new("Images", Cell::Computed(template_images), "Their images."),
    Column::new("Pod Labels", Cell::Computed(template_labels), "The labels of its pods."),
];

/// Controller revisions.
pub(crate) const CONTROLLER_REVISION: &[Column<'static>] = &[
    NAME,
    Column::new("Controller", Cell::Computed(controller), "What it is a revision of."),
    Column::new("Revision", Cell::Number("/revision"), "Its number."),
    AGE,
];

/// Runtime classes.
pub(crate) const RUNTIME_CLASS: &[Column<'static>] =
    &[NAME, Column::new("Handler", Cell::Text("/handler"), "What runs its pods."), AGE];

/// Configurations of webhooks.
pub(crate) const HOOKS: &[Column<'static>] =
    &[NAME, Column::new("Webhooks", Cell::Count("/webhooks"), "How many hooks it has."), AGE];

/// Nodes.
pub(crate) const NODE: &[Column<'static>] = &[
    NAME,
    Column::new("Status", Cell::Computed(node::status), "Whether pods can run on it."),
    Column::new("Roles", Cell::Computed(node::roles), "What it does besides running pods."),
    AGE,
    Column::new("Version", Cell::Text("/status/nodeInfo/kubeletVersion"), "Its agent's version."),
    Column::new("Internal-IP", Cell::Computed(node::internal_ip), "Its address in the cluster.")
        .wide(),
    Column::new("External-IP", Cell::Computed(node::external_ip), "Its address outside.").wide(),
    Column::new("OS-Image", Cell::Computed(node::os_image), "Its operating system.").wide(),
    Column::new("Kernel-Version", Cell::Computed(node::kernel), "Its kernel.").wide(),
    Column::new("Container-Runtime", Cell::Computed(node::runtime), "What runs its containers.")
        .wide(),
];

/// Namespaces.
pub(crate) const NAMESPACE: &[Column<'static>] =
    &[NAME, Column::new("Status", Cell::Text("/status/phase"), "Active or Terminating."), AGE];

/// Config maps.
pub(crate) const CONFIG_MAP: &[Column<'static>] =
    &[NAME, Column::new("Data", Cell::Computed(data_count), "How many entries it has."), AGE];

/// Secrets.
pub(crate) const SECRET: &[Column<'static>] = &[
    NAME,
    Column::new("Type", Cell::Text("/type"), "What its entries mean."),
    Column::new("Data", Cell::Count("/data"), "How many entries it has."),
    AGE,
];

/// Service accounts.
pub(crate) const SERVICE_ACCOUNT: &[Column<'static>] =
    &[NAME, Column::new("Secrets", Cell::Count("/secrets"), "How many secrets it may use."), AGE];

/// Events.
pub(crate) const EVENT: &[Column<'static>] = &[
    Column::new("Last Seen", Cell::Computed(event_last_seen), "When it last happened."),
    Column::new("Type", Cell::Text("/type"), "Normal or Warning."),
    Column::new("Reason", Cell::Text("/reason"), "Why, in one word."),
    Column::new("Object", Cell::Computed(event_object), "What it happened to."),
    Column::new("Subobject", Cell::Text("/involvedObject/fieldPath"), "Which part of it.").wide(),
    Column::new("Source", Cell::Computed(event_source), "Who saw it.").wide(),
    Column::new("Message", Cell::Computed(event_message), "What happened."),
    Column::new("First Seen", Cell::Computed(event_first_seen), "When it first happened.").wide(),
    Column::new("Count", Cell::Computed(event_count), "How often it happened.").wide(),
    NAME.wide(),
];

/// Leases.
pub(crate) const LEASE: &[Column<'static>] =
    &[NAME, Column::new("Holder", Cell::Optional("/spec/holderIdentity"), "Who holds it."), AGE];

/// Join tokens.
pub(crate) const JOIN_TOKEN: &[Column<'static>] = &[
    NAME,
    Column::new("State", Cell::Computed(token_state), "Valid, Revoked or Expired."),
    Column::new("Expires", Cell::Text("/spec/expires"), "When it stops to be accepted."),
    Column::new("Uses", Cell::Number("/status/uses"), "How many machines joined with it."),
    AGE,
    Column::new("Description", Cell::Text("/spec/description"), "What it is for.").wide(),
];

fn node_selector(set: &Value, _now: Timestamp) -> Value {
    Value::from(labels(set.pointer("/spec/template/spec/nodeSelector")))
}

/// The template of a pod template is where a workload's spec is.
fn template_containers(object: &Value, now: Timestamp) -> Value {
    workload::containers(&serde_json::json!({"spec": object}), now)
}

fn template_images(object: &Value, now: Timestamp) -> Value {
    workload::images(&serde_json::json!({"spec": object}), now)
}

fn template_labels(object: &Value, _now: Timestamp) -> Value {
    Value::from(labels(object.pointer("/template/metadata/labels")))
}

fn controller(revision: &Value, _now: Timestamp) -> Value {
    let owners = list(revision, "/metadata/ownerReferences");
    let Some(owner) = owners.iter().find(|owner| owner["controller"] == true) else {
        return Value::from(NONE);
    };
    let kind = text(owner, "/kind").to_lowercase();
    let kind = match text(owner, "/apiVersion").split_once('/') {
        Some((group, _)) => format!("{kind}.{group}"),
        None => kind,
    };
    Value::from(format!("{kind}/{}", text(owner, "/name")))
}

fn data_count(object: &Value, _now: Timestamp) -> Value {
    let entries = |at| super::count(object.pointer(at));
    Value::from(entries("/data") + entries("/binaryData"))
}

fn event_last_seen(event: &Value, now: Timestamp) -> Value {
    let last = ["/series/lastObservedTime", "/lastTimestamp", "/eventTime", "/firstTimestamp"];
    Value::from(age::since(last.iter().find_map(|at| event.pointer(at)), now))
}

fn event_first_seen(event: &Value, now: Timestamp) -> Value {
    let first = event.pointer("/firstTimestamp").or_else(|| event.pointer("/eventTime"));
    Value::from(age::since(first, now))
}

fn event_count(event: &Value, _now: Timestamp) -> Value {
    let count = event.pointer("/series/count").or_else(|| event.pointer("/count"));
    count.cloned().unwrap_or_else(|| Value::from(1))
}

fn event_object(event: &Value, _now: Timestamp) -> Value {
    let part = |at| event.pointer(at).and_then(Value::as_str).unwrap_or("");
    let (kind, name) = (part("/involvedObject/kind"), part("/involvedObject/name"));
    Value::from(format!("{}/{name}", kind.to_lowercase()))
}

fn event_source(event: &Value, _now: Timestamp) -> Value {
    let part = |at| event.pointer(at).and_then(Value::as_str).unwrap_or("");
    let component = match part("/source/component") {
        "" => part("/reportingComponent"),
        component => component,
    };
    match part("/source/host") {
        "" => Value::from(component),
        host => Value::from(format!("{component}, {host}")),
    }
}

fn event_message(event: &Value, _now: Timestamp) -> Value {
    Value::from(event.pointer("/message").and_then(Value::as_str).unwrap_or("").trim())
}

fn token_state(token: &Value, now: Timestamp) -> Value {
    let expires = token.pointer("/spec/expires").and_then(Value::as_str);
    let expired = expires
        .and_then(|text| text.parse::<Timestamp>().ok())
        .is_some_and(|expires| expires <= now);
    let revoked = token.pointer("/spec/revoked").and_then(Value::as_bool).unwrap_or(false);
    Value::from(match (revoked, expired) {
        (true, _) => "Revoked",
        (false, true) => "Expired",
        (false, false) => "Valid",
    })
}

/// `key=value,…` for a map of labels.
pub(super) fn labels(map: Option<&Value>) -> String {
    let pairs: Vec<String> = map
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or("")))
        .collect();
    if pairs.is_empty() { NONE.to_owned() } else { pairs.join(",") }
}

/// The list at a JSON pointer, empty when there is none.
pub(super) fn list<'v>(object: &'v Value, at: &str) -> &'v [Value] {
    object.pointer(at).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The text at a JSON pointer, empty when there is none.
pub(super) fn text<'v>(object: &'v Value, at: &str) -> &'v str {
    object.pointer(at).and_then(Value::as_str).unwrap_or("")
}

/// A list with commas; `none` for an empty one.
pub(super) fn joined<T: AsRef<str>>(items: impl Iterator<Item = T>, none: &str) -> String {
    let items: Vec<String> = items.map(|item| item.as_ref().to_owned()).collect();
    if items.is_empty() { none.to_owned() } else { items.join(",") }
}

/// `True` or `False`, as some of `kubectl`'s cells have it.
pub(super) fn word(value: Option<&Value>) -> Value {
    Value::from(match value.and_then(Value::as_bool) {
        Some(true) => "True",
        Some(false) => "False",
        None => "<unset>",
    })
}
