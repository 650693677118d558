//! The Kubernetes REST front: discovery, verbs, watch, OpenAPI.
//!
//! [`Api`] answers requests; [`serve`] puts one HTTPS listener before it, where every client is
//! known by its certificate or a token. A request goes through named stages: route, authenticate, authorize,
//! admit, store. Each verb is written once over the registry of kinds in `skein-objects`; all
//! state is behind `skein-storage`.

mod access;
mod api;
mod audit;
mod body;
mod call;
mod cluster;
mod conversion;
mod discovery;
mod endpoints;
mod filter;
mod form;
mod hosts;
mod identity;
pub mod limits;
mod load;
mod media;
mod metrics;
mod query;
mod reply;
mod reviews;
mod route;
mod server;
mod service;
mod subresource;
mod tls;
mod tokens;
mod verbs;
mod webhook;

#[cfg(test)]
mod tests;

pub use api::{Api, ApiConfig, LoadLimits};
pub use audit::{Audit, AuditError, AuditLog};
pub use body::BodyError;
pub use cluster::{ClusterView, Impairment, UserCertificate};
pub use hosts::{
    ByteStream, ConnectRequest, Conversation, Duplex, ExecRequest, HostProxy, ImageLoad, LogRequest,
};
pub use identity::Identity;
pub use metrics::Gauge;
pub use reply::{Reply, ReplyBody};
pub use server::{ServeError, Server, ServerConfig, serve};
pub use tls::{TlsConfig, TlsError};
