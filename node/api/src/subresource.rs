//! The parts of objects that have an address of their own.

use k8s_openapi::{
    Resource,
    api::{
        certificates::v1::CertificateSigningRequest,
        core::v1::{Namespace, Node, Pod, Service, ServiceAccount},
    },
};
use skein_objects::Kind;

use crate::route::Verb;

/// A part of an object, or something done to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subresource {
    Status,
    Scale,
    Log,
    Binding,
    Eviction,
    Exec,
    Attach,
    PortForward,
    Proxy,
    EphemeralContainers,
    Resize,
    Approval,
    Finalize,
    Token,
}

const ALL: [Subresource; 14] = [
    Subresource::Status,
    Subresource::Scale,
    Subresource::Log,
    Subresource::Binding,
    Subresource::Eviction,
    Subresource::Exec,
    Subresource::Attach,
    Subresource::PortForward,
    Subresource::Proxy,
    Subresource::EphemeralContainers,
    Subresource::Resize,
    Subresource::Approval,
    Subresource::Finalize,
    Subresource::Token,
];

impl Subresource {
    /// The subresource `name` of `kind`.
    pub(crate) fn of(kind: &Kind, name: &str) -> Option<Self> {
        Self::all_of(kind).find(|subresource| subresource.name() == name)
    }

    /// Every subresource of `kind`.
    pub(crate) fn all_of(kind: &Kind) -> impl Iterator<Item = Self> {
        let is_pod = kind.group == Pod::GROUP && kind.kind == Pod::KIND;
        let is_service = kind.group == Service::GROUP && kind.kind == Service::KIND;
        let is_node = kind.group == Node::GROUP && kind.kind == Node::KIND;
        let is_namespace = kind.group == Namespace::GROUP && kind.kind == Namespace::KIND;
        let is_account = kind.group.is_empty() && kind.kind == ServiceAccount::KIND;
        let is_request = kind.group == CertificateSigningRequest::GROUP;
        let (has_status, has_scale) = (kind.status, kind.scale.is_some());
        ALL.into_iter().filter(move |subresource| match subresource {
            Self::Status => has_status,
            Self::Scale => has_scale,
            Self::Approval => is_request,
            Self::Finalize => is_namespace,
            Self::Token => is_account,
            Self::Proxy => is_pod || is_service || is_node,
            Self::Log
            | Self::Binding
            | Self::Eviction
            | Self::Exec
            | Self::Attach
            | Self::PortForward
            | Self::EphemeralContainers
            | Self::Resize => is_pod,
        })
    }

    /// Its segment in the path.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Scale => "scale",
            Self::Log => "log",
            Self::Binding => "binding",
            Self::Eviction => "eviction",
            Self::Exec => "exec",
            Self::Attach => "attach",
            Self::PortForward => "portforward",
            Self::Proxy => "proxy",
            Self::EphemeralContainers => "ephemeralcontainers",
            Self::Resize => "resize",
            Self::Approval => "approval",
            Self::Finalize => "finalize",
            Self::Token => "token",
        }
    }

    /// Group, version and kind of what is sent and answered there.
    pub(crate) fn response_kind(self, kind: &Kind) -> (&str, &str, &str) {
        match self {
            Self::Status
            | Self::Log
            | Self::EphemeralContainers
            | Self::Resize
            | Self::Approval
            | Self::Finalize => (&kind.group, &kind.version, &kind.kind),
            Self::Scale => ("autoscaling", "v1", "Scale"),
            Self::Binding => ("", "v1", "Binding"),
            Self::Eviction => ("policy", "v1", "Eviction"),
            Self::Token => ("authentication.k8s.io", "v1", "TokenRequest"),
            Self::Exec => ("", "v1", "PodExecOptions"),
            Self::Attach => ("", "v1", "PodAttachOptions"),
            Self::PortForward => ("", "v1", "PodPortForwardOptions"),
            Self::Proxy if kind.kind == Service::KIND => ("", "v1", "ServiceProxyOptions"),
            Self::Proxy if kind.kind == Node::KIND => ("", "v1", "NodeProxyOptions"),
            Self::Proxy => ("", "v1", "PodProxyOptions"),
        }
    }

    /// The verbs it has, as discovery names them.
    pub(crate) fn verbs(self) -> &'static [&'static str] {
        match self {
            Self::Status | Self::Scale | Self::EphemeralContainers | Self::Resize => {
                &["get", "patch", "update"]
            }
            Self::Log => &["get"],
            Self::Approval => &["get", "update"],
            Self::Finalize => &["update"],
            Self::Binding | Self::Eviction | Self::Token => &["create"],
            Self::Exec | Self::Attach | Self::PortForward => &["create", "get"],
            Self::Proxy => &["create", "delete", "get", "patch", "update"],
        }
    }

    /// Whether the request, or the whole connection, goes on to a pod or a node.
    pub(crate) fn connects(self) -> bool {
        matches!(self, Self::Exec | Self::Attach | Self::PortForward | Self::Proxy)
    }

    /// Whether the answer goes on for as long as both sides want.
    pub(crate) fn is_stream(self) -> bool {
        self == Self::Log || self.connects()
    }

    pub(crate) fn allows(self, verb: Verb) -> bool {
        match self {
            Self::Status | Self::Scale | Self::EphemeralContainers | Self::Resize => {
                matches!(verb, Verb::Get | Verb::Patch | Verb::Update)
            }
            Self::Log => verb == Verb::Get,
            Self::Approval => matches!(verb, Verb::Get | Verb::Update),
            Self::Finalize => verb == Verb::Update,
            Self::Binding | Self::Eviction | Self::Token => verb == Verb::Create,
            Self::Exec | Self::Attach | Self::PortForward => {
                matches!(verb, Verb::Create | Verb::Get)
            }
            Self::Proxy => true,
        }
    }
}
