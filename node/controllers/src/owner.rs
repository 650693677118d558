//! Controller references: who owns an object, and which objects an owner may claim.

use k8s_openapi::{
    Metadata, Resource,
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference},
};

use crate::pod::Pod;

/// The reference to the one owner that controls the object.
pub(crate) fn controller_of(meta: &ObjectMeta) -> Option<&OwnerReference> {
    meta.owner_references.iter().flatten().find(|owner| owner.controller == Some(true))
}

/// Whether the object is controlled by the owner of this uid.
pub(crate) fn is_controlled_by(meta: &ObjectMeta, uid: &str) -> bool {
    controller_of(meta).is_some_and(|owner| owner.uid == uid)
}

/// A reference that makes `owner` the controller of an object; the object keeps a foreground
/// deletion of its owner waiting.
pub(crate) fn controller_reference<T>(owner: &T) -> OwnerReference
where
    T: Resource + Metadata<Ty = ObjectMeta>,
{
    let meta = owner.metadata();
    OwnerReference {
        api_version: T::API_VERSION.to_owned(),
        kind: T::KIND.to_owned(),
        name: meta.name.clone().unwrap_or_default(),
        uid: meta.uid.clone().unwrap_or_default(),
        controller: Some(true),
        block_owner_deletion: Some(true),
    }
}

/// What an owner does about an object of the kind it owns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Claim {
    /// It is the owner's.
    Owned,
    /// It fits the selector and has no controller: take it.
    Adopt,
    /// It is the owner's but no longer fits the selector: let it go.
    Release,
    /// It is not the owner's.
    Foreign,
}

/// An object that may be claimed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Claimed<'a> {
    /// The uid of its controller.
    pub(crate) controller: Option<&'a str>,
    /// Whether it is being deleted.
    pub(crate) is_leaving: bool,
}

impl<'a> From<&'a ObjectMeta> for Claimed<'a> {
    fn from(meta: &'a ObjectMeta) -> Self {
        Self {
            controller: controller_of(meta).map(|controller| controller.uid.as_str()),
            is_leaving: meta.deletion_timestamp.is_some(),
        }
    }
}

impl<'a> From<&'a Pod> for Claimed<'a> {
    fn from(pod: &'a Pod) -> Self {
        Self { controller: pod.controller(), is_leaving: pod.is_terminating }
    }
}

/// Decides whether `owner` claims the object. An owner or an object that is being deleted changes
/// nothing.
pub(crate) fn claim<'a>(
    owner: &ObjectMeta,
    object: impl Into<Claimed<'a>>,
    selected: bool,
) -> Claim {
    let uid = owner.uid.as_deref().unwrap_or_default();
    let leaving = owner.deletion_timestamp.is_some();
    let object = object.into();
    match object.controller {
        Some(controller) if controller != uid => Claim::Foreign,
        Some(_) if selected || leaving => Claim::Owned,
        Some(_) if object.is_leaving => Claim::Foreign,
        Some(_) => Claim::Release,
        None if selected && !leaving && !object.is_leaving => Claim::Adopt,
        None => Claim::Foreign,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meta(uid: &str) -> ObjectMeta {
        ObjectMeta { uid: Some(uid.into()), ..ObjectMeta::default() }
    }

    fn owned_by(uid: &str) -> ObjectMeta {
        let reference =
            OwnerReference { uid: uid.into(), controller: Some(true), ..OwnerReference::default() };
        ObjectMeta { owner_references: Some(vec![reference]), ..meta("object") }
    }

    fn leaving(meta: ObjectMeta) -> ObjectMeta {
        let now = k8s_openapi::jiff::Timestamp::UNIX_EPOCH;
        ObjectMeta { deletion_timestamp: Some(now.into()), ..meta }
    }

    #[test]
    fn claims_follow_controller_selector_and_deletion() {
        let cases = [
            (meta("a"), owned_by("a"), true, Claim::Owned),
            (meta("a"), owned_by("a"), false, Claim::Release),
            (meta("a"), owned_by("b"), true, Claim::Foreign),
            (meta("a"), meta("object"), true, Claim::Adopt),
            (meta("a"), meta("object"), false, Claim::Foreign),
            (meta("a"), leaving(meta("object")), true, Claim::Foreign),
            (leaving(meta("a")), meta("object"), true, Claim::Foreign),
            (leaving(meta("a")), owned_by("a"), false, Claim::Owned),
        ];
        for (owner, object, selected, expected) in cases {
            assert_eq!(claim(&owner, &object, selected), expected, "{owner:?} {object:?}");
        }
    }
}
