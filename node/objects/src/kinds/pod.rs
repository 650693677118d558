//! Pods: nearly everything is fixed once they exist, and bound ones end gracefully, by their
//! host's agent.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::field::{Errors, Field};
use crate::lifecycle::{EPHEMERAL_CONTAINERS, Part, Stamp};
use crate::podspec;
use crate::strategy::{Ending, Strategy};

/// Kubernetes' default for `terminationGracePeriodSeconds`.
const GRACE_SECONDS: u64 = 30;

const FROZEN: &str = "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";

pub(crate) struct PodStrategy;

impl Strategy for PodStrategy {
    /// Kubernetes' default tolerations of lost nodes are left out on purpose: here a verdict of
    /// death is confirmed, and a pod that says nothing is replaced at once.
    fn default(&self, object: &mut Value) {
        let spec = &mut object["spec"];
        podspec::default_pod_spec(spec);
        podspec::limits_to_requests(spec);
        podspec::default_resize_policy(spec);
        let Some(spec) = spec.as_object_mut() else { return };
        podspec::set(spec, "enableServiceLinks", true);
        podspec::set(spec, "priority", 0);
        podspec::set_text(spec, "preemptionPolicy", "PreemptLowerPriority");
        podspec::set_text(spec, "serviceAccountName", "default");
        podspec::set_text(spec, "serviceAccount", "default");
    }

    fn start(&self, object: &mut Value, _stamp: &Stamp) {
        object["status"] = json!({"phase": "Pending"});
    }

    fn observe(&self, object: &mut Value, old: &Value, part: Part, _now: Timestamp) {
        if part == Part::Status {
            let class = &old["status"]["qosClass"];
            if class.is_string() && object["status"].is_object() {
                object["status"]["qosClass"] = class.clone();
            }
        }
    }

    fn settle(&self, object: &mut Value) {
        let class = podspec::quality_of_service(&object["spec"]);
        object["status"]["qosClass"] = json!(class);
    }

    fn has_ephemeral_containers(&self) -> bool {
        true
    }

    fn can_be_resized(&self) -> bool {
        true
    }

    fn validate(&self, object: &Field<'_>, errors: &mut Errors) {
        podspec::validate_pod_spec(&object.get("spec"), &[], errors);
    }

    fn validate_create(&self, object: &Field<'_>, errors: &mut Errors) {
        self.validate(object, errors);
        let spec = object.get("spec");
        let ephemeral = spec.get(EPHEMERAL_CONTAINERS);
        if !ephemeral.is_empty() {
            errors.forbidden(&ephemeral, "cannot be set on create");
        }
    }

    fn validate_change(&self, part: Part, new: &Field<'_>, old: &Field<'_>, errors: &mut Errors) {
        match part {
            Part::Status => {}
            Part::EphemeralContainers => {
                self.validate(new, errors);
                validate_ephemeral_update(new, old, errors);
            }
            Part::Resize => {
                self.validate(new, errors);
                podspec::validate_resize(&new.get("spec"), &old.get("spec"), errors);
            }
            Part::Main | Part::Scale => {
                self.validate(new, errors);
                self.validate_update(new, old, errors);
            }
        }
    }

    fn validate_update(&self, new: &Field<'_>, old: &Field<'_>, errors: &mut Errors) {
        let (spec, before) = (new.get("spec"), old.get("spec"));
        let (tolerations, known) = (spec.get("tolerations"), before.get("tolerations"));
        let gone = known.items().any(|one| {
            let same = |other: Field<'_>| alike(other.value, one.value);
            !tolerations.items().any(same)
        });
        if gone {
            errors.forbidden(
                &tolerations,
                "existing toleration can not be modified except its tolerationSeconds",
            );
        }
        let (deadline, was) =
            (spec.get("activeDeadlineSeconds"), before.get("activeDeadlineSeconds"));
        if let Some(was) = was.integer()
            && deadline.integer().is_none_or(|now| now > was)
        {
            errors.invalid(&deadline, "must be less than or equal to previous value");
        }
        if without_changeable(spec.value) != without_changeable(before.value) {
            errors.forbidden(&spec, FROZEN);
        }
    }

    fn ending(&self, object: &Value, grace_seconds: Option<u64>) -> Ending {
        let text = |pointer| object.pointer(pointer).and_then(Value::as_str).unwrap_or("");
        let unbound = text("/spec/nodeName").is_empty();
        let over = matches!(text("/status/phase"), "Succeeded" | "Failed");
        if unbound || over {
            return Ending::AtOnce;
        }
        let own = object.pointer("/spec/terminationGracePeriodSeconds").and_then(Value::as_u64);
        match grace_seconds.or(own).unwrap_or(GRACE_SECONDS) {
            0 => Ending::AtOnce,
            seconds => Ending::Graceful(seconds),
        }
    }
}

/// Ephemeral containers come, but neither change nor go. A patch need not keep their order.
fn validate_ephemeral_update(new: &Field<'_>, old: &Field<'_>, errors: &mut Errors) {
    let (spec, before) = (new.get("spec"), old.get("spec"));
    let (list, known) = (spec.get(EPHEMERAL_CONTAINERS), before.get(EPHEMERAL_CONTAINERS));
    for was in known.items() {
        let is_same = |one: &Field<'_>| one.value.get("name") == was.value.get("name");
        let verb = match list.items().find(is_same) {
            None => "removed",
            Some(now) if now.value != was.value => "changed",
            Some(_) => continue,
        };
        let name = was.value.get("name").and_then(Value::as_str).unwrap_or("");
        let rule = format!("existing ephemeral containers {name:?} may not be {verb}");
        errors.forbidden(&list, rule);
    }
}

/// Two tolerations that differ at most in their seconds.
fn alike(one: &Value, other: &Value) -> bool {
    let bare = |toleration: &Value| {
        let mut bare = toleration.clone();
        crate::lifecycle::remove(&mut bare, "tolerationSeconds");
        bare
    };
    bare(one) == bare(other)
}

/// A pod spec without what an update may change; one stored without resize policies has the
/// defaults.
fn without_changeable(spec: &Value) -> Value {
    let mut spec = spec.clone();
    podspec::default_resize_policy(&mut spec);
    for list in ["containers", "initContainers"] {
        let containers = spec.get_mut(list).and_then(Value::as_array_mut);
        for container in containers.into_iter().flatten() {
            crate::lifecycle::remove(container, "image");
        }
    }
    for member in ["activeDeadlineSeconds", "tolerations", "schedulingGates"] {
        crate::lifecycle::remove(&mut spec, member);
    }
    spec
}
