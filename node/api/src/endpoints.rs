//! Everything that is not objects: discovery, OpenAPI and Skein's own endpoints.

use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use http::{HeaderMap, Method, StatusCode, request::Parts};
use serde::Deserialize;
use serde_json::json;
use skein_objects::{Registry, StatusError, openapi};

use crate::{
    body::{self, RequestBody},
    identity::Identity,
    limits,
    media::{self, AGGREGATED_DISCOVERY, JSON, OPENAPI_PROTOBUF},
    metrics::OPENMETRICS,
    reply::{self, Reply},
    route::Route,
    service::Service,
    tokens::ISSUER,
};

/// Answers a request for anything but objects.
pub(crate) async fn respond(
    service: &Service,
    route: Route,
    identity: &Identity,
    parts: &Parts,
    body: RequestBody,
) -> Result<Reply, StatusError> {
    let (method, headers) = (&parts.method, &parts.headers);
    let wanted = match route {
        Route::Images | Route::Kubeconfig | Route::Rejoin | Route::Review { .. } => {
            &[Method::POST][..]
        }
        Route::Recovery => &[Method::GET, Method::HEAD, Method::POST],
        Route::Member(_) => &[Method::DELETE],
        _ => &[Method::GET, Method::HEAD],
    };
    if !wanted.contains(method) {
        return Err(StatusError::method_not_allowed(method));
    }
    let discovery = service.discovery();
    let registry = &discovery.registry;
    match route {
        Route::CoreVersions => {
            Ok(discovered(headers, &discovery.core_versions, &discovery.core_aggregated))
        }
        Route::Groups => Ok(discovered(headers, &discovery.groups, &discovery.groups_aggregated)),
        Route::Group(group) => document(discovery.group(&group)),
        Route::Resources { group, version } => document(discovery.resources(&group, &version)),
        Route::OpenApiIndex => document(Some(openapi::v3_index(registry))),
        Route::OpenApi { group, version } => {
            document(openapi::v3(registry, &path_name(&group, &version)))
        }
        Route::OpenApiV2 => openapi_v2(headers, registry),
        Route::ClusterStatus => Ok(reply::json_value(StatusCode::OK, &service.cluster.status())),
        Route::Peers => Ok(reply::json_value(StatusCode::OK, &service.cluster.peers().await)),
        Route::Recovery if *method == Method::POST => recover(service, headers, body).await,
        Route::Recovery => {
            Ok(reply::json_value(StatusCode::OK, &service.cluster.recovery().await?))
        }
        Route::Rejoin => Ok(reply::json_value(StatusCode::OK, &service.cluster.rejoin().await?)),
        Route::Member(name) => remove_node(service, &name).await,
        Route::Review { review, namespace } => {
            review.answer(service, identity, &namespace, headers, body).await
        }
        Route::Issuer => Ok(reply::json_value(StatusCode::OK, &issuer())),
        Route::KeySet => {
            let keys = service.tokens.key_set(service.cluster.as_ref()).await?;
            Ok(reply::json_value(StatusCode::OK, &keys))
        }
        Route::Metrics => metrics(service),
        Route::Images => load_images(service, headers, body).await,
        Route::Kubeconfig => issue_user(service, headers, body).await,
        Route::Alive | Route::Ready | Route::Version | Route::Objects(_) => {
            Err(StatusError::no_resource())
        }
    }
}

/// Discovery in the form the client prefers.
fn discovered(headers: &HeaderMap, plain: &Bytes, aggregated: &Bytes) -> Reply {
    if media::wants_aggregated_discovery(headers) {
        reply::bytes(StatusCode::OK, AGGREGATED_DISCOVERY, aggregated.clone())
    } else {
        reply::bytes(StatusCode::OK, JSON, plain.clone())
    }
}

/// The v2 document in the form the client prefers.
fn openapi_v2(headers: &HeaderMap, registry: &Registry) -> Result<Reply, StatusError> {
    if media::wants_openapi_protobuf(headers)? {
        Ok(reply::bytes(StatusCode::OK, OPENAPI_PROTOBUF, openapi::v2_protobuf(registry)))
    } else {
        document(Some(openapi::v2(registry)))
    }
}

fn document(document: Option<Bytes>) -> Result<Reply, StatusError> {
    let document = document.ok_or_else(StatusError::no_resource)?;
    Ok(reply::json_bytes(StatusCode::OK, document))
}

/// `api/v1` or `apis/GROUP/VERSION`.
fn path_name(group: &str, version: &str) -> String {
    if group.is_empty() { format!("api/{version}") } else { format!("apis/{group}/{version}") }
}

/// What others need to judge tokens of this cluster (OpenID Connect Discovery 1.0).
fn issuer() -> serde_json::Value {
    json!({
        "issuer": ISSUER,
        "jwks_uri": format!("{ISSUER}/openid/v1/jwks"),
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
    })
}

/// The numbers that Prometheus reads.
pub(crate) fn metrics(service: &Service) -> Result<Reply, StatusError> {
    let text = service.metrics().map_err(StatusError::internal)?;
    Ok(reply::bytes(StatusCode::OK, OPENMETRICS, text.into()))
}

/// Takes a node out of the cluster; like every write, not without a quorum.
async fn remove_node(service: &Service, name: &str) -> Result<Reply, StatusError> {
    if let Some(impairment) = service.cluster.impairment() {
        return Err(StatusError::service_unavailable(impairment.writes));
    }
    Ok(reply::json_value(StatusCode::OK, &service.cluster.remove_node(name).await?))
}

/// Which replica a cluster is to go on from: the one that whoever asks was shown.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RecoveryRequest {
    lead: String,
}

/// Lets a cluster go on without its majority.
async fn recover(
    service: &Service,
    headers: &HeaderMap,
    body: RequestBody,
) -> Result<Reply, StatusError> {
    let bytes = body::read(headers, body).await?;
    let request: RecoveryRequest = serde_json::from_slice(&bytes)
        .map_err(|error| StatusError::bad_request(format!("the body is unusable: {error}")))?;
    let recovered = service.cluster.recover(&request.lead).await?;
    Ok(reply::json_value(StatusCode::OK, &recovered))
}

/// Loads the image archive in the body on every node.
async fn load_images(
    service: &Service,
    headers: &HeaderMap,
    body: RequestBody,
) -> Result<Reply, StatusError> {
    let archive = body::stream(headers, body, limits::IMAGE_ARCHIVE_BYTES)?.boxed();
    let loads = service.hosts.load_image(archive).await?;
    Ok(reply::json_value(StatusCode::OK, &json!(loads)))
}

/// Whom to make a certificate for.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct UserRequest {
    user: String,
    #[serde(default)]
    groups: Vec<String>,
    lifetime_seconds: u64,
}

/// Makes a client certificate for a user.
async fn issue_user(
    service: &Service,
    headers: &HeaderMap,
    body: RequestBody,
) -> Result<Reply, StatusError> {
    let bytes = body::read(headers, body).await?;
    let request: UserRequest = serde_json::from_slice(&bytes)
        .map_err(|error| StatusError::bad_request(format!("the body is unusable: {error}")))?;
    if request.user.is_empty() || request.user.starts_with("system:") {
        return Err(StatusError::bad_request(
            "user must be given and must not begin with \"system:\", which is for the cluster's own",
        ));
    }
    if request.groups.iter().any(|group| group == "system:nodes") {
        return Err(StatusError::bad_request("a user cannot be one of the group system:nodes"));
    }
    let lifetime = Duration::from_secs(request.lifetime_seconds).min(limits::USER_CERTIFICATE);
    if lifetime.is_zero() {
        return Err(StatusError::bad_request("lifetimeSeconds must be greater than 0"));
    }
    let issued = service.cluster.issue_user(&request.user, &request.groups, lifetime).await?;
    Ok(reply::json_value(
        StatusCode::CREATED,
        &json!({"certificate": issued.certificate, "key": issued.key, "ca": issued.ca}),
    ))
}
