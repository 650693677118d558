//! Creates whose outcome is not known.
//!
//! Two creates of a pod with a generated name do not exclude each other, so no precondition stops a
//! set from making again what is only late. A set is in doubt from before its creates until each of
//! them is confirmed and seen, also when the work on it is cut off in between; before it plans
//! again, the doubt must be settled.

use std::{
    collections::HashSet,
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::reconcile::ObjectKey;

/// The sets in doubt.
#[derive(Default)]
pub(super) struct Doubts(Mutex<HashSet<ObjectKey>>);

impl Doubts {
    pub(super) fn contains(&self, key: &ObjectKey) -> bool {
        self.lock().contains(key)
    }

    pub(super) fn raise(&self, key: ObjectKey) {
        self.lock().insert(key);
    }

    pub(super) fn settle(&self, key: &ObjectKey) {
        self.lock().remove(key);
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<ObjectKey>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
