//! Jobs: pods that run until enough of them have succeeded.

use serde_json::{Map, Value};

use super::selectors;
use super::workload::{
    default_template, template_labels, valid_count, validate_not_negative, validate_selected,
    validate_template,
};
use crate::field::{Errors, Field};
use crate::lifecycle::Stamp;
use crate::names;
use crate::podspec::{items, made_member, member, set, set_content, set_text, validate_choice};
use crate::strategy::Strategy;

/// Failures before a job counts as failed.
const BACKOFF: i64 = 6;

/// Most pods of an indexed job at a time, as Kubernetes has it.
const INDEXED_PARALLELISM: i64 = 100_000;

/// Most rules of a policy about failures, as Kubernetes has it.
const FAILURE_RULES: usize = 20;

/// The labels by which a job knows its pods, now and before Kubernetes 1.27.
const UID_LABELS: [&str; 2] = ["batch.kubernetes.io/controller-uid", "controller-uid"];

/// The labels with the job's name, likewise.
const NAME_LABELS: [&str; 2] = ["batch.kubernetes.io/job-name", "job-name"];

const MODES: [&str; 2] = ["Indexed", "NonIndexed"];
const ACTIONS: [&str; 4] = ["Count", "FailIndex", "FailJob", "Ignore"];
const REPLACEMENTS: [&str; 2] = ["Failed", "TerminatingOrFailed"];

/// What never changes. The template and the completions may, under conditions.
const FIXED: [&str; 6] = [
    "selector",
    "completionMode",
    "podFailurePolicy",
    "backoffLimitPerIndex",
    "managedBy",
    "successPolicy",
];

pub(crate) struct JobStrategy;

impl Strategy for JobStrategy {
    /// A job selects its own pods by its uid, unless it says that it selects by hand.
    fn start(&self, object: &mut Value, _stamp: &Stamp) {
        let own = own_labels(object);
        let Some(spec) = object["spec"].as_object_mut() else { return };
        if spec.get("manualSelector") == Some(&Value::Bool(true)) {
            return;
        }
        let wanted = made_member(spec, "selector").and_then(|one| made_member(one, "matchLabels"));
        if let (Some(wanted), Some(uid)) = (wanted, own.get(UID_LABELS[0])) {
            set(wanted, UID_LABELS[0], uid.clone());
        }
        let metadata = made_member(spec, "template").and_then(|one| made_member(one, "metadata"));
        if let Some(labels) = metadata.and_then(|one| made_member(one, "labels")) {
            own.into_iter().for_each(|(label, value)| set(labels, &label, value));
        }
    }

    fn default(&self, object: &mut Value) {
        default_template(object);
        if let (Some(labels), Some(metadata)) =
            (template_labels(object), object["metadata"].as_object_mut())
        {
            set_content(metadata, "labels", labels);
        }
        if let Some(spec) = object["spec"].as_object_mut() {
            default_job_spec(spec);
        }
    }

    fn validate(&self, object: &Field<'_>, errors: &mut Errors) {
        let spec = object.get("spec");
        validate_job_spec(&spec, errors);
        validate_pods_selected(object, errors);
        let (metadata, completions) = (object.get("metadata"), spec.get("completions"));
        let indexed = spec.get("completionMode").text() == "Indexed";
        // The pods' host names end in their index; a job whose name leaves no room gets no pods.
        if let Some(last) = completions.integer().filter(|count| indexed && *count > 0) {
            let name = metadata.get("name");
            let host = format!("{}-{}", name.text(), last - 1);
            if names::label(&host).is_err() {
                let rule = format!("will not able to create pod with invalid DNS label: {host}");
                errors.invalid(&name, rule);
            }
        }
    }

    fn validate_update(&self, new: &Field<'_>, old: &Field<'_>, errors: &mut Errors) {
        let (spec, before) = (new.get("spec"), old.get("spec"));
        for fixed in FIXED {
            errors.immutable(&spec.get(fixed), &before.get(fixed));
        }
        let (completions, had) = (spec.get("completions"), before.get("completions"));
        if spec.get("completionMode").text() != "Indexed" {
            errors.immutable(&completions, &had);
        } else if completions.value != had.value
            && completions.value != spec.get("parallelism").value
        {
            errors.invalid(&completions, "can only be modified in tandem with spec.parallelism");
        }
        let (template, former) = (spec.get("template"), before.get("template"));
        if before.get("suspend").is_true() {
            if without_scheduling(template.value) != without_scheduling(former.value) {
                errors.invalid(&template, "field is immutable");
            }
        } else {
            errors.immutable(&template, &former);
        }
    }
}

/// The labels that only the pods of this job have.
fn own_labels(job: &Value) -> Map<String, Value> {
    let (uid, name) = (&job["metadata"]["uid"], &job["metadata"]["name"]);
    let uids = UID_LABELS.into_iter().map(|label| (label.to_owned(), uid.clone()));
    let names = NAME_LABELS.into_iter().map(|label| (label.to_owned(), name.clone()));
    uids.chain(names).collect()
}

/// A template without what may change while a job is suspended: where its pods may run, and how
/// much they get there.
fn without_scheduling(template: &Value) -> Value {
    let mut template = template.clone();
    if let Some(metadata) = template.pointer_mut("/metadata").and_then(Value::as_object_mut) {
        metadata.retain(|name, _| !matches!(name.as_str(), "labels" | "annotations"));
    }
    if let Some(spec) = template.pointer_mut("/spec").and_then(Value::as_object_mut) {
        for name in ["nodeSelector", "tolerations", "schedulingGates"] {
            spec.remove(name);
        }
        if let Some(affinity) = member(spec, "affinity") {
            affinity.remove("nodeAffinity");
        }
        for list in ["containers", "initContainers"] {
            for container in items(spec, list) {
                container.remove("resources");
            }
        }
    }
    template
}

fn default_job_spec(spec: &mut Map<String, Value>) {
    if spec.get("completions").is_none() && spec.get("parallelism").is_none() {
        set(spec, "completions", 1);
    }
    set(spec, "parallelism", 1);
    let failures =
        if spec.contains_key("backoffLimitPerIndex") { i32::MAX.into() } else { BACKOFF };
    set(spec, "backoffLimit", failures);
    set_text(spec, "completionMode", "NonIndexed");
    set(spec, "suspend", false);
    set(spec, "manualSelector", false);
    let fails_by_rule = spec.contains_key("podFailurePolicy");
    set_text(
        spec,
        "podReplacementPolicy",
        if fails_by_rule { "Failed" } else { "TerminatingOrFailed" },
    );
    for rule in member(spec, "podFailurePolicy").into_iter().flat_map(|all| items(all, "rules")) {
        items(rule, "onPodConditions").for_each(|pattern| set_text(pattern, "status", "True"));
    }
}

/// Checks what a job and the template of a cron job have in common.
pub(super) fn validate_job_spec(spec: &Field<'_>, errors: &mut Errors) {
    for count in [
        "parallelism",
        "completions",
        "backoffLimit",
        "backoffLimitPerIndex",
        "maxFailedIndexes",
        "ttlSecondsAfterFinished",
    ] {
        valid_count(&spec.get(count), errors);
    }
    validate_not_negative(&spec.get("activeDeadlineSeconds"), errors);
    validate_mode(spec, errors);
    validate_failure_policy(spec, errors);
    validate_template(spec, &[], errors);
    let template = spec.get("template");
    let pod = template.get("spec");
    let (restart, policy) = (pod.get("restartPolicy"), spec.get("podFailurePolicy"));
    match restart.text() {
        "" | "Always" => errors.required(&restart, "valid values: \"OnFailure\", \"Never\""),
        "OnFailure" if policy.is_set() => errors
            .invalid(&restart, "only \"Never\" is supported when podFailurePolicy is specified"),
        // Whether it is a policy at all, the pod spec's own check says.
        _ => {}
    }
}

fn validate_mode(spec: &Field<'_>, errors: &mut Errors) {
    let mode = spec.get("completionMode");
    validate_choice(&mode, &MODES, errors);
    if mode.text() == "Indexed" {
        let (completions, parallelism) = (spec.get("completions"), spec.get("parallelism"));
        if !completions.is_set() {
            errors.required(&completions, "when completion mode is Indexed");
        }
        if parallelism.integer().is_some_and(|pods| pods > INDEXED_PARALLELISM) {
            let rule = format!(
                "must be less than or equal to {INDEXED_PARALLELISM} when completion mode is Indexed"
            );
            errors.invalid(&parallelism, rule);
        }
    } else {
        for name in ["backoffLimitPerIndex", "maxFailedIndexes", "successPolicy"] {
            let indexed = spec.get(name);
            if indexed.is_set() {
                errors.invalid(&indexed, "requires indexed completion mode");
            }
        }
    }
    let per_index = spec.get("backoffLimitPerIndex");
    if spec.get("maxFailedIndexes").is_set() && !per_index.is_set() {
        errors.required(&per_index, "when maxFailedIndexes is specified");
    }
    let success = spec.get("successPolicy");
    let rules = success.get("rules");
    if success.is_set() && rules.is_empty() {
        let rule = "at least one rules must be specified when the successPolicy is specified";
        errors.required(&rules, rule);
    }
    for rule in rules.items() {
        if !rule.get("succeededCount").is_set() && rule.get("succeededIndexes").is_empty() {
            let missing = "at least one of succeededCount or succeededIndexes must be specified";
            errors.required(&rule, missing);
        }
    }
}

fn validate_failure_policy(spec: &Field<'_>, errors: &mut Errors) {
    let (policy, replacement) = (spec.get("podFailurePolicy"), spec.get("podReplacementPolicy"));
    let replacements = if policy.is_set() { &REPLACEMENTS[..1] } else { &REPLACEMENTS[..] };
    validate_choice(&replacement, replacements, errors);
    let rules = policy.get("rules");
    if rules.items().nth(FAILURE_RULES).is_some() {
        errors.too_many(&rules, FAILURE_RULES);
    }
    for rule in rules.items() {
        let action = rule.get("action");
        validate_choice(&action, &ACTIONS, errors);
        if action.text() == "FailIndex" && !spec.get("backoffLimitPerIndex").is_set() {
            errors.invalid(&action, "requires the backoffLimitPerIndex to be set");
        }
        let (codes, conditions) = (rule.get("onExitCodes"), rule.get("onPodConditions"));
        match (codes.is_set(), !conditions.is_empty()) {
            (true, true) => errors
                .invalid(&rule, "specifying both OnExitCodes and OnPodConditions is not supported"),
            (false, false) => errors
                .invalid(&rule, "specifying one of OnExitCodes and OnPodConditions is required"),
            (true, false) => {
                let (operator, values) = (codes.get("operator"), codes.get("values"));
                validate_choice(&operator, &["In", "NotIn"], errors);
                if values.is_empty() {
                    errors.invalid(&values, "at least one value is required");
                }
                let zero = values.items().find(|value| value.integer() == Some(0));
                if let Some(zero) = zero.filter(|_| operator.text() == "In") {
                    errors.invalid(&zero, "must not be 0 for the In operator");
                }
            }
            (false, true) => {}
        }
    }
}

/// Demands that a job selects its pods and, unless it selects by hand, no others.
fn validate_pods_selected(job: &Field<'_>, errors: &mut Errors) {
    let spec = job.get("spec");
    let selector = spec.get("selector");
    let typed = match selectors::read(&selector) {
        Ok(typed) => typed,
        Err(_) if !selector.is_set() => return errors.required(&selector, ""),
        Err(rule) => return errors.invalid(&selector, rule),
    };
    validate_selected(&typed, &spec, errors);
    if spec.get("manualSelector").is_true() {
        return;
    }
    let own = own_labels(job.value);
    let template = spec.get("template");
    let metadata = template.get("metadata");
    let labels = metadata.get("labels");
    for (label, value) in &own {
        let at = labels.key(label);
        let rule = format!("must be '{}'", value.as_str().unwrap_or(""));
        if !at.is_set() {
            errors.required(&at, &rule);
        } else if at.value != value {
            errors.invalid(&at, rule);
        }
    }
    if !selectors::selects(&typed, &Value::Object(own.clone())) {
        errors.invalid(&selector, "`selector` not auto-generated");
    }
}
