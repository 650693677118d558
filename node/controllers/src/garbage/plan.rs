//! The decision about one object of the graph.

use super::index::{Entry, Neighbourhood, Owner};

/// Waits until the dependents that block are gone.
pub(super) const FOREGROUND: &str = "foregroundDeletion";
/// Waits until the dependents no longer name their owner.
pub(super) const ORPHAN: &str = "orphan";

/// What the index suggests. Deletions are suspicions that the store must confirm.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Plan {
    /// Nothing.
    Keep,
    /// Some owners are gone or on their way out.
    Examine {
        /// The object.
        entry: Entry,
        /// Owners that the index does not have: they may be gone.
        missing: Vec<Owner>,
        /// Owners that wait for this object to be gone.
        waiting: Vec<Owner>,
        /// Whether it has dependents itself.
        has_dependents: bool,
    },
    /// The owner is being deleted and its dependents shall stay: they must forget it first.
    Orphan {
        /// The owner.
        entry: Entry,
        /// Those that still name it.
        dependents: Vec<Entry>,
    },
    /// Nothing holds the owner's deletion any more.
    Release {
        /// The owner.
        entry: Entry,
        /// The finalizer to remove.
        finalizer: &'static str,
    },
}

/// Decides about one object.
pub(super) fn plan(near: &Neighbourhood<'_>) -> Plan {
    let entry = near.entry.clone();
    if entry.is_held_by(ORPHAN) {
        if near.dependents.is_empty() {
            return Plan::Release { entry, finalizer: ORPHAN };
        }
        let dependents = near.dependents.iter().copied().cloned().collect();
        return Plan::Orphan { entry, dependents };
    }
    if entry.is_held_by(FOREGROUND) {
        let blocks = |dependent: &&Entry| {
            let mut owners = dependent.ties.owners.iter();
            owners.any(|owner| owner.uid == entry.uid && owner.is_blocked)
        };
        if !near.dependents.iter().any(blocks) {
            return Plan::Release { entry, finalizer: FOREGROUND };
        }
    }
    if entry.ties.is_leaving || entry.ties.owners.is_empty() {
        return Plan::Keep;
    }
    let (mut missing, mut waiting) = (Vec::new(), Vec::new());
    for reference in &entry.ties.owners {
        match near.owners.iter().find(|owner| owner.uid == reference.uid) {
            None => missing.push(reference.clone()),
            Some(owner) if owner.is_held_by(FOREGROUND) => waiting.push(reference.clone()),
            Some(_) => {}
        }
    }
    if missing.is_empty() && waiting.is_empty() {
        return Plan::Keep;
    }
    Plan::Examine { entry, missing, waiting, has_dependents: !near.dependents.is_empty() }
}
