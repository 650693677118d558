//! patch: JSON patch, merge patch and strategic merge patch.

use http::StatusCode;
use serde_json::Value;
use skein_objects::{
    Kind, MediaType, StatusError, check, parse,
    patch::{json_patch, merge_patch, strategic_merge_patch},
};

use super::{answer, part_of};
use crate::{
    call::Call,
    media::PatchType,
    reply::{self, Reply},
    service::Service,
};

/// Changes an object or its status; the change is applied again if the object changed meanwhile.
pub(super) async fn patch(service: &Service, mut call: Call) -> Result<Reply, StatusError> {
    let options = call.query.write_options()?;
    let validation = call.query.field_validation()?;
    let (patch_type, patch) = read(&mut call).await?;
    let target = &call.target;
    let kind = target.kind;
    let mut warnings = Vec::new();
    let change = |object: Value| {
        let checked = check(kind, apply(kind, patch_type, &object, &patch)?, validation)?;
        warnings = checked.warnings;
        Ok(checked.object)
    };
    let object = service
        .storage
        .modify(kind, target.namespace(), target.name(), part_of(&call), &options, change)
        .await?;
    Ok(reply::warn(answer(&call, StatusCode::OK, &object)?, &warnings))
}

/// The patch in the body of a call.
pub(super) async fn read(call: &mut Call) -> Result<(PatchType, Value), StatusError> {
    let (bytes, patch_type) = call.read_patch().await?;
    Ok((patch_type, parse(&bytes, MediaType::Json)?))
}

fn apply(
    kind: &Kind,
    patch_type: PatchType,
    object: &Value,
    patch: &Value,
) -> Result<Value, StatusError> {
    match patch_type {
        PatchType::Json => json_patch(object, patch),
        PatchType::Merge => merge_patch(object, patch),
        PatchType::Strategic => strategic_merge_patch(kind, object, patch),
    }
}

/// Applies a patch to a tree that is no object of a kind.
pub(super) fn apply_plain(
    patch_type: PatchType,
    tree: &Value,
    patch: &Value,
) -> Result<Value, StatusError> {
    match patch_type {
        PatchType::Json => json_patch(tree, patch),
        // Such trees have no lists to merge by key.
        PatchType::Merge | PatchType::Strategic => merge_patch(tree, patch),
    }
}
