//! Who may be disturbed, and who goes first: disruption budgets and priority classes.

use serde_json::{Value, json};

use super::selectors;
use super::workload::validate_share;
use crate::field::{Errors, Field};
use crate::lifecycle::Stamp;
use crate::podspec::{set_text, validate_choice};
use crate::strategy::Strategy;

/// The highest priority that users may give, as Kubernetes has it.
const HIGHEST_PRIORITY: i64 = 1_000_000_000;

/// Classes whose name begins so belong to the system.
const SYSTEM: &str = "system-";

/// Those that there are, with their values.
const SYSTEM_CLASSES: [(&str, i64); 2] =
    [("system-node-critical", 2_000_001_000), ("system-cluster-critical", 2_000_000_000)];

const EVICTIONS: [&str; 2] = ["AlwaysAllow", "IfHealthyBudget"];
const PREEMPTIONS: [&str; 2] = ["Never", "PreemptLowerPriority"];

pub(crate) struct BudgetStrategy;

impl Strategy for BudgetStrategy {
    fn start(&self, object: &mut Value, _stamp: &Stamp) {
        object["status"] = json!({
            "currentHealthy": 0, "desiredHealthy": 0, "disruptionsAllowed": 0, "expectedPods": 0,
        });
    }

    fn validate(&self, object: &Field<'_>, errors: &mut Errors) {
        let spec = object.get("spec");
        let (least, most) = (spec.get("minAvailable"), spec.get("maxUnavailable"));
        if least.is_set() && most.is_set() {
            errors.invalid(&spec, "minAvailable and maxUnavailable cannot be both set");
        }
        validate_share(&least, errors);
        validate_share(&most, errors);
        selectors::validate(&spec.get("selector"), errors);
        validate_choice(&spec.get("unhealthyPodEvictionPolicy"), &EVICTIONS, errors);
    }
}

pub(crate) struct PriorityClassStrategy;

impl Strategy for PriorityClassStrategy {
    fn default(&self, object: &mut Value) {
        let Some(class) = object.as_object_mut() else { return };
        set_text(class, "preemptionPolicy", "PreemptLowerPriority");
    }

    fn validate(&self, object: &Field<'_>, errors: &mut Errors) {
        let (metadata, value) = (object.get("metadata"), object.get("value"));
        let name = metadata.get("name");
        if name.text().starts_with(SYSTEM) {
            let known = (name.text(), value.integer().unwrap_or(0));
            if !SYSTEM_CLASSES.contains(&known) || object.get("globalDefault").is_true() {
                let rule =
                    "priority class names with 'system-' prefix are reserved for system use only";
                errors.forbidden(&name, rule);
            }
        } else if value.integer().is_some_and(|value| value > HIGHEST_PRIORITY) {
            let rule =
                format!("maximum allowed value of a user defined priority is {HIGHEST_PRIORITY}");
            errors.forbidden(&value, rule);
        }
        validate_choice(&object.get("preemptionPolicy"), &PREEMPTIONS, errors);
    }

    fn validate_update(&self, new: &Field<'_>, old: &Field<'_>, errors: &mut Errors) {
        let (value, had) = (new.get("value"), old.get("value"));
        if value.value != had.value {
            errors.forbidden(&value, "may not be changed in an update.");
        }
        errors.immutable(&new.get("preemptionPolicy"), &old.get("preemptionPolicy"));
    }
}
