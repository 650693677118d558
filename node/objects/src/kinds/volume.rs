//! Persistent volumes, claims on them and storage classes.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::selectors;
use crate::field::{Errors, Field};
use crate::names;
use crate::podspec::{made_member, member, require_text, set, set_text, validate_choice};
use crate::quantity::Quantity;
use crate::strategy::Strategy;

const MODES: [&str; 4] = ["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];
const VOLUME_MODES: [&str; 2] = ["Block", "Filesystem"];
const RECLAIMS: [&str; 3] = ["Delete", "Recycle", "Retain"];

/// Members of a volume's spec that are not where it comes from.
const NOT_SOURCES: [&str; 9] = [
    "accessModes",
    "capacity",
    "claimRef",
    "mountOptions",
    "nodeAffinity",
    "persistentVolumeReclaimPolicy",
    "storageClassName",
    "volumeAttributesClassName",
    "volumeMode",
];

pub(crate) struct VolumeStrategy;

impl Strategy for VolumeStrategy {
    fn default(&self, object: &mut Value) {
        let Some(volume) = object.as_object_mut() else { return };
        default_phase(volume);
        let Some(spec) = member(volume, "spec") else { return };
        set_text(spec, "persistentVolumeReclaimPolicy", "Retain");
        set_text(spec, "volumeMode", "Filesystem");
        if let Some(path) = member(spec, "hostPath") {
            set(path, "type", "");
        }
    }

    fn validate(&self, object: &Field<'_>, errors: &mut Errors) {
        let spec = object.get("spec");
        let (modes, capacity) = (spec.get("accessModes"), spec.get("capacity"));
        if modes.is_empty() {
            errors.required(&modes, "");
        }
        validate_modes(&modes, errors);
        if capacity.is_empty() {
            errors.required(&capacity, "");
        } else if capacity.entries().any(|(name, _)| name != "storage") {
            errors.not_supported(&capacity, &["storage"]);
        } else {
            let size = capacity.key("storage");
            validate_size(&size, size.text(), errors);
        }
        validate_choice(&spec.get("persistentVolumeReclaimPolicy"), &RECLAIMS, errors);
        validate_choice(&spec.get("volumeMode"), &VOLUME_MODES, errors);
        validate_class(&spec, errors);
        match sources(&spec).as_slice() {
            [] => errors.required(&spec, "must specify a volume type"),
            [_] => {}
            [_, second, ..] => {
                errors.forbidden(&spec.get(second), "may not specify more than 1 volume type");
            }
        }
        validate_paths(&spec, errors);
    }

    fn validate_update(&self, new: &Field<'_>, old: &Field<'_>, errors: &mut Errors) {
        let (spec, before) = (new.get("spec"), old.get("spec"));
        let changed = |source: &&str| spec.get(source).value != before.get(source).value;
        if let Some(source) = sources(&before).into_iter().find(changed) {
            let rule = "spec.persistentvolumesource is immutable after creation";
            errors.forbidden(&spec.get(source), rule);
        }
        errors.immutable(&spec.get("volumeMode"), &before.get("volumeMode"));
        if before.get("nodeAffinity").is_set() {
            errors.immutable(&spec.get("nodeAffinity"), &before.get("nodeAffinity"));
        }
    }
}

/// Where a volume comes from: the members of its spec that say so.
fn sources<'a>(spec: &Field<'a>) -> Vec<&'a str> {
    let members = spec.value.as_object().into_iter().flatten();
    members.map(|(name, _)| name.as_str()).filter(|name| !NOT_SOURCES.contains(name)).collect()
}

/// A volume or a claim that nobody has looked at yet is pending.
fn default_phase(object: &mut Map<String, Value>) {
    if let Some(status) = made_member(object, "status") {
        set_text(status, "phase", "Pending");
    }
}

fn validate_modes(modes: &Field<'_>, errors: &mut Errors) {
    let known: BTreeSet<&str> = modes.items().map(|mode| mode.text()).collect();
    for mode in modes.items() {
        validate_choice(&mode, &MODES, errors);
    }
    if known.len() > 1 && known.contains("ReadWriteOncePod") {
        errors.forbidden(modes, "may not use ReadWriteOncePod with other access modes");
    }
}

/// Checks an amount of storage. It is not always the whole field.
fn validate_size(at: &Field<'_>, size: &str, errors: &mut Errors) {
    match Quantity::parse(size) {
        Err(error) => errors.invalid_value(at, size, error.to_string()),
        Ok(quantity) if quantity.units() <= 0 => {
            errors.invalid_value(at, size, "must be greater than zero");
        }
        Ok(_) => {}
    }
}

fn validate_class(spec: &Field<'_>, errors: &mut Errors) {
    let class = spec.get("storageClassName");
    if let Err(rule) = names::subdomain(class.text())
        && !class.is_empty()
    {
        errors.invalid(&class, rule);
    }
}

fn validate_paths(spec: &Field<'_>, errors: &mut Errors) {
    let policy = spec.get("persistentVolumeReclaimPolicy");
    for source in ["hostPath", "local"] {
        let source = spec.get(source);
        let path = source.get("path");
        if source.is_set() {
            require_text(&path, errors);
        }
        if path.text().split('/').any(|step| step == "..") {
            errors.invalid(&path, "must not contain '..'");
        }
        if path.text() == "/" && policy.text() == "Recycle" {
            errors.forbidden(&policy, "may not be 'recycle' for a hostPath mount of '/'");
        }
    }
    let affinity = spec.get("nodeAffinity");
    if spec.get("local").is_set() && !affinity.is_set() {
        errors.required(&affinity, "Local volume requires node affinity");
    }
}

pub(crate) struct ClaimStrategy;

impl Strategy for ClaimStrategy {
    fn default(&self, object: &mut Value) {
        if let Some(claim) = object.as_object_mut() {
            default_claim(claim);
        }
    }

    fn validate(&self, object: &Field<'_>, errors: &mut Errors) {
        validate_claim(object, errors);
    }

    fn validate_update(&self, new: &Field<'_>, old: &Field<'_>, errors: &mut Errors) {
        let (spec, before) = (new.get("spec"), old.get("spec"));
        let is_bound = text_at(old.value, "/status/phase") == "Bound";
        let fixed = |spec: &Field<'_>| {
            let mut fixed = spec.value.as_object().cloned().unwrap_or_default();
            if is_bound {
                fixed.remove("volumeAttributesClassName");
                let resources = member(&mut fixed, "resources");
                if let Some(requests) = resources.and_then(|all| member(all, "requests")) {
                    requests.remove("storage");
                }
            }
            // A claim that is bound late, or given a class late, is told so once.
            if before.get("volumeName").is_empty() {
                fixed.remove("volumeName");
                if !before.get("storageClassName").is_set() {
                    fixed.remove("storageClassName");
                }
            }
            fixed
        };
        if fixed(&spec) != fixed(&before) {
            errors.forbidden(
                &spec,
                "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims",
            );
        }
        let size = |object: &Value, at| Quantity::parse(text_at(object, at)).ok();
        let (wanted, held) = (
            size(new.value, "/spec/resources/requests/storage"),
            size(old.value, "/status/capacity/storage"),
        );
        if let (Some(wanted), Some(held)) = (wanted, held)
            && wanted < held
        {
            let resources = spec.get("resources");
            let requests = resources.get("requests");
            let rule = "field can not be less than status.capacity";
            errors.forbidden(&requests.get("storage"), rule);
        }
    }
}

fn text_at<'v>(object: &'v Value, at: &str) -> &'v str {
    object.pointer(at).and_then(Value::as_str).unwrap_or("")
}

/// Fills a claim, also one in a template.
pub(super) fn default_claim(claim: &mut Map<String, Value>) {
    default_phase(claim);
    if let Some(spec) = member(claim, "spec") {
        set_text(spec, "volumeMode", "Filesystem");
    }
}

/// Checks a claim, also one in a template.
pub(super) fn validate_claim(claim: &Field<'_>, errors: &mut Errors) {
    let spec = claim.get("spec");
    let modes = spec.get("accessModes");
    if modes.is_empty() {
        errors.required(&modes, "at least 1 access mode is required");
    }
    validate_modes(&modes, errors);
    validate_choice(&spec.get("volumeMode"), &VOLUME_MODES, errors);
    validate_class(&spec, errors);
    selectors::validate(&spec.get("selector"), errors);
    let resources = spec.get("resources");
    let (requests, size) = (resources.get("requests"), resources.key("storage"));
    match requests.value.get("storage").and_then(Value::as_str) {
        None => errors.required(&size, ""),
        Some(storage) => validate_size(&size, storage, errors),
    }
}

pub(crate) struct StorageClassStrategy;

impl Strategy for StorageClassStrategy {
    fn default(&self, object: &mut Value) {
        let Some(class) = object.as_object_mut() else { return };
        set_text(class, "reclaimPolicy", "Delete");
        set_text(class, "volumeBindingMode", "Immediate");
    }

    fn validate(&self, object: &Field<'_>, errors: &mut Errors) {
        let provisioner = object.get("provisioner");
        if provisioner.is_empty() {
            errors.required(&provisioner, "");
        } else if let Err(rule) = names::qualified(&provisioner.text().to_ascii_lowercase()) {
            errors.invalid(&provisioner, rule);
        }
        validate_choice(&object.get("reclaimPolicy"), &["Delete", "Retain"], errors);
        let modes = ["Immediate", "WaitForFirstConsumer"];
        validate_choice(&object.get("volumeBindingMode"), &modes, errors);
    }

    fn validate_update(&self, new: &Field<'_>, old: &Field<'_>, errors: &mut Errors) {
        for fixed in ["parameters", "provisioner", "reclaimPolicy"] {
            let field = new.get(fixed);
            if field.value != old.get(fixed).value {
                errors.forbidden(&field, format!("updates to {fixed} are forbidden."));
            }
        }
        errors.immutable(&new.get("volumeBindingMode"), &old.get("volumeBindingMode"));
    }
}
