//! Join tokens: the hash is fixed, and what is revoked stays revoked.

use crate::field::{Errors, Field};
use crate::strategy::Strategy;

/// SHA-256 in hexadecimal.
const HASH_CHARACTERS: usize = 64;

pub(crate) struct JoinTokenStrategy;

impl Strategy for JoinTokenStrategy {
    fn validate(&self, object: &Field<'_>, errors: &mut Errors) {
        let spec = object.get("spec");
        let hash = spec.get("secretHash");
        let fine = hash.text().len() == HASH_CHARACTERS
            && hash.text().bytes().all(|byte| byte.is_ascii_hexdigit());
        if hash.text().is_empty() {
            errors.required(&hash, "");
        } else if !fine {
            errors.invalid(&hash, "must be a SHA-256 in hexadecimal");
        }
    }

    fn validate_update(&self, new: &Field<'_>, old: &Field<'_>, errors: &mut Errors) {
        let (spec, before) = (new.get("spec"), old.get("spec"));
        errors.immutable(&spec.get("secretHash"), &before.get("secretHash"));
        let revoked = spec.get("revoked");
        if before.get("revoked").is_true() && !revoked.is_true() {
            errors.forbidden(&revoked, "a revoked token stays revoked");
        }
    }
}
