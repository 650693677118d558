//! Leases: who holds something, and for how long.

use super::workload::valid_count;
use crate::field::{Errors, Field};
use crate::strategy::Strategy;

pub(crate) struct LeaseStrategy;

impl Strategy for LeaseStrategy {
    fn validate(&self, object: &Field<'_>, errors: &mut Errors) {
        let spec = object.get("spec");
        let seconds = spec.get("leaseDurationSeconds");
        if seconds.integer().is_some_and(|seconds| seconds <= 0) {
            errors.invalid(&seconds, "must be greater than 0");
        }
        valid_count(&spec.get("leaseTransitions"), errors);
    }
}
