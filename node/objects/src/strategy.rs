//! What one kind does differently from the others.

use jiff::Timestamp;
use serde_json::Value;

use crate::field::{Errors, Field};
use crate::lifecycle::{Part, Stamp};

/// How the name of an object may look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NameRule {
    /// Lower case letters, digits and `-`, at most 63: RFC 1123 labels.
    Label,
    /// Labels joined by dots, at most 253: RFC 1123 subdomains.
    Subdomain,
    /// A label that begins with a letter, at most 63: RFC 1035 labels, as services have them.
    ServiceLabel,
    /// Whatever stands between two `/` of a path, as names of roles may.
    PathSegment,
}

/// How long the end of an object may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// It is removed at once (finalizers aside).
    AtOnce,
    /// Somebody must end it first; up to so many seconds.
    Graceful(u64),
}

/// The rules of one kind. Every method has a neutral default.
pub(crate) trait Strategy: Sync {
    /// How names may look.
    fn name_rule(&self) -> NameRule {
        NameRule::Subdomain
    }

    /// Whether a create may carry a status, as a node's own registration does.
    fn keeps_status_on_create(&self) -> bool {
        false
    }

    /// Fills what the user left out; runs on create and on update, before validation.
    fn default(&self, _object: &mut Value) {}

    /// Fills what only a new object gets, such as an initial status.
    fn start(&self, _object: &mut Value, _stamp: &Stamp) {}

    /// Derives what a new object keeps from its defaulted spec.
    fn settle(&self, _object: &mut Value) {}

    /// Takes note of a change that is otherwise ready: derives a field of the status, or keeps what
    /// the old object was given and the new one does not mention.
    fn observe(&self, _object: &mut Value, _old: &Value, _part: Part, _now: Timestamp) {}

    /// Whether [`Part::EphemeralContainers`] is a part of it.
    fn has_ephemeral_containers(&self) -> bool {
        false
    }

    /// Whether [`Part::Resize`] is a part of it.
    fn can_be_resized(&self) -> bool {
        false
    }

    /// Checks an object by itself.
    fn validate(&self, _object: &Field<'_>, _errors: &mut Errors) {}

    /// Checks a new object.
    fn validate_create(&self, object: &Field<'_>, errors: &mut Errors) {
        self.validate(object, errors);
    }

    /// Checks a change.
    fn validate_update(&self, _new: &Field<'_>, _old: &Field<'_>, _errors: &mut Errors) {}

    /// Checks a change of a part, by itself and against what was.
    fn validate_change(&self, part: Part, new: &Field<'_>, old: &Field<'_>, errors: &mut Errors) {
        if part != Part::Status {
            self.validate(new, errors);
            self.validate_update(new, old, errors);
        }
    }

    /// What whoever writes the object should know, as sentences.
    fn warnings(&self, _object: &Value) -> Vec<String> {
        Vec::new()
    }

    /// How the object ends when somebody deletes it.
    fn ending(&self, _object: &Value, _grace_seconds: Option<u64>) -> Ending {
        Ending::AtOnce
    }

    /// What else changes when an object begins to end but stays for now.
    fn terminate(&self, _object: &mut Value) {}

    /// Whether something other than `metadata.finalizers` still holds a deleted object.
    fn is_held(&self, _object: &Value) -> bool {
        false
    }
}

/// A kind without rules of its own.
pub(crate) struct Plain;

impl Strategy for Plain {}
