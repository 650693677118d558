//! Columns and cells of volumes, claims, storage classes and who provides them.

use jiff::Timestamp;
use serde_json::Value;

use super::columns::{AGE, NAME, joined, list, text};
use super::{Cell, Column, NONE};

/// The annotations of the class that claims get unasked, now and formerly.
const DEFAULT_CLASS: [&str; 2] = [
    "storageclass.kubernetes.io/is-default-class",
    "storageclass.beta.kubernetes.io/is-default-class",
];

/// Access modes and how they are shown, in the order in which they are.
const MODES: [(&str, &str); 4] = [
    ("ReadWriteOnce", "RWO"),
    ("ReadOnlyMany", "ROX"),
    ("ReadWriteMany", "RWX"),
    ("ReadWriteOncePod", "RWOP"),
];

/// Volumes.
pub(crate) const VOLUME: &[Column<'static>] = &[
    NAME,
    Column::new("Capacity", Cell::Optional("/spec/capacity/storage"), "How much it holds."),
    Column::new("Access Modes", Cell::Computed(volume_modes), "Who may use it at a time."),
    Column::new(
        "Reclaim Policy",
        Cell::Optional("/spec/persistentVolumeReclaimPolicy"),
        "What becomes of it after its claim.",
    ),
    Column::new("Status", Cell::Computed(status), "Whether it is claimed."),
    Column::new("Claim", Cell::Computed(claim), "Who has it."),
    Column::new("StorageClass", Cell::Optional("/spec/storageClassName"), "Its class."),
    Column::new("VolumeAttributesClass", Cell::Computed(attributes), "The class of its traits."),
    Column::new("Reason", Cell::Optional("/status/reason"), "Why it is so."),
    AGE,
    Column::new("VolumeMode", Cell::Computed(mode), "Files or blocks.").wide(),
];

/// Claims.
pub(crate) const CLAIM: &[Column<'static>] = &[
    NAME,
    Column::new("Status", Cell::Computed(status), "Whether it has a volume."),
    Column::new("Volume", Cell::Optional("/spec/volumeName"), "Its volume."),
    Column::new("Capacity", Cell::Computed(claim_capacity), "How much it holds."),
    Column::new("Access Modes", Cell::Computed(claim_modes), "Who may use it at a time."),
    Column::new("StorageClass", Cell::Optional("/spec/storageClassName"), "Its class."),
    Column::new("VolumeAttributesClass", Cell::Computed(attributes), "The class of its traits."),
    AGE,
    Column::new("VolumeMode", Cell::Computed(mode), "Files or blocks.").wide(),
];

/// Storage classes.
pub(crate) const STORAGE_CLASS: &[Column<'static>] = &[
    Column::new("Name", Cell::Computed(class_name), "Name must be unique.").named(),
    Column::new("Provisioner", Cell::Text("/provisioner"), "Who makes its volumes."),
    Column::new("ReclaimPolicy", Cell::Text("/reclaimPolicy"), "What becomes of them."),
    Column::new("VolumeBindingMode", Cell::Text("/volumeBindingMode"), "When they are made."),
    Column::new("AllowVolumeExpansion", Cell::Computed(expansion), "Whether they may grow."),
    AGE,
];

/// CSI drivers.
pub(crate) const CSI_DRIVER: &[Column<'static>] = &[
    NAME,
    Column::new("AttachRequired", Cell::Computed(attach_required), "Whether volumes are attached."),
    Column::new("PodInfoOnMount", Cell::Computed(pod_info), "Whether it is told about the pod."),
    Column::new("StorageCapacity", Cell::Computed(tells_capacity), "Whether it says what is free."),
    Column::new("TokenRequests", Cell::Computed(tokens), "For whom it wants tokens of pods."),
    Column::new("RequiresRepublish", Cell::Computed(republishes), "Whether it mounts repeatedly."),
    Column::new("Modes", Cell::Computed(lifecycles), "How long its volumes live."),
    AGE,
];

/// Nodes with their CSI drivers.
pub(crate) const CSI_NODE: &[Column<'static>] =
    &[NAME, Column::new("Drivers", Cell::Count("/spec/drivers"), "How many drivers it has."), AGE];

/// Volumes attached to nodes.
pub(crate) const VOLUME_ATTACHMENT: &[Column<'static>] = &[
    NAME,
    Column::new("Attacher", Cell::Optional("/spec/attacher"), "Who attaches it."),
    Column::new("PV", Cell::Optional("/spec/source/persistentVolumeName"), "The volume."),
    Column::new("Node", Cell::Optional("/spec/nodeName"), "Where to."),
    Column::new("Attached", Cell::Computed(attached), "Whether it is."),
    AGE,
];

fn modes(object: &Value, at: &str) -> Value {
    let has = |mode: &str| list(object, at).iter().any(|one| one == mode);
    let shown = MODES.into_iter().filter(|(mode, _)| has(mode)).map(|(_, short)| short);
    Value::from(joined(shown, ""))
}

fn volume_modes(volume: &Value, _now: Timestamp) -> Value {
    modes(volume, "/spec/accessModes")
}

/// A claim without a volume has nothing yet, whatever it asks for.
fn has_volume(claim: &Value) -> bool {
    !text(claim, "/spec/volumeName").is_empty()
}

fn claim_capacity(claim: &Value, _now: Timestamp) -> Value {
    Value::from(if has_volume(claim) { text(claim, "/status/capacity/storage") } else { "" })
}

fn claim_modes(claim: &Value, _now: Timestamp) -> Value {
    if has_volume(claim) { modes(claim, "/status/accessModes") } else { Value::from("") }
}

fn status(object: &Value, _now: Timestamp) -> Value {
    let ending = object.pointer("/metadata/deletionTimestamp").is_some();
    Value::from(if ending { "Terminating" } else { text(object, "/status/phase") })
}

fn claim(volume: &Value, _now: Timestamp) -> Value {
    let Some(claim) = volume.pointer("/spec/claimRef") else { return Value::from("") };
    Value::from(format!("{}/{}", text(claim, "/namespace"), text(claim, "/name")))
}

fn or_unset(object: &Value, at: &str) -> Value {
    Value::from(Some(text(object, at)).filter(|text| !text.is_empty()).unwrap_or("<unset>"))
}

fn attributes(object: &Value, _now: Timestamp) -> Value {
    or_unset(object, "/spec/volumeAttributesClassName")
}

fn mode(object: &Value, _now: Timestamp) -> Value {
    or_unset(object, "/spec/volumeMode")
}

fn class_name(class: &Value, _now: Timestamp) -> Value {
    let name = text(class, "/metadata/name");
    let annotations = class.pointer("/metadata/annotations");
    let says = |key: &&str| annotations.and_then(|all| all.get(key)).is_some_and(|is| is == "true");
    let is_default = DEFAULT_CLASS.iter().any(says);
    Value::from(if is_default { format!("{name} (default)") } else { name.to_owned() })
}

/// The flag at a JSON pointer, false when it is absent.
fn flag(object: &Value, at: &str) -> Value {
    Value::from(object.pointer(at).and_then(Value::as_bool).unwrap_or(false))
}

fn expansion(class: &Value, _now: Timestamp) -> Value {
    flag(class, "/allowVolumeExpansion")
}

fn attach_required(driver: &Value, _now: Timestamp) -> Value {
    Value::from(driver.pointer("/spec/attachRequired") != Some(&Value::Bool(false)))
}

fn pod_info(driver: &Value, _now: Timestamp) -> Value {
    flag(driver, "/spec/podInfoOnMount")
}

fn tells_capacity(driver: &Value, _now: Timestamp) -> Value {
    flag(driver, "/spec/storageCapacity")
}

fn republishes(driver: &Value, _now: Timestamp) -> Value {
    flag(driver, "/spec/requiresRepublish")
}

fn tokens(driver: &Value, _now: Timestamp) -> Value {
    let audiences = list(driver, "/spec/tokenRequests").iter().map(|one| text(one, "/audience"));
    Value::from(joined(audiences, "<unset>"))
}

fn lifecycles(driver: &Value, _now: Timestamp) -> Value {
    let modes = list(driver, "/spec/volumeLifecycleModes").iter().filter_map(Value::as_str);
    Value::from(joined(modes, NONE))
}

fn attached(attachment: &Value, _now: Timestamp) -> Value {
    flag(attachment, "/status/attached")
}
