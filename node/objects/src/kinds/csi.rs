//! Who provides storage where: CSI drivers, the nodes that have them, and volumes on nodes.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::workload::valid_count;
use crate::field::{Errors, Field};
use crate::lifecycle::Stamp;
use crate::names;
use crate::podspec::{set, set_content, set_text, validate_choice};
use crate::strategy::Strategy;

/// Longest name of a driver.
const DRIVER_NAME: usize = 63;

/// Longest name that a driver gives a node.
const NODE_ID: usize = 256;

/// Fewest seconds a token lives: ten minutes.
const TOKEN_SECONDS: i64 = 600;

/// Fewest seconds between two looks at how many volumes a node takes.
const UPDATE_SECONDS: i64 = 10;

const LIFECYCLES: [&str; 2] = ["Ephemeral", "Persistent"];
const GROUP_POLICIES: [&str; 3] = ["File", "None", "ReadWriteOnceWithFSType"];

pub(crate) struct DriverStrategy;

impl Strategy for DriverStrategy {
    fn default(&self, object: &mut Value) {
        let Some(spec) = object["spec"].as_object_mut() else { return };
        set(spec, "attachRequired", true);
        for name in ["podInfoOnMount", "storageCapacity", "requiresRepublish", "seLinuxMount"] {
            set(spec, name, false);
        }
        set_text(spec, "fsGroupPolicy", "ReadWriteOnceWithFSType");
        set_content(spec, "volumeLifecycleModes", json!(["Persistent"]));
    }

    fn validate(&self, object: &Field<'_>, errors: &mut Errors) {
        let metadata = object.get("metadata");
        let name = metadata.get("name");
        if name.text().len() > DRIVER_NAME {
            errors.too_long(&name, DRIVER_NAME);
        }
        let spec = object.get("spec");
        validate_choice(&spec.get("fsGroupPolicy"), &GROUP_POLICIES, errors);
        let modes = spec.get("volumeLifecycleModes");
        for mode in modes.items() {
            validate_choice(&mode, &LIFECYCLES, errors);
        }
        let (tokens, mut audiences) = (spec.get("tokenRequests"), BTreeSet::new());
        for token in tokens.items() {
            let (audience, seconds) = (token.get("audience"), token.get("expirationSeconds"));
            if !audiences.insert(audience.text().to_owned()) {
                errors.duplicate(&audience);
            }
            if seconds.integer().is_some_and(|seconds| seconds < TOKEN_SECONDS) {
                errors.invalid(&seconds, "may not specify a duration less than 10 minutes");
            }
        }
        let period = spec.get("nodeAllocatableUpdatePeriodSeconds");
        if period.integer().is_some_and(|seconds| seconds < UPDATE_SECONDS) {
            let rule = format!("must be greater than or equal to {UPDATE_SECONDS} seconds");
            errors.invalid(&period, rule);
        }
        let secret = spec.get("serviceAccountTokenInSecrets");
        if secret.is_set() && tokens.is_empty() {
            errors.invalid(&secret, "may only be set when tokenRequests is configured");
        }
    }

    fn validate_update(&self, new: &Field<'_>, old: &Field<'_>, errors: &mut Errors) {
        let (spec, before) = (new.get("spec"), old.get("spec"));
        for fixed in ["attachRequired", "volumeLifecycleModes"] {
            errors.immutable(&spec.get(fixed), &before.get(fixed));
        }
    }
}

pub(crate) struct NodeDriversStrategy;

impl Strategy for NodeDriversStrategy {
    fn validate(&self, object: &Field<'_>, errors: &mut Errors) {
        let spec = object.get("spec");
        let (drivers, mut seen) = (spec.get("drivers"), BTreeSet::new());
        for driver in drivers.items() {
            let (name, id) = (driver.get("name"), driver.get("nodeID"));
            validate_driver_name(&name, errors);
            if !seen.insert(name.text().to_owned()) {
                errors.duplicate(&name);
            }
            if id.is_empty() {
                errors.required(&id, "");
            } else if id.text().len() > NODE_ID {
                errors.too_long(&id, NODE_ID);
            }
            let allocatable = driver.get("allocatable");
            valid_count(&allocatable.get("count"), errors);
            let topology = driver.get("topologyKeys");
            for key in topology.items() {
                if let Err(rule) = names::qualified(key.text()) {
                    errors.invalid(&key, rule);
                }
            }
        }
    }

    /// A driver may come, go, and take another number of volumes; else it stays as it registered.
    fn validate_update(&self, new: &Field<'_>, old: &Field<'_>, errors: &mut Errors) {
        let (spec, before) = (new.get("spec"), old.get("spec"));
        let (drivers, former) = (spec.get("drivers"), before.get("drivers"));
        let bare = |driver: &Field<'_>| {
            let mut bare = driver.value.clone();
            crate::lifecycle::remove(&mut bare, "allocatable");
            bare
        };
        for driver in drivers.items() {
            let name = driver.get("name");
            let known = former.items().find(|known| known.get("name").value == name.value);
            if known.is_some_and(|known| bare(&known) != bare(&driver)) {
                errors.invalid(&driver, "field is immutable");
            }
        }
    }
}

fn validate_driver_name(name: &Field<'_>, errors: &mut Errors) {
    if name.is_empty() {
        errors.required(name, "");
    } else if name.text().len() > DRIVER_NAME {
        errors.too_long(name, DRIVER_NAME);
    } else if let Err(rule) = names::subdomain(&name.text().to_ascii_lowercase()) {
        errors.invalid(name, rule);
    }
}

pub(crate) struct AttachmentStrategy;

impl Strategy for AttachmentStrategy {
    fn start(&self, object: &mut Value, _stamp: &Stamp) {
        object["status"] = json!({"attached": false});
    }

    fn validate(&self, object: &Field<'_>, errors: &mut Errors) {
        let spec = object.get("spec");
        validate_driver_name(&spec.get("attacher"), errors);
        let (node, source) = (spec.get("nodeName"), spec.get("source"));
        if let Err(rule) = names::subdomain(node.text()) {
            errors.invalid(&node, rule);
        }
        let (volume, inline) = (source.get("persistentVolumeName"), source.get("inlineVolumeSpec"));
        let rule = "must specify exactly one of inlineVolumeSpec and persistentVolumeName";
        match (volume.is_set(), inline.is_set()) {
            (false, false) => errors.required(&source, rule),
            (true, true) => errors.forbidden(&source, rule),
            (true, false) if volume.is_empty() => {
                errors.required(&volume, "must specify non empty persistentVolumeName");
            }
            _ => {}
        }
    }

    fn validate_update(&self, new: &Field<'_>, old: &Field<'_>, errors: &mut Errors) {
        errors.immutable(&new.get("spec"), &old.get("spec"));
    }
}
