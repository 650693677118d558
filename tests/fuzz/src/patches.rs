//! Patches: an object in the first line, a patch of it in the second.

use serde_json::Value;
use skein_objects::{FieldValidation, Kind, StatusError, check, limits, patch};

use crate::{input, objects};

/// An object with its kind and a patch.
struct Patching {
    kind: &'static Kind,
    object: Value,
    patch: Value,
}

impl Patching {
    fn read(bytes: &[u8]) -> Option<Self> {
        let [object, patch] = input::lines(bytes);
        let (object, patch) = (input::json(object)?, input::json(patch)?);
        Some(Self { kind: input::kind_of(&object), object, patch })
    }

    /// Patches the object as it is, and as it would be stored; gives the former.
    fn patched(
        &self,
        apply: impl Fn(&Value) -> Result<Value, StatusError>,
    ) -> Result<Value, StatusError> {
        if let Some(stored) = objects::create(self.kind, self.object.clone())
            && let Ok(patched) = apply(&stored)
        {
            objects::update(self.kind, &stored, patched, objects::MANAGER);
        }
        let patched = apply(&self.object)?;
        assert!(input::depth(&patched) <= limits::DEPTH + 1, "deeper than the bound");
        Ok(patched)
    }
}

/// A JSON patch does what its operations do one after the other.
pub(crate) fn json_patch(bytes: &[u8]) {
    let Some(patching) = Patching::read(bytes) else { return };
    let patch = &patching.patch;
    let Ok(whole) = patching.patched(|object| patch::json_patch(object, patch)) else { return };
    let operations = patch.as_array().expect("a patch that applies is a list");
    let mut object = patching.object;
    for operation in operations {
        let single = Value::Array(vec![operation.clone()]);
        object = patch::json_patch(&object, &single).expect("an operation applies alone");
    }
    assert_eq!(object, whole, "operations do something else together");
}

/// A merge patch that is applied twice is applied once.
pub(crate) fn merge_patch(bytes: &[u8]) {
    let Some(patching) = Patching::read(bytes) else { return };
    let patch = &patching.patch;
    let Ok(once) = patching.patched(|object| patch::merge_patch(object, patch)) else { return };
    let twice = patch::merge_patch(&once, patch).expect("it applies again");
    assert_eq!(twice, once, "the second time does something else");
}

/// A strategic merge patch that is applied twice is applied once, apart from orders it asks for, if
/// what it makes is of its type.
pub(crate) fn strategic_patch(bytes: &[u8]) {
    let Some(patching) = Patching::read(bytes) else { return };
    let Patching { kind, patch, .. } = &patching;
    let apply = |object: &Value| patch::strategic_merge_patch(kind, object, patch);
    let Ok(once) = patching.patched(apply) else { return };
    let twice = apply(&once).expect("it applies again");
    if is_plain(patch) && check(kind, once.clone(), FieldValidation::Ignore).is_ok() {
        assert_eq!(twice, once, "the second time does something else");
    }
}

/// Whether a strategic patch says what is to be and not where: an item without a proper merge key
/// is a new one each time, as in Kubernetes.
fn is_plain(patch: &Value) -> bool {
    match patch {
        Value::Array(items) => items.iter().all(|item| {
            let keys = item.as_object().into_iter().flatten();
            let mut members = keys.map(|(_, member)| member);
            members.all(|member| !member.is_null()) && is_plain(item)
        }),
        Value::Object(members) => members
            .iter()
            .all(|(name, member)| !name.starts_with("$setElementOrder/") && is_plain(member)),
        _ => true,
    }
}
