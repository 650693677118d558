//! The eviction subresource of pods: a delete that drains use.

use http::StatusCode;
use serde_json::Value;
use skein_objects::{StatusError, parse};

use super::delete::options_from;
use crate::{
    call::Call,
    reply::{self, Reply},
    service::Service,
};

/// Deletes the pod under the `deleteOptions` of the `Eviction` in the body.
pub(super) async fn evict(service: &Service, mut call: Call) -> Result<Reply, StatusError> {
    let (bytes, media) = call.read_object().await?;
    let eviction = if bytes.is_empty() { Value::Null } else { parse(&bytes, media)? };
    let options = options_from(&eviction["deleteOptions"], &call.query)?;
    let target = &call.target;
    service.storage.delete(target.kind, target.namespace(), target.name(), &options).await?;
    Ok(reply::success(StatusCode::CREATED, target.kind, target.name(), None))
}
