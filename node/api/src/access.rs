//! Authorization and admission: the two stages between who asks and what is stored.
//!
//! Whoever holds a certificate of the cluster's CA may do everything. A service account may do what
//! roles say that are bound to it, and nothing else. [`authorize`] is the one place that decides.

mod rules;

use skein_objects::{Reason, StatusError};
use skein_storage::Storage;

use crate::{
    identity::Identity,
    route::{Target, Verb},
    tokens,
};

pub(crate) use self::rules::Rules;

/// Namespaces the cluster cannot do without.
const IMMORTAL_NAMESPACES: [&str; 3] = ["default", "kube-system", "kube-public"];

/// What somebody wants to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Action<'a> {
    /// As roles name it: `list`, `create`; of a path the method in lower case.
    pub(crate) verb: &'a str,
    pub(crate) object: Object<'a>,
}

/// What it is done to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Object<'a> {
    /// A resource, with what of it is not asked for empty.
    Resource {
        group: &'a str,
        resource: &'a str,
        subresource: &'a str,
        namespace: &'a str,
        name: &'a str,
    },
    /// A path that is no resource's.
    Path(&'a str),
}

impl<'a> Action<'a> {
    /// A verb on objects: on the one of this name, if it has one.
    pub(crate) fn on(verb: Verb, target: &'a Target, name: &'a str) -> Self {
        let object = Object::Resource {
            group: &target.kind.group,
            resource: &target.kind.plural,
            subresource: target.subresource.map_or("", |part| part.name()),
            namespace: match (&*target.kind.kind, &*target.kind.group) {
                // A namespace is in itself, as Kubernetes has it.
                ("Namespace", "") => target.name(),
                _ => target.namespace(),
            },
            name,
        };
        Self { verb: verb.name(), object }
    }

    /// Where it is done; empty for the cluster as a whole.
    pub(crate) fn namespace(&self) -> &'a str {
        match self.object {
            Object::Resource { namespace, .. } => namespace,
            Object::Path(_) => "",
        }
    }

    /// The refusal of it.
    fn forbidden(&self, user: &str) -> StatusError {
        let verb = self.verb;
        let (group, resource, subresource, namespace, name) = match self.object {
            Object::Path(path) => {
                let why = format!("forbidden: User {user:?} cannot {verb} path {path:?}");
                return StatusError::new(Reason::Forbidden, why);
            }
            Object::Resource { group, resource, subresource, namespace, name } => {
                (group, resource, subresource, namespace, name)
            }
        };
        let dotted = if group.is_empty() { String::new() } else { format!(".{group}") };
        let slashed =
            if subresource.is_empty() { String::new() } else { format!("/{subresource}") };
        let place = if namespace.is_empty() {
            "at the cluster scope".to_owned()
        } else {
            format!("in the namespace {namespace:?}")
        };
        let named = if name.is_empty() { String::new() } else { format!(" {name:?}") };
        let why = format!(
            "{resource}{dotted}{named} is forbidden: User {user:?} cannot {verb} resource \
             \"{resource}{slashed}\" in API group {group:?} {place}"
        );
        let mut error = StatusError::new(Reason::Forbidden, why);
        let details = &mut error.details;
        details.name = name.to_owned();
        details.group = group.to_owned();
        details.kind = resource.to_owned();
        error
    }
}

/// Whether somebody may do everything: who has a certificate may, service accounts and unknown
/// clients may not.
pub(crate) fn may_do_everything(identity: &Identity) -> bool {
    !identity.is_anonymous() && !identity.user.starts_with(tokens::USER_PREFIX)
}

/// Whether somebody may do this.
pub(crate) async fn allows(
    storage: &Storage,
    identity: &Identity,
    action: &Action<'_>,
) -> Result<bool, StatusError> {
    if may_do_everything(identity) {
        return Ok(true);
    }
    Ok(Rules::of(storage, identity, action.namespace()).await?.allow(action))
}

/// The second stage of every request: refuses what the client may not do.
pub(crate) async fn authorize(
    storage: &Storage,
    identity: &Identity,
    action: &Action<'_>,
) -> Result<(), StatusError> {
    if may_do_everything(identity) {
        return Ok(());
    }
    let rules = Rules::of(storage, identity, action.namespace()).await?;
    let refused = [*action].into_iter().chain(rules::beyond(action)).find(|one| !rules.allow(one));
    refused.map_or(Ok(()), |refused| Err(refused.forbidden(&identity.user)))
}

/// Whether the cluster lets this happen to its objects, whoever asks.
pub(crate) fn admit(verb: Verb, target: &Target) -> Result<(), StatusError> {
    let kind = &target.kind;
    let is_namespace = kind.group.is_empty() && kind.kind == "Namespace";
    if verb == Verb::Delete && is_namespace && IMMORTAL_NAMESPACES.contains(&target.name()) {
        let why = "this namespace may not be deleted";
        return Err(StatusError::forbidden(kind, target.name(), why));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_who_cannot_do_what_where() {
        let resource = |group, subresource, namespace, name| Object::Resource {
            group,
            resource: "pods",
            subresource,
            namespace,
            name,
        };
        let cases = [
            (
                Action { verb: "list", object: resource("", "", "shop", "") },
                r#"pods is forbidden: User "jo" cannot list resource "pods" in API group "" in the namespace "shop""#,
            ),
            (
                Action { verb: "create", object: resource("apps", "scale", "", "web") },
                r#"pods.apps "web" is forbidden: User "jo" cannot create resource "pods/scale" in API group "apps" at the cluster scope"#,
            ),
            (
                Action { verb: "get", object: Object::Path("/metrics") },
                r#"forbidden: User "jo" cannot get path "/metrics""#,
            ),
        ];
        for (action, expected) in cases {
            let error = action.forbidden("jo");
            assert_eq!((error.code, error.message.as_str()), (403, expected));
        }
    }
}
