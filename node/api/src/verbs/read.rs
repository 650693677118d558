//! get.

use http::StatusCode;
use skein_consensus::Consistency;
use skein_objects::StatusError;

use super::answer;
use crate::{call::Call, query::Version, reply::Reply, service::Service};

/// One object. A `resourceVersion` says how old it may be.
pub(super) async fn get(service: &Service, call: &Call) -> Result<Reply, StatusError> {
    let target = &call.target;
    let consistency = consistency(call.query.version()?);
    let object =
        service.storage.get(target.kind, target.namespace(), target.name(), consistency).await?;
    answer(call, StatusCode::OK, &object)
}

/// How fresh a read at this version must be.
pub(super) fn consistency(version: Version) -> Consistency {
    match version {
        Version::Latest => Consistency::Linearizable,
        Version::Any => Consistency::Any,
        Version::At(revision) => Consistency::AtLeast(revision),
    }
}
