//! Reads the logs of this host's containers, with the words of the kubelet where it cannot.

mod choose;

use std::io;

use bytes::Bytes;
use futures::{StreamExt, stream, stream::BoxStream};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use skein_objects::StatusError;
use skein_runtime::{LogOptions, LogStream, RuntimeError};

use crate::{host::Host, lifecycle::Observed, pods::is_bound};
use choose::{choose_container, choose_run};

/// Which part of which log to read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogRequest {
    /// Namespace of the pod.
    pub namespace: String,
    /// Name of the pod.
    pub pod: String,
    /// Container; may be absent if the pod has one only.
    pub container: Option<String>,
    /// Go on with new lines until the container ends.
    pub follow: bool,
    /// Only the last lines.
    pub tail_lines: Option<u64>,
    /// Only lines at or after this time.
    pub since: Option<Timestamp>,
    /// Start each line with its time.
    pub timestamps: bool,
    /// The log of the run before the current one.
    pub previous: bool,
    /// End after so many bytes.
    pub limit_bytes: Option<u64>,
}

/// Log bytes as they come.
pub type LogLines = BoxStream<'static, io::Result<Bytes>>;

/// Why there is no log.
#[derive(Clone, Debug, thiserror::Error)]
pub enum LogError {
    /// The store has no such pod.
    #[error("pods {0:?} not found")]
    NoPod(String),
    /// The pod is bound to another host.
    #[error("pod {pod:?} does not run on this node")]
    Elsewhere {
        /// Name of the pod.
        pod: String,
    },
    /// The pod has several containers and none was named.
    #[error("a container name must be specified for pod {pod}, choose one of: [{choices}]{init}")]
    Ambiguous {
        /// Name of the pod.
        pod: String,
        /// Its containers.
        choices: String,
        /// Its init containers, as a half-sentence.
        init: String,
    },
    /// The pod has no such container.
    #[error("container {container} is not valid for pod {pod}")]
    NoContainer {
        /// Name of the pod.
        pod: String,
        /// The container named.
        container: String,
    },
    /// It has not run yet.
    #[error("container {container:?} in pod {pod:?} is waiting to start: {reason}")]
    Waiting {
        /// Name of the pod.
        pod: String,
        /// The container.
        container: String,
        /// What it waits for.
        reason: String,
    },
    /// It has not run before.
    #[error("previous terminated container {container:?} in pod {pod:?} not found")]
    NoPrevious {
        /// Name of the pod.
        pod: String,
        /// The container.
        container: String,
    },
    /// The store did not answer.
    #[error("cannot look up the pod: {0}")]
    Store(StatusError),
    /// The runtime did not answer.
    #[error("cannot read the log: {0}")]
    Runtime(RuntimeError),
}

impl From<LogError> for StatusError {
    fn from(error: LogError) -> Self {
        match error {
            LogError::NoPod(_) => Self::new(skein_objects::Reason::NotFound, error.to_string()),
            LogError::Store(error) => error,
            LogError::Runtime(RuntimeError::Unreachable(_) | RuntimeError::Timeout(_)) => {
                Self::service_unavailable(error.to_string())
            }
            LogError::Runtime(_) => Self::internal(error),
            _ => Self::bad_request(error.to_string()),
        }
    }
}

/// Opens a log.
pub(crate) async fn open(host: &Host, request: LogRequest) -> Result<LogLines, LogError> {
    let pods = host.storage.typed::<Pod>();
    let kind = pods.kind();
    let any = skein_consensus::Consistency::Any;
    let pod = match pods.storage().get(kind, &request.namespace, &request.pod, any).await {
        Ok(object) => object.decode::<Pod>().map_err(LogError::Store)?,
        Err(error) if error.reason == skein_objects::Reason::NotFound => {
            return Err(LogError::NoPod(request.pod));
        }
        Err(error) => return Err(LogError::Store(error)),
    };
    if !is_bound(&pod, &host.config.node_name) {
        return Err(LogError::Elsewhere { pod: request.pod });
    }
    let container = choose_container(&pod, request.container.as_deref())?;
    let uid = pod.metadata.uid.as_deref().unwrap_or_default();
    let containers = host.runtime.list_containers(Some(uid)).await.map_err(LogError::Runtime)?;
    let observed = Observed { sandboxes: Vec::new(), containers };
    let run = choose_run(&pod, &observed, &container, request.previous)?;
    let options = LogOptions {
        follow: request.follow,
        tail: request.tail_lines,
        since: request.since,
        timestamps: request.timestamps,
    };
    let lines = host.runtime.logs(run, options).await.map_err(LogError::Runtime)?;
    Ok(limited(lines, request.limit_bytes))
}

/// The stream, ended after `limit` bytes.
fn limited(lines: LogStream, limit: Option<u64>) -> LogLines {
    let lines = lines.map(|part| part.map_err(io::Error::other));
    let Some(limit) = limit else { return lines.boxed() };
    let state = (lines, usize::try_from(limit).unwrap_or(usize::MAX));
    stream::unfold(state, |(mut lines, left)| async move {
        if left == 0 {
            return None;
        }
        let part = lines.next().await?.map(|mut part| {
            part.truncate(left);
            part
        });
        let left = part.as_ref().map_or(0, |part| left - part.len());
        Some((part, (lines, left)))
    })
    .boxed()
}
