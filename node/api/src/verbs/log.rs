//! The log subresource of pods: from the host that runs the pod to the client.

use futures::StreamExt;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, PodSpec};
use skein_objects::StatusError;
use tokio::sync::OwnedSemaphorePermit;

use crate::{
    call::Call,
    hosts::LogRequest,
    query::{Query, Version},
    reply::{Reply, stream},
    service::Service,
};

/// Streams the log of one container.
pub(super) async fn log(
    service: &Service,
    call: &Call,
    permit: OwnedSemaphorePermit,
) -> Result<Reply, StatusError> {
    let target = &call.target;
    let object = service
        .storage
        .get(&target.kind, target.namespace(), target.name(), call.consistency(Version::Latest))
        .await?;
    let pod: Pod = object.decode()?;
    let spec = pod.spec.unwrap_or_default();
    let container = container(&spec, target.name(), call.query.get("container"))?;
    let node = spec.node_name.as_deref().filter(|node| !node.is_empty());
    let node = node.ok_or_else(|| {
        StatusError::bad_request(format!("pod {} does not have a host assigned", target.name()))
    })?;
    let request = LogRequest {
        namespace: target.namespace().to_owned(),
        pod: target.name().to_owned(),
        uid: pod.metadata.uid.unwrap_or_default(),
        container,
        ..options(&call.query, Timestamp::now())?
    };
    let chunks = service.hosts.pod_logs(node, request).await?;
    let stopped = service.cancel.clone().cancelled_owned();
    let chunks = chunks.take_until(stopped).map(move |chunk| {
        // The stream owns its place among the streams under way.
        let _place = &permit;
        chunk
    });
    Ok(stream("text/plain", chunks))
}

/// The container asked for, or the only one there is.
pub(super) fn container(
    spec: &PodSpec,
    pod: &str,
    asked: Option<&str>,
) -> Result<String, StatusError> {
    let init = spec.init_containers.iter().flatten();
    let ephemeral = spec.ephemeral_containers.iter().flatten().map(|one| &one.name);
    let mut all = spec.containers.iter().chain(init).map(|one| &one.name).chain(ephemeral);
    let list = || {
        let names: Vec<&str> = spec.containers.iter().map(|one| one.name.as_str()).collect();
        names.join(" ")
    };
    match (asked, spec.containers.as_slice()) {
        (Some(asked), _) if all.any(|name| name == asked) => Ok(asked.to_owned()),
        (Some(asked), _) => {
            Err(StatusError::bad_request(format!("container {asked} is not valid for pod {pod}")))
        }
        (None, [only]) => Ok(only.name.clone()),
        (None, _) => Err(StatusError::bad_request(format!(
            "a container name must be specified for pod {pod}, choose one of: [{}]",
            list()
        ))),
    }
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
    use k8s_openapi::api::core::v1::Container;

    use super::*;

    fn spec(names: &[&str]) -> PodSpec {
        let container = |name: &&str| Container { name: (*name).into(), ..Container::default() };
        PodSpec { containers: names.iter().map(container).collect(), ..PodSpec::default() }
    }

    #[test]
    fn the_container_is_the_one_asked_for_or_the_only_one() {
        assert_eq!(container(&spec(&["a"]), "p", None), Ok("a".to_owned()));
        assert_eq!(container(&spec(&["a", "b"]), "p", Some("b")), Ok("b".to_owned()));
        let message = container(&spec(&["a", "b"]), "p", None).unwrap_err().message;
        let expected = "a container name must be specified for pod p, choose one of: [a b]";
        assert_eq!(message, expected);
        assert_eq!(container(&spec(&["a"]), "p", Some("x")).unwrap_err().code, 400);
    }

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
