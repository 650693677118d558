//! The other workloads: stateful sets, daemon sets, replication controllers, and what they keep.

use serde_json::{Map, Value};

use super::volume::{default_claim, validate_claim};
use super::workload::{
    default_replicas, default_template, template_labels, valid_count, validate_always,
    validate_not_negative, validate_selector, validate_selector_kept, validate_share,
    validate_template,
};
use crate::field::{Errors, Field};
use crate::names;
use crate::podspec::{self, items, made_member, set, set_content, set_text, validate_choice};
use crate::strategy::{NameRule, Strategy};

/// Old revisions kept for a rollback.
const HISTORY: i64 = 10;

/// What may change of a stateful set.
const STATEFUL_FIELDS: [&str; 7] = [
    "replicas",
    "ordinals",
    "template",
    "updateStrategy",
    "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
    "minReadySeconds",
];

const UPDATES: [&str; 2] = ["RollingUpdate", "OnDelete"];
const RETENTIONS: [&str; 2] = ["Retain", "Delete"];

/// Fills the way in which a spec is updated and gives the rolling update where that is the way.
fn default_rolling(spec: &mut Map<String, Value>) -> Option<&mut Map<String, Value>> {
    let update = made_member(spec, "updateStrategy")?;
    set_text(update, "type", "RollingUpdate");
    let rolls = update.get("type").is_some_and(|kind| kind == "RollingUpdate");
    if rolls { made_member(update, "rollingUpdate") } else { None }
}

pub(crate) struct StatefulSetStrategy;

impl Strategy for StatefulSetStrategy {
    /// A label and no subdomain: the names of the pods are made of it.
    fn name_rule(&self) -> NameRule {
        NameRule::Label
    }

    fn default(&self, object: &mut Value) {
        default_replicas(object);
        let Some(spec) = object["spec"].as_object_mut() else { return };
        set_text(spec, "podManagementPolicy", "OrderedReady");
        set(spec, "revisionHistoryLimit", HISTORY);
        if let Some(rolling) = default_rolling(spec) {
            set(rolling, "partition", 0);
            set(rolling, "maxUnavailable", 1);
        }
        if let Some(retention) = made_member(spec, "persistentVolumeClaimRetentionPolicy") {
            set_text(retention, "whenDeleted", "Retain");
            set_text(retention, "whenScaled", "Retain");
        }
        items(spec, "volumeClaimTemplates").for_each(default_claim);
    }

    fn validate(&self, object: &Field<'_>, errors: &mut Errors) {
        let spec = object.get("spec");
        for count in ["replicas", "minReadySeconds", "revisionHistoryLimit"] {
            valid_count(&spec.get(count), errors);
        }
        let ordinals = spec.get("ordinals");
        valid_count(&ordinals.get("start"), errors);
        let policy = spec.get("podManagementPolicy");
        if !matches!(policy.text(), "OrderedReady" | "Parallel") {
            errors.invalid(&policy, "must be 'OrderedReady' or 'Parallel'");
        }
        let service = spec.get("serviceName");
        if let Err(rule) = names::label(service.text())
            && !service.is_empty()
        {
            errors.invalid(&service, rule);
        }
        validate_stateful_update(&spec.get("updateStrategy"), errors);
        let retention = spec.get("persistentVolumeClaimRetentionPolicy");
        for when in ["whenDeleted", "whenScaled"] {
            validate_choice(&retention.get(when), &RETENTIONS, errors);
        }
        validate_selector(&spec, "StatefulSet", errors);
        let claims = spec.get("volumeClaimTemplates");
        for claim in claims.items() {
            validate_claim(&claim, errors);
        }
        let templates = claims.value.as_array().into_iter().flatten();
        let mountable = templates.filter_map(|claim| claim.pointer("/metadata/name")?.as_str());
        validate_template(&spec, &mountable.collect::<Vec<_>>(), errors);
        validate_always(&spec, "StatefulSet", errors);
    }

    fn validate_update(&self, new: &Field<'_>, old: &Field<'_>, errors: &mut Errors) {
        let (spec, before) = (new.get("spec"), old.get("spec"));
        let fixed = |spec: &Field<'_>| {
            let mut fixed = spec.value.as_object().cloned().unwrap_or_default();
            fixed.retain(|name, _| !STATEFUL_FIELDS.contains(&name.as_str()));
            fixed
        };
        if fixed(&spec) != fixed(&before) {
            errors.forbidden(
                &spec,
                "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden",
            );
        }
    }
}

fn validate_stateful_update(update: &Field<'_>, errors: &mut Errors) {
    let (kind, rolling) = (update.get("type"), update.get("rollingUpdate"));
    match kind.text() {
        "OnDelete" if rolling.is_set() => {
            errors.invalid(&rolling, "only allowed for updateStrategy 'RollingUpdate'");
        }
        "OnDelete" | "RollingUpdate" => {}
        _ => errors.invalid(&kind, "must be 'RollingUpdate' or 'OnDelete'"),
    }
    valid_count(&rolling.get("partition"), errors);
    let missing = rolling.get("maxUnavailable");
    if validate_share(&missing, errors) == Some(0) {
        errors.invalid(&missing, "cannot be 0");
    }
}

pub(crate) struct DaemonSetStrategy;

impl Strategy for DaemonSetStrategy {
    fn default(&self, object: &mut Value) {
        default_template(object);
        let Some(spec) = object["spec"].as_object_mut() else { return };
        set(spec, "revisionHistoryLimit", HISTORY);
        if let Some(rolling) = default_rolling(spec) {
            set(rolling, "maxUnavailable", 1);
            set(rolling, "maxSurge", 0);
        }
    }

    fn validate(&self, object: &Field<'_>, errors: &mut Errors) {
        let spec = object.get("spec");
        validate_selector(&spec, "DaemonSet", errors);
        validate_template(&spec, &[], errors);
        validate_always(&spec, "DaemonSet", errors);
        valid_count(&spec.get("minReadySeconds"), errors);
        valid_count(&spec.get("revisionHistoryLimit"), errors);
        let update = spec.get("updateStrategy");
        validate_choice(&update.get("type"), &UPDATES, errors);
        let rolling = update.get("rollingUpdate");
        let (surge, missing) = (rolling.get("maxSurge"), rolling.get("maxUnavailable"));
        match (validate_share(&surge, errors), validate_share(&missing, errors)) {
            (Some(0), Some(0)) => errors.required(&missing, "cannot be 0 when maxSurge is 0"),
            (Some(1..), Some(1..)) => {
                errors.invalid(&surge, "may not be set when maxUnavailable is non-zero");
            }
            _ => {}
        }
    }

    fn validate_update(&self, new: &Field<'_>, old: &Field<'_>, errors: &mut Errors) {
        validate_selector_kept(new, old, errors);
    }
}

pub(crate) struct ReplicationControllerStrategy;

impl Strategy for ReplicationControllerStrategy {
    /// It selects and carries the labels of its pods unless it says otherwise.
    fn default(&self, object: &mut Value) {
        default_replicas(object);
        let Some(labels) = template_labels(object) else { return };
        if let Some(spec) = object["spec"].as_object_mut() {
            set_content(spec, "selector", labels.clone());
        }
        if let Some(metadata) = object["metadata"].as_object_mut() {
            set_content(metadata, "labels", labels);
        }
    }

    fn validate(&self, object: &Field<'_>, errors: &mut Errors) {
        let spec = object.get("spec");
        valid_count(&spec.get("replicas"), errors);
        valid_count(&spec.get("minReadySeconds"), errors);
        let (selector, template) = (spec.get("selector"), spec.get("template"));
        if selector.is_empty() {
            errors.required(&selector, "");
        }
        if !template.is_set() {
            errors.required(&template, "");
            return;
        }
        let metadata = template.get("metadata");
        let labels = metadata.get("labels");
        if selector.entries().any(|(key, value)| labels.value.get(key) != Some(value.value)) {
            errors.invalid(&labels, "`selector` does not match template `labels`");
        }
        validate_template(&spec, &[], errors);
        validate_always(&spec, "ReplicationController", errors);
    }
}

pub(crate) struct PodTemplateStrategy;

impl Strategy for PodTemplateStrategy {
    fn default(&self, object: &mut Value) {
        if let Some(spec) = object.pointer_mut("/template/spec") {
            podspec::default_pod_spec(spec);
        }
    }

    /// A pod template has its template where a workload's spec has it.
    fn validate(&self, object: &Field<'_>, errors: &mut Errors) {
        validate_template(object, &[], errors);
    }
}

pub(crate) struct ControllerRevisionStrategy;

impl Strategy for ControllerRevisionStrategy {
    fn validate(&self, object: &Field<'_>, errors: &mut Errors) {
        validate_not_negative(&object.get("revision"), errors);
        let data = object.get("data");
        if !data.is_set() {
            errors.required(&data, "data is mandatory");
        }
    }

    fn validate_update(&self, new: &Field<'_>, old: &Field<'_>, errors: &mut Errors) {
        errors.immutable(&new.get("data"), &old.get("data"));
    }
}
