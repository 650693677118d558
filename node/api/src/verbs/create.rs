//! create, and the binding subresource.

use http::StatusCode;
use serde_json::Value;
use skein_objects::{StatusError, decode, parse, warnings};

use super::{answer, approval};
use crate::{
    call::Call,
    reply::{self, Reply},
    service::Service,
};

/// Makes an object.
pub(super) async fn create(service: &Service, call: Call) -> Result<Reply, StatusError> {
    let options = call.query.write_options(&call.headers)?;
    let validation = call.query.field_validation()?;
    let (bytes, media) = call.read_object().await?;
    let kind = &call.target.kind;
    let mut decoded = decode(kind, &bytes, media, validation)?;
    decoded.warnings.extend(warnings(kind, &decoded.object));
    approval::note_requester(kind, &call.identity, &mut decoded.object);
    let namespace = call.target.namespace();
    let object = service.storage.create(kind, namespace, decoded.object, &options).await?;
    Ok(reply::warn(answer(&call, StatusCode::CREATED, &object)?, &decoded.warnings))
}

/// Assigns a pod to the node that the `Binding` in the body names.
pub(super) async fn bind(service: &Service, call: Call) -> Result<Reply, StatusError> {
    let options = call.query.write_options(&call.headers)?;
    let (bytes, media) = call.read_object().await?;
    let binding = parse(&bytes, media)?;
    let text = |pointer: &str| binding.pointer(pointer).and_then(Value::as_str);
    let node = text("/target/name").filter(|node| !node.is_empty());
    let node = node.ok_or_else(|| StatusError::bad_request("target.name: Required value"))?;
    let target = &call.target;
    if !options.dry_run {
        let uid = text("/metadata/uid").filter(|uid| !uid.is_empty());
        service.storage.bind(target.namespace(), target.name(), node, uid).await?;
    }
    Ok(reply::success(StatusCode::CREATED, &target.kind, target.name(), None))
}
