//! Patches: JSON (RFC 6902), merge (RFC 7386) and Kubernetes' strategic merge.
//!
//! Each takes the old object and gives the new one, unchecked: the outcome goes through
//! [`crate::check`] like any other object.

mod merge_keys;
mod strategic;
#[cfg(test)]
mod tests;

use json_patch::{MoveOperation, PatchOperation};
use serde_json::Value;

use crate::limits;
use crate::status::{Reason, StatusError};

pub(crate) use merge_keys::{MergeRule, merge_rule};
pub use strategic::strategic_merge_patch;

/// Applies a JSON patch.
///
/// # Errors
/// 400 when it is no list of operations or makes the object too deep, 413 when it has too many or
/// copies too much, 422 when one does not apply.
pub fn json_patch(object: &Value, patch: &Value) -> Result<Value, StatusError> {
    let operations: json_patch::Patch = serde_json::from_value(patch.clone())
        .map_err(|error| StatusError::bad_request(format!("error decoding patch: {error}")))?;
    if operations.0.len() > limits::PATCH_OPERATIONS {
        return Err(StatusError::new(
            Reason::RequestEntityTooLarge,
            format!(
                "The allowed maximum operations in a JSON patch is {}, got {}",
                limits::PATCH_OPERATIONS,
                operations.0.len()
            ),
        ));
    }
    let mut patched = object.clone();
    let mut copied = 0;
    for operation in &operations.0 {
        if !stays_shallow(operation, &patched) {
            return Err(StatusError::bad_request(format!(
                "error applying patch: the object would be more than {} levels deep",
                limits::DEPTH
            )));
        }
        copied += copied_bytes(operation, &patched);
        if copied > limits::PATCH_COPY_BYTES {
            return Err(StatusError::request_too_large(limits::PATCH_COPY_BYTES));
        }
        if tests_absence(operation, &patched) {
            continue;
        }
        json_patch::patch(&mut patched, std::slice::from_ref(operation)).map_err(|error| {
            StatusError::new(
                Reason::Invalid,
                format!("the server rejected our request due to an error in our request: {error}"),
            )
        })?;
    }
    Ok(patched)
}

/// Whether an operation tests that a member of something is null, and it is not there: that holds in
/// Kubernetes, and clients rely on it to be the first to write a member.
fn tests_absence(operation: &PatchOperation, object: &Value) -> bool {
    let PatchOperation::Test(test) = operation else { return false };
    let parent = test.path.parent().and_then(|parent| parent.resolve(object).ok());
    test.value.is_null()
        && parent.is_some_and(Value::is_object)
        && test.path.resolve(object).is_err()
}

/// The bytes of what an operation copies: copies of copies double, and a few dozen would fill the
/// memory. What moves down counts, too, for [`stays_shallow`] looks through all of it.
fn copied_bytes(operation: &PatchOperation, object: &Value) -> usize {
    let from = match operation {
        PatchOperation::Copy(copy) => &copy.from,
        PatchOperation::Move(moved) if moves_down(moved) => &moved.from,
        _ => return 0,
    };
    from.resolve(object).map_or(0, |value| value.to_string().len())
}

fn moves_down(moved: &MoveOperation) -> bool {
    moved.path.count() > moved.from.count()
}

/// Whether what an operation puts somewhere ends within the depth that objects may have: everything
/// that walks them recurses.
fn stays_shallow(operation: &PatchOperation, object: &Value) -> bool {
    let (value, path) = match operation {
        PatchOperation::Add(add) => (Some(&add.value), &add.path),
        PatchOperation::Replace(replace) => (Some(&replace.value), &replace.path),
        PatchOperation::Copy(copy) => (copy.from.resolve(object).ok(), &copy.path),
        PatchOperation::Move(moved) if moves_down(moved) => {
            (moved.from.resolve(object).ok(), &moved.path)
        }
        PatchOperation::Move(_) | PatchOperation::Remove(_) | PatchOperation::Test(_) => {
            return true;
        }
    };
    value.is_none_or(|value| fits(value, limits::DEPTH.saturating_sub(path.count())))
}

fn fits(value: &Value, levels: usize) -> bool {
    match value {
        Value::Object(all) => levels > 0 && all.values().all(|one| fits(one, levels - 1)),
        Value::Array(all) => levels > 0 && all.iter().all(|one| fits(one, levels - 1)),
        _ => true,
    }
}

/// Applies a JSON merge patch.
///
/// # Errors
/// 400 when it is not a map.
pub fn merge_patch(object: &Value, patch: &Value) -> Result<Value, StatusError> {
    if !patch.is_object() {
        return Err(StatusError::bad_request("error decoding patch: a merge patch is a map"));
    }
    let mut patched = object.clone();
    json_patch::merge(&mut patched, patch);
    Ok(patched)
}
