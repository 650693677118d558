//! delete and deletecollection.

use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use http::StatusCode;
use serde_json::Value;
use skein_consensus::{Consistency, Revision};
use skein_objects::{Propagation, Reason, StatusError, parse};
use skein_storage::{DeleteOptions, Deleted, Object, Preconditions, read_whole};

use super::{answer, list};
use crate::{
    call::Call,
    filter::Filter,
    form::{Form, ListMeta},
    limits, media,
    query::{Query, dry_run},
    reply::{self, Reply},
    service::Service,
};

/// Deletes an object or marks it for deletion.
pub(super) async fn delete(service: &Service, call: Call) -> Result<Reply, StatusError> {
    let options = read_options(&call).await?;
    let target = &call.target;
    let deleted =
        service.storage.delete(&target.kind, target.namespace(), target.name(), &options).await?;
    match deleted {
        Deleted::Removed(object) if !target.kind.returns_deleted => done(&call, &object),
        Deleted::Marked(object) | Deleted::Removed(object) => {
            match service.storage.object_in_version(object.clone()).await {
                Ok(object) => answer(&call, StatusCode::OK, &object),
                Err(error) => {
                    tracing::warn!(%error, "a deletion is answered without its object");
                    done(&call, &object)
                }
            }
        }
    }
}

/// Says that an object is deleted, or will be, without showing it.
fn done(call: &Call, object: &Object) -> Result<Reply, StatusError> {
    let value: Value = read_whole(&object.record)?;
    let uid = value["metadata"]["uid"].as_str();
    Ok(reply::success(StatusCode::OK, &call.target.kind, call.target.name(), uid))
}

/// Deletes every object that the selectors let through and lists them as they last were.
pub(super) async fn delete_collection(service: &Service, call: Call) -> Result<Reply, StatusError> {
    let options = Arc::new(read_options(&call).await?);
    let target = &call.target;
    let filter = Filter::new(&target.kind, None, &call.query)?;
    let page = list::PageOptions::all(Consistency::Linearizable);
    let namespace = target.namespace.as_deref();
    let storage = &service.storage;
    let found = list::collect(storage, &target.kind, namespace, &filter, page).await?;
    let deletions = found.records.into_iter().map(|record| {
        let options = options.clone();
        async move {
            let (namespace, name) = (record.key.namespace.clone(), record.key.name.clone());
            match storage.delete(&target.kind, &namespace, &name, &options).await {
                Ok(Deleted::Marked(object) | Deleted::Removed(object)) => {
                    Ok(Some(Arc::new(object.record)))
                }
                Err(error) if error.reason == Reason::NotFound => Ok(None),
                Err(error) => Err(error),
            }
        }
    });
    let deleted: Vec<_> = stream::iter(deletions)
        .buffered(limits::COLLECTION_DELETES)
        .try_filter_map(|record| async move { Ok(record) })
        .try_collect()
        .await?;
    let deleted = match storage.in_version(&target.kind, deleted).await {
        Ok(deleted) => deleted,
        Err(error) => {
            tracing::warn!(%error, "deletions are answered without their objects");
            return Ok(reply::success(StatusCode::OK, &target.kind, "", None));
        }
    };
    let form = Form::new(&target.kind, media::shape(&call.headers)?, &call.query)?;
    let meta = ListMeta { revision: found.meta.revision, ..ListMeta::default() };
    list::reply(form, meta, deleted)
}

async fn read_options(call: &Call) -> Result<DeleteOptions, StatusError> {
    let (bytes, media) = call.read_object().await?;
    let body = if bytes.is_empty() { Value::Null } else { parse(&bytes, media)? };
    options_from(&body, &call.query)
}

/// Reads `DeleteOptions` from the body, or from the query where the body has none.
pub(super) fn options_from(body: &Value, query: &Query) -> Result<DeleteOptions, StatusError> {
    let seconds = match &body["gracePeriodSeconds"] {
        Value::Null => query.number("gracePeriodSeconds")?,
        value => Some(value.as_i64().ok_or_else(|| invalid("gracePeriodSeconds", value))?),
    };
    let orphan = match &body["orphanDependents"] {
        Value::Null => query.optional_flag("orphanDependents")?,
        value => value.as_bool(),
    };
    let policy = body["propagationPolicy"].as_str().or_else(|| query.get("propagationPolicy"));
    let propagation = match (policy, orphan) {
        (Some("Background"), _) | (None, Some(false)) => Some(Propagation::Background),
        (Some("Foreground"), _) => Some(Propagation::Foreground),
        (Some("Orphan"), _) | (None, Some(true)) => Some(Propagation::Orphan),
        (Some(other), _) => return Err(invalid("propagationPolicy", &other.into())),
        (None, None) => None,
    };
    let directives = body["dryRun"].as_array().into_iter().flatten().filter_map(Value::as_str);
    Ok(DeleteOptions {
        // A negative grace period means the shortest there is.
        grace_period_seconds: seconds.map(|seconds: i64| u64::try_from(seconds).unwrap_or(1)),
        propagation,
        preconditions: preconditions(&body["preconditions"])?,
        dry_run: dry_run(directives.chain(query.get("dryRun")))?,
    })
}

fn preconditions(body: &Value) -> Result<Preconditions, StatusError> {
    let resource_version = match &body["resourceVersion"] {
        Value::Null => None,
        value => {
            let revision = value.as_str().and_then(|text| text.parse().ok());
            Some(Revision(revision.ok_or_else(|| invalid("resourceVersion", value))?))
        }
    };
    Ok(Preconditions { uid: body["uid"].as_str().map(str::to_owned), resource_version })
}

fn invalid(field: &str, value: &Value) -> StatusError {
    StatusError::bad_request(format!("{field}: Invalid value: {value}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_body_goes_before_the_query() {
        let query = Query::parse(Some("gracePeriodSeconds=7&propagationPolicy=Orphan"));
        let from_query = options_from(&Value::Null, &query).unwrap();
        assert_eq!(from_query.grace_period_seconds, Some(7));
        assert_eq!(from_query.propagation, Some(Propagation::Orphan));
        let body = json!({
            "gracePeriodSeconds": 0, "propagationPolicy": "Foreground", "dryRun": ["All"],
            "preconditions": {"uid": "u", "resourceVersion": "3"},
        });
        let from_body = options_from(&body, &query).unwrap();
        assert_eq!(from_body.grace_period_seconds, Some(0));
        assert_eq!(from_body.propagation, Some(Propagation::Foreground));
        assert!(from_body.dry_run);
        let expected =
            Preconditions { uid: Some("u".to_owned()), resource_version: Some(Revision(3)) };
        assert_eq!(from_body.preconditions, expected);
    }

    #[test]
    fn unknown_policies_are_refused() {
        let body = json!({"propagationPolicy": "Whatever"});
        assert_eq!(options_from(&body, &Query::default()).unwrap_err().code, 400);
    }
}
