//! The log subresource of pods: from the host that runs the pod to the client.

use futures::StreamExt;
use jiff::Timestamp;
use skein_objects::StatusError;

use super::pod::{container, node_of, pod};
use crate::{
    call::Call,
    hosts::LogRequest,
    load::StreamPlace,
    query::Query,
    reply::{Reply, stream},
    service::Service,
};

/// Streams the log of one container.
pub(super) async fn log(
    service: &Service,
    call: &Call,
    permit: StreamPlace,
) -> Result<Reply, StatusError> {
    let target = &call.target;
    let pod = pod(service, call, target.name()).await?;
    let node = node_of(&pod);
    let container =
        container(&pod.spec.unwrap_or_default(), target.name(), call.query.get("container"))?;
    let node = node?;
    let request = LogRequest {
        namespace: target.namespace().to_owned(),
        pod: target.name().to_owned(),
        uid: pod.metadata.uid.unwrap_or_default(),
        container,
        ..options(&call.query, Timestamp::now())?
    };
    let chunks = service.hosts.pod_logs(&node, request).await?;
    let stopped = service.cancel.clone().cancelled_owned();
    let chunks = chunks.take_until(stopped).map(move |chunk| {
        // The stream owns its place among the streams under way.
        let _place = &permit;
        chunk
    });
    Ok(stream("text/plain", chunks))
}

fn options(query: &Query, now: Timestamp) -> Result<LogRequest, StatusError> {
    let since_seconds: Option<i64> = query.number("sinceSeconds")?;
    let since_time: Option<Timestamp> = query.number("sinceTime")?;
    if since_seconds.is_some() && since_time.is_some() {
        return Err(StatusError::bad_request(
            "at most one of `sinceTime` or `sinceSeconds` may be specified",
        ));
    }
    if since_seconds.is_some_and(|seconds| seconds < 1) {
        return Err(StatusError::bad_request("sinceSeconds: must be greater than 0"));
    }
    Ok(LogRequest {
        follow: query.flag("follow")?,
        previous: query.flag("previous")?,
        timestamps: query.flag("timestamps")?,
        tail_lines: query.number("tailLines")?,
        limit_bytes: query.number("limitBytes")?,
        since_unix_seconds: since_time
            .map(Timestamp::as_second)
            .or(since_seconds.map(|seconds| now.as_second().saturating_sub(seconds))),
        ..LogRequest::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn since_is_a_time_or_an_age_but_not_both() {
        let now = Timestamp::from_second(1_000).unwrap();
        let of = |query: &str| options(&Query::parse(Some(query)), now);
        assert_eq!(of("sinceSeconds=100").unwrap().since_unix_seconds, Some(900));
        let at = of("sinceTime=1970-01-01T00:01:00Z").unwrap().since_unix_seconds;
        assert_eq!(at, Some(60));
        assert!(of("sinceSeconds=1&sinceTime=1970-01-01T00:01:00Z").is_err());
    }
}
