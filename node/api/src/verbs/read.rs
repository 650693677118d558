//! get.

use http::StatusCode;
use skein_objects::StatusError;

use super::answer;
use crate::{call::Call, reply::Reply, service::Service};

/// One object. A `resourceVersion` says how old it may be.
pub(super) async fn get(service: &Service, call: &Call) -> Result<Reply, StatusError> {
    let target = &call.target;
    let consistency = call.consistency(call.query.version()?);
    let object =
        service.storage.get(&target.kind, target.namespace(), target.name(), consistency).await?;
    answer(call, StatusCode::OK, &service.storage.object_in_version(object).await?)
}
