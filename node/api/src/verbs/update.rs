//! update.

use http::StatusCode;
use skein_objects::{StatusError, decode, warnings};

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
