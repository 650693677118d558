//! From a path to what it names. Pure.

use std::sync::Arc;

use http::Method;
use percent_encoding::percent_decode_str;
use skein_objects::{Kind, Registry, Scope, StatusError};

use crate::{reviews::Review, subresource::Subresource};

/// What a path names.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Route {
    /// `/healthz`, `/livez`.
    Alive,
    /// `/readyz`.
    Ready,
    /// `/version`.
    Version,
    /// `/metrics`.
    Metrics,
    /// `/api`.
    CoreVersions,
    /// `/apis`.
    Groups,
    /// `/apis/GROUP`.
    Group(String),
    /// `/api/v1`, `/apis/GROUP/VERSION`.
    Resources { group: String, version: String },
    /// `/openapi/v3`.
    OpenApiIndex,
    /// `/openapi/v3/…`.
    OpenApi { group: String, version: String },
    /// `/openapi/v2`.
    OpenApiV2,
    /// `/.well-known/openid-configuration`.
    Issuer,
    /// `/openid/v1/jwks`.
    KeySet,
    /// `/skein/v1/status`.
    ClusterStatus,
    /// `/skein/v1/peers`.
    Peers,
    /// `/skein/v1/nodes/NAME`.
    Member(String),
    /// `/skein/v1/recovery`.
    Recovery,
    /// `/skein/v1/rejoin`.
    Rejoin,
    /// `/skein/v1/images`.
    Images,
    /// `/skein/v1/kubeconfig`.
    Kubeconfig,
    /// A question that is answered and not kept.
    Review { review: &'static Review, namespace: String },
    /// Objects.
    Objects(Target),
}

impl Route {
    /// Whether the answer says which kinds there are.
    pub(crate) fn is_discovery(&self) -> bool {
        matches!(
            self,
            Self::Groups
                | Self::Group(_)
                | Self::Resources { .. }
                | Self::OpenApiIndex
                | Self::OpenApi { .. }
                | Self::OpenApiV2
        )
    }

    /// Whether it is served to clients that nobody knows.
    pub(crate) fn is_public(&self) -> bool {
        matches!(self, Self::Alive | Self::Ready | Self::Version)
    }
}

/// Objects of a kind: all, those of a namespace, one, or a part of one.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Target {
    pub(crate) kind: Arc<Kind>,
    pub(crate) namespace: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) subresource: Option<Subresource>,
}

impl Target {
    /// The namespace, empty for cluster-scoped kinds.
    pub(crate) fn namespace(&self) -> &str {
        self.namespace.as_deref().unwrap_or_default()
    }

    /// The name, empty for collections.
    pub(crate) fn name(&self) -> &str {
        self.name.as_deref().unwrap_or_default()
    }
}

/// What a request does to its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Get,
    List,
    Watch,
    Create,
    Update,
    Patch,
    Delete,
    DeleteCollection,
}

impl Verb {
    /// As roles and audit events name it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::List => "list",
            Self::Watch => "watch",
            Self::Create => "create",
            Self::Update => "update",
            Self::Patch => "patch",
            Self::Delete => "delete",
            Self::DeleteCollection => "deletecollection",
        }
    }

    /// Whether it only looks.
    pub(crate) fn reads(self) -> bool {
        matches!(self, Self::Get | Self::List | Self::Watch)
    }
}

/// Reads a path, where these kinds are served.
///
/// # Errors
/// 404 where it names nothing that is served.
pub(crate) fn route(path: &str, registry: &Registry) -> Result<Route, StatusError> {
    let segments = segments(path);
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let route = match segments.as_slice() {
        ["healthz" | "livez", ..] => Route::Alive,
        ["readyz", ..] => Route::Ready,
        ["version"] => Route::Version,
        ["metrics"] => Route::Metrics,
        ["api"] => Route::CoreVersions,
        ["api", version] => resources("", version),
        ["api", version, rest @ ..] => Route::Objects(target(registry, "", version, rest)?),
        ["apis"] => Route::Groups,
        ["apis", group] => Route::Group((*group).to_owned()),
        ["apis", group, version] => resources(group, version),
        ["apis", group, version, rest @ ..] => match Review::find(group, version, rest) {
            Some((review, namespace)) => Route::Review { review, namespace },
            None => Route::Objects(target(registry, group, version, rest)?),
        },
        ["openapi", "v2"] => Route::OpenApiV2,
        ["openapi", "v3"] => Route::OpenApiIndex,
        ["openapi", "v3", "api", version] => openapi("", version),
        ["openapi", "v3", "apis", group, version] => openapi(group, version),
        [".well-known", "openid-configuration"] => Route::Issuer,
        ["openid", "v1", "jwks"] => Route::KeySet,
        ["skein", "v1", "status"] => Route::ClusterStatus,
        ["skein", "v1", "peers"] => Route::Peers,
        ["skein", "v1", "nodes", name] => Route::Member((*name).to_owned()),
        ["skein", "v1", "recovery"] => Route::Recovery,
        ["skein", "v1", "rejoin"] => Route::Rejoin,
        ["skein", "v1", "images"] => Route::Images,
        ["skein", "v1", "kubeconfig"] => Route::Kubeconfig,
        _ => return Err(StatusError::no_resource()),
    };
    Ok(route)
}

/// A path as rules know it, however it is written: without empty segments, and decoded.
pub(crate) fn canonical_path(path: &str) -> String {
    format!("/{}", segments(path).join("/"))
}

fn segments(path: &str) -> Vec<String> {
    let decode = |segment| percent_decode_str(segment).decode_utf8_lossy().into_owned();
    path.split('/').filter(|segment| !segment.is_empty()).map(decode).collect()
}

fn resources(group: &str, version: &str) -> Route {
    Route::Resources { group: group.to_owned(), version: version.to_owned() }
}

fn openapi(group: &str, version: &str) -> Route {
    Route::OpenApi { group: group.to_owned(), version: version.to_owned() }
}

fn target(
    registry: &Registry,
    group: &str,
    version: &str,
    rest: &[&str],
) -> Result<Target, StatusError> {
    let (namespace, rest) = match rest {
        // A part of the namespace itself, not a collection in it.
        ["namespaces", _, "status" | "finalize", ..] => (None, rest),
        ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (Some(*namespace), rest),
        rest => (None, rest),
    };
    let (plural, name, part) = match rest {
        [plural] => (*plural, None, None),
        [plural, name] => (*plural, Some(*name), None),
        [plural, name, part] => (*plural, Some(*name), Some(*part)),
        // What follows is the pod's own.
        [plural, name, "proxy", ..] => (*plural, Some(*name), Some("proxy")),
        _ => return Err(StatusError::no_resource()),
    };
    let kind = registry.by_resource(group, version, plural).cloned();
    let kind = kind.ok_or_else(StatusError::no_resource)?;
    let fits = match kind.scope {
        Scope::Cluster => namespace.is_none(),
        // Only a list goes over all namespaces.
        Scope::Namespaced => namespace.is_some() || name.is_none(),
    };
    let subresource = match part {
        None => None,
        Some(part) => Some(Subresource::of(&kind, part).ok_or_else(StatusError::no_resource)?),
    };
    if !fits {
        return Err(StatusError::no_resource());
    }
    Ok(Target {
        kind,
        namespace: namespace.map(str::to_owned),
        name: name.map(str::to_owned),
        subresource,
    })
}

/// What `method` does to `target`; `None` where it does nothing there.
pub(crate) fn verb(method: &Method, target: &Target, is_watch: bool) -> Option<Verb> {
    let is_item = target.name.is_some();
    let verb = match *method {
        Method::GET | Method::HEAD if is_watch && target.subresource.is_none() => Verb::Watch,
        Method::GET | Method::HEAD if is_item => Verb::Get,
        Method::GET | Method::HEAD => Verb::List,
        Method::POST => Verb::Create,
        Method::PUT if is_item => Verb::Update,
        Method::PATCH if is_item => Verb::Patch,
        Method::DELETE if is_item => Verb::Delete,
        Method::DELETE => Verb::DeleteCollection,
        _ => return None,
    };
    let allowed = match &target.subresource {
        Some(subresource) => subresource.allows(verb),
        // Objects are made in their collection, in a namespace if they live in one.
        None if verb == Verb::Create => {
            !is_item && (target.namespace.is_some() || target.kind.scope == Scope::Cluster)
        }
        None => true,
    };
    allowed.then_some(verb)
}

#[cfg(test)]
mod tests;
