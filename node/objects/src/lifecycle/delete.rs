//! How a delete begins and when it is complete.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{metadata_mut, rfc3339};
use crate::kind::Kind;
use crate::strategy::Ending;

/// Holds an object until its dependents are gone.
const FOREGROUND: &str = "foregroundDeletion";

/// Holds an object until its dependents are released.
const ORPHAN: &str = "orphan";

/// What happens to the objects that the deleted one owns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Propagation {
    /// They are deleted afterwards.
    Background,
    /// They are deleted first.
    Foreground,
    /// They stay.
    Orphan,
}

/// What a delete does to the object.
#[derive(Clone, Debug, PartialEq)]
pub enum DeletePlan {
    /// It goes at once.
    Remove,
    /// It stays, marked, until its grace is over and its finalizers are gone. Equal to the old
    /// object when the delete changes nothing.
    Update(Value),
}

/// Decides what a delete does.
///
/// `propagation` absent means what the object's own finalizers say, else background.
pub fn begin_delete(
    kind: &Kind,
    old: &Value,
    grace_seconds: Option<u64>,
    propagation: Option<Propagation>,
    now: Timestamp,
) -> DeletePlan {
    let mut object = old.clone();
    set_propagation(&mut object, propagation);
    let ending = kind.strategy().ending(&object, grace_seconds);
    let seconds = match ending {
        Ending::AtOnce => 0,
        Ending::Graceful(seconds) => seconds,
    };
    let held = has_finalizers(&object) || kind.strategy().is_held(&object);
    if seconds == 0 && !held {
        return DeletePlan::Remove;
    }
    let pending = old["metadata"]["deletionGracePeriodSeconds"].as_u64();
    let marked = old["metadata"].get("deletionTimestamp").is_some();
    if !marked || pending.is_some_and(|pending| seconds < pending) {
        mark(kind, &mut object, seconds, marked, now);
        kind.strategy().terminate(&mut object);
    }
    DeletePlan::Update(object)
}

/// Whether a marked object may be removed now: no finalizer holds it, no grace is left.
///
/// Updates ask this afterwards, so that taking away the last finalizer removes the object.
pub fn deletion_complete(kind: &Kind, object: &Value) -> bool {
    let metadata = &object["metadata"];
    metadata.get("deletionTimestamp").is_some()
        && metadata["deletionGracePeriodSeconds"].as_u64().unwrap_or(0) == 0
        && !has_finalizers(object)
        && !kind.strategy().is_held(object)
}

fn has_finalizers(object: &Value) -> bool {
    object["metadata"]["finalizers"].as_array().is_some_and(|list| !list.is_empty())
}

fn set_propagation(object: &mut Value, propagation: Option<Propagation>) {
    let wanted = match propagation {
        None => return,
        Some(Propagation::Background) => None,
        Some(Propagation::Foreground) => Some(FOREGROUND),
        Some(Propagation::Orphan) => Some(ORPHAN),
    };
    let mut finalizers: Vec<Value> =
        object["metadata"]["finalizers"].as_array().cloned().unwrap_or_default();
    finalizers.retain(|one| one != FOREGROUND && one != ORPHAN);
    finalizers.extend(wanted.map(Value::from));
    let Some(metadata) = metadata_mut(object) else { return };
    if finalizers.is_empty() {
        metadata.remove("finalizers");
    } else {
        metadata.insert("finalizers".to_owned(), Value::Array(finalizers));
    }
}

fn mark(kind: &Kind, object: &mut Value, seconds: u64, again: bool, now: Timestamp) {
    let grace = SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX));
    let deadline = now.saturating_add(grace).unwrap_or(now);
    let generation = object["metadata"]["generation"].as_i64();
    let Some(metadata) = metadata_mut(object) else { return };
    metadata.insert("deletionTimestamp".to_owned(), json!(rfc3339(deadline)));
    metadata.insert("deletionGracePeriodSeconds".to_owned(), json!(seconds));
    if let (true, false, Some(generation)) = (kind.generation, again, generation) {
        metadata.insert("generation".to_owned(), json!(generation + 1));
    }
}
