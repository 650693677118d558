//! update.

use http::StatusCode;
use serde_json::Value;
use skein_objects::{Part, StatusError, decode, warnings};

use super::{answer, part_of};
use crate::{
    call::Call,
    reply::{self, Reply},
    service::Service,
};

/// Replaces an object or its status.
pub(super) async fn update(service: &Service, call: Call) -> Result<Reply, StatusError> {
    let options = call.query.write_options(&call.headers)?;
    let validation = call.query.field_validation()?;
    let (bytes, media) = call.read_object().await?;
    let target = &call.target;
    let mut decoded = decode(&target.kind, &bytes, media, validation)?;
    decoded.warnings.extend(warnings(&target.kind, &decoded.object));
    let object = service
        .storage
        .update(
            &target.kind,
            target.namespace(),
            target.name(),
            part_of(&call),
            decoded.object,
            &options,
        )
        .await?;
    Ok(reply::warn(answer(&call, StatusCode::OK, &object)?, &decoded.warnings))
}

/// Changes a part of an object by what `change` takes over from the one in the body.
pub(super) async fn by(
    service: &Service,
    call: &Call,
    part: Part,
    change: impl Fn(Value, &Value) -> Result<Value, StatusError> + Send + Sync,
) -> Result<Reply, StatusError> {
    let options = call.query.write_options(&call.headers)?;
    let validation = call.query.field_validation()?;
    let (bytes, media) = call.read_object().await?;
    let target = &call.target;
    let wanted = decode(&target.kind, &bytes, media, validation)?.object;
    let (namespace, name) = (target.namespace(), target.name());
    let change = |live: Value| change(live, &wanted);
    let object =
        service.storage.modify(&target.kind, namespace, name, part, &options, change).await?;
    answer(call, StatusCode::OK, &object)
}
