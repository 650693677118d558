//! Nodes: they register themselves, status included.

use serde_json::{Value, json};

use crate::field::{Errors, Field};
use crate::names;
use crate::strategy::Strategy;

const EFFECTS: [&str; 3] = ["NoSchedule", "PreferNoSchedule", "NoExecute"];

pub(crate) struct NodeStrategy;

impl Strategy for NodeStrategy {
    fn keeps_status_on_create(&self) -> bool {
        true
    }

    fn default(&self, object: &mut Value) {
        let range = object["spec"]["podCIDR"].as_str().unwrap_or("").to_owned();
        if !range.is_empty() && !object["spec"]["podCIDRs"].is_array() {
            object["spec"]["podCIDRs"] = json!([range]);
        }
        let capacity = &object["status"]["capacity"];
        if capacity.is_object() && !object["status"]["allocatable"].is_object() {
            object["status"]["allocatable"] = capacity.clone();
        }
    }

    fn validate(&self, object: &Field<'_>, errors: &mut Errors) {
        let spec = object.get("spec");
        let taints = spec.get("taints");
        let mut seen = Vec::new();
        for taint in taints.items() {
            let (key, effect) = (taint.get("key"), taint.get("effect"));
            if let Err(rule) = names::qualified(key.text()) {
                errors.invalid(&key, rule);
            }
            if !EFFECTS.contains(&effect.text()) {
                errors.not_supported(&effect, &EFFECTS);
            }
            let identity = (key.text().to_owned(), effect.text().to_owned());
            if seen.contains(&identity) {
                errors.duplicate(&taint);
            }
            seen.push(identity);
        }
    }

    fn validate_update(&self, new: &Field<'_>, old: &Field<'_>, errors: &mut Errors) {
        let (spec, before) = (new.get("spec"), old.get("spec"));
        for member in ["podCIDR", "providerID"] {
            let was = before.get(member);
            let field = spec.get(member);
            if !was.text().is_empty() && was.value != field.value {
                errors.forbidden(&field, "node updates may not change this field once it is set");
            }
        }
    }
}
