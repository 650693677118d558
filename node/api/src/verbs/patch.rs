//! patch: JSON patch, merge patch, strategic merge patch and server-side apply.

use http::StatusCode;
use jiff::Timestamp;
use serde_json::{Value, json};
use skein_objects::{
    Applier, FieldValidation, Kind, MediaType, Part, Reason, StatusError, apply, apply_new, check,
    decode, parse,
    patch::{json_patch, merge_patch, strategic_merge_patch},
    warnings,
};
use skein_storage::{Manager, Object, WriteOptions};

use super::{answer, approval, part_of};
use crate::{
    access::{self, Action},
    call::Call,
    media::{self, PatchType},
    reply::{self, Reply},
    route::Verb,
    service::Service,
};

/// Changes an object or its status; the change is applied again if the object changed meanwhile.
pub(super) async fn patch(service: &Service, call: Call) -> Result<Reply, StatusError> {
    if media::patch_type(&call.headers)? == PatchType::Apply {
        return server_side_apply(service, call).await;
    }
    if call.query.get("force").is_some() {
        let rule = "force: Forbidden: may not be specified for non-apply patch";
        return Err(StatusError::new(Reason::Invalid, rule));
    }
    let options = call.query.write_options(&call.headers)?;
    let validation = call.query.field_validation()?;
    let (patch_type, patch) = read(&call).await?;
    let target = &call.target;
    let kind = &target.kind;
    let mut noted = Vec::new();
    let change = |object: Value| {
        let checked = check(kind, patched(kind, patch_type, &object, &patch)?, validation)?;
        noted = checked.warnings;
        noted.extend(warnings(kind, &checked.object));
        Ok(checked.object)
    };
    let object = service
        .storage
        .modify(kind, target.namespace(), target.name(), part_of(&call), &options, change)
        .await?;
    Ok(reply::warn(answer(&call, StatusCode::OK, &object)?, &noted))
}

/// The patch in the body of a call.
pub(super) async fn read(call: &Call) -> Result<(PatchType, Value), StatusError> {
    let (bytes, patch_type) = call.read_patch().await?;
    Ok((patch_type, parse(&bytes, MediaType::Json)?))
}

/// Makes an object be as its configuration says, or makes it.
async fn server_side_apply(service: &Service, call: Call) -> Result<Reply, StatusError> {
    let options = call.query.write_options(&call.headers)?;
    let options = WriteOptions { manager: Manager::Applied, ..options };
    let force = call.query.flag("force")?;
    let Some(manager) = call.query.field_manager()?.map(str::to_owned) else {
        let rule = "fieldManager: Required value: is required for apply patch";
        return Err(StatusError::new(Reason::Invalid, rule));
    };
    let (bytes, _) = call.read_patch().await?;
    let kind = &call.target.kind;
    // What the type does not know cannot have an owner: here it is an error, always.
    decode(kind, &bytes, MediaType::Yaml, FieldValidation::Strict)?;
    let mut config = parse(&bytes, MediaType::Yaml)?;
    name(&mut config, &call)?;
    let by = Applier { manager: &manager, force, now: Timestamp::now() };
    let (code, object) = apply_config(service, &call, &config, &by, &options).await?;
    Ok(reply::warn(answer(&call, code, &object)?, &warnings(kind, &config)))
}

/// Gives a configuration the name in the path, which its own must be if it has one.
fn name(config: &mut Value, call: &Call) -> Result<(), StatusError> {
    if config["metadata"].is_null() {
        config["metadata"] = json!({});
    }
    let name = &mut config["metadata"]["name"];
    match name.as_str().filter(|name| !name.is_empty()) {
        Some(own) if own != call.target.name() => Err(StatusError::bad_request(format!(
            "the name of the object ({own}) does not match the name on the URL ({})",
            call.target.name()
        ))),
        _ => {
            *name = json!(call.target.name());
            Ok(())
        }
    }
}

async fn apply_config(
    service: &Service,
    call: &Call,
    config: &Value,
    by: &Applier<'_>,
    options: &WriteOptions,
) -> Result<(StatusCode, Object), StatusError> {
    let (target, part) = (&call.target, part_of(call));
    let (kind, namespace, name) = (&target.kind, target.namespace(), target.name());
    let checked = |object| check(kind, object, FieldValidation::Ignore).map(|one| one.object);
    let change = |live: Value| checked(apply(kind, &live, config, part, by)?);
    let changed = service.storage.modify(kind, namespace, name, part, options, change).await;
    match changed {
        Err(error) if error.reason == Reason::NotFound && part == Part::Main => {}
        changed => return Ok((StatusCode::OK, changed?)),
    }
    for insists in ["uid", "resourceVersion"] {
        if config["metadata"][insists].as_str().is_some_and(|text| !text.is_empty()) {
            let why = format!("{insists} mismatch: there is no such object");
            return Err(StatusError::conflict(kind, name, why));
        }
    }
    let creation = Action::on(Verb::Create, target, name);
    access::authorize(&service.storage, &call.identity, &creation).await?;
    let mut new = checked(apply_new(kind, config, by)?)?;
    approval::note_requester(kind, &call.identity, &mut new);
    match service.storage.create(kind, namespace, new, options).await {
        // Somebody else was quicker.
        Err(error) if error.reason == Reason::AlreadyExists => {
            let changed =
                service.storage.modify(kind, namespace, name, part, options, change).await?;
            Ok((StatusCode::OK, changed))
        }
        created => Ok((StatusCode::CREATED, created?)),
    }
}

fn patched(
    kind: &Kind,
    patch_type: PatchType,
    object: &Value,
    patch: &Value,
) -> Result<Value, StatusError> {
    match patch_type {
        PatchType::Json => json_patch(object, patch),
        PatchType::Merge => merge_patch(object, patch),
        PatchType::Strategic if kind.is_custom() => Err(not_here()),
        PatchType::Strategic => strategic_merge_patch(kind, object, patch),
        PatchType::Apply => Err(not_here()),
    }
}

/// What is left where a kind has no lists to merge by key, and where there is nothing to apply.
fn not_here() -> StatusError {
    StatusError::unsupported_media_type(&[
        "application/json-patch+json",
        "application/merge-patch+json",
    ])
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
        PatchType::Apply => Err(not_here()),
    }
}
