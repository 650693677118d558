//! Authorization and admission: the two stages between who asks and what is stored.
//!
//! Until roles exist every member of the cluster (whoever holds a certificate of its CA) may do
//! everything, so [`authorize`] refuses nobody; it is the one place where that will change.

use http::Method;
use k8s_openapi::{Resource, api::core::v1::Namespace};
use skein_objects::StatusError;

use crate::{
    identity::Identity,
    route::{Target, Verb},
};

/// Namespaces the cluster cannot do without.
const IMMORTAL_NAMESPACES: [&str; 3] = ["default", "kube-system", "kube-public"];

/// Who wants to do what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attributes<'a> {
    identity: &'a Identity,
    method: &'a Method,
    objects: Option<(Verb, &'a Target)>,
}

impl<'a> Attributes<'a> {
    pub(crate) fn of(
        identity: &'a Identity,
        method: &'a Method,
        objects: Option<(Verb, &'a Target)>,
    ) -> Self {
        Self { identity, method, objects }
    }
}

/// Whether the client may do this.
pub(crate) fn authorize(attributes: &Attributes<'_>) -> Result<(), StatusError> {
    tracing::trace!(
        user = attributes.identity.user,
        groups = ?attributes.identity.groups,
        method = %attributes.method,
        objects = ?attributes.objects,
        "allowed"
    );
    Ok(())
}

/// Whether the cluster lets this happen to its objects, whoever asks.
pub(crate) fn admit(verb: Verb, target: &Target) -> Result<(), StatusError> {
    let kind = &target.kind;
    let is_namespace = kind.group == Namespace::GROUP && kind.kind == Namespace::KIND;
    if verb == Verb::Delete && is_namespace && IMMORTAL_NAMESPACES.contains(&target.name()) {
        let why = "this namespace may not be deleted";
        return Err(StatusError::forbidden(kind, target.name(), why));
    }
    Ok(())
}
