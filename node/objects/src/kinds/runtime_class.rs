//! Runtime classes: ways to run a pod.

use crate::field::{Errors, Field};
use crate::lifecycle::validate_labels;
use crate::names;
use crate::podspec::{validate_quantity, validate_tolerations};
use crate::strategy::Strategy;

pub(crate) struct RuntimeClassStrategy;

impl Strategy for RuntimeClassStrategy {
    fn validate(&self, object: &Field<'_>, errors: &mut Errors) {
        let handler = object.get("handler");
        if let Err(rule) = names::label(handler.text()) {
            errors.invalid(&handler, rule);
        }
        let overhead = object.get("overhead");
        let amounts = overhead.get("podFixed");
        for (_, amount) in amounts.entries() {
            validate_quantity(&amount, errors);
        }
        let scheduling = object.get("scheduling");
        validate_labels(&scheduling.get("nodeSelector"), errors);
        validate_tolerations(&scheduling.get("tolerations"), errors);
    }

    fn validate_update(&self, new: &Field<'_>, old: &Field<'_>, errors: &mut Errors) {
        errors.immutable(&new.get("handler"), &old.get("handler"));
    }
}
