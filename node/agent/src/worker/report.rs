//! Tells the store the status of the pod: only on change, one write at a time, the latest wins.

use futures::{FutureExt, future::BoxFuture};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Pod, PodStatus};
use skein_objects::{Reason, StatusError};

use super::{
    Worker,
    outcome::{Job, Outcome, StepError},
};
use crate::{
    lifecycle::{Cause, Intent},
    limits, status,
};

/// What was told and what is to be told.
#[derive(Debug)]
pub(super) struct Report {
    /// The status as last computed.
    pub(super) built: PodStatus,
    /// Name of the runtime, the scheme of container ids.
    pub(super) runtime: String,
    /// The pod as the store is known to have it.
    stored: Pod,
    /// A write is under way.
    writing: bool,
    /// Failed writes in a row, and when to try again.
    failures: u32,
    retry_at: Option<Timestamp>,
    /// Since when the worker is there.
    since: Timestamp,
}

impl Report {
    pub(super) fn new(pod: &Pod, now: Timestamp) -> Self {
        Self {
            built: pod.status.clone().unwrap_or_default(),
            runtime: String::new(),
            stored: pod.clone(),
            writing: false,
            failures: 0,
            retry_at: None,
            since: now,
        }
    }

    /// Whether the pod has succeeded or failed for good.
    pub(super) fn is_final(&self) -> bool {
        matches!(self.built.phase.as_deref(), Some("Succeeded" | "Failed"))
    }

    /// The store has this pod; older news than what was written are ignored.
    pub(super) fn take_stored(&mut self, pod: &Pod) {
        if revision(pod) >= revision(&self.stored) {
            self.stored = pod.clone();
        }
    }

    pub(super) fn written(&mut self, pod: &Pod) {
        self.writing = false;
        self.failures = 0;
        self.retry_at = None;
        self.take_stored(pod);
    }

    pub(super) fn failed(&mut self, message: String, now: Timestamp) {
        tracing::debug!(error = message, "pod status not written");
        self.writing = false;
        let delay = limits::STORE_DELAY * 2_u32.saturating_pow(self.failures.min(10));
        self.failures = self.failures.saturating_add(1);
        let delay = SignedDuration::try_from(delay.min(limits::STORE_DELAY_MAX));
        self.retry_at = now.checked_add(delay.unwrap_or_default()).ok();
    }

    pub(super) fn forget_write(&mut self) {
        self.writing = false;
    }
}

fn revision(pod: &Pod) -> u64 {
    let version = pod.metadata.resource_version.as_deref();
    version.and_then(|version| version.parse().ok()).unwrap_or_default()
}

impl Worker {
    /// Computes the status and begins to write it if the store has another. Returns when to look
    /// again.
    pub(super) fn begin_report(&mut self) -> Option<Timestamp> {
        if self.report.runtime.is_empty() {
            self.report.runtime = self.host.runtime_name();
        }
        self.report.built = status::build(&self.view(), &self.report.built);
        if self.gone || self.memory.deleted {
            return None;
        }
        let now = self.now();
        let report = &self.report;
        let stored = report.stored.status.clone().unwrap_or_default();
        if report.writing || status::merge(&stored, report.built.clone()) == stored {
            return None;
        }
        if let Some(retry_at) = report.retry_at.filter(|retry_at| *retry_at > now) {
            return Some(retry_at);
        }
        if self.starts_quietly() {
            let first = report.since.checked_add(limits::FIRST_REPORT).ok();
            if let Some(first) = first.filter(|first| *first > now) {
                return Some(first);
            }
        }
        self.report.writing = true;
        let write = self.write_status(self.report.built.clone());
        self.jobs.spawn(async move {
            let result = match write.await {
                Ok(pod) => Ok(Outcome::Reported(Box::new(pod))),
                Err(error) => Err(StepError::new(Cause::Store, error.to_string())),
            };
            (Job::Report, result)
        });
        None
    }

    /// Whether all there is to tell is that the pod is being started.
    fn starts_quietly(&self) -> bool {
        self.desired.intent == Intent::Run
            && self.report.built.phase.as_deref() == Some("Pending")
            && self.memory.failures.is_empty()
    }

    /// Writes a status over the one in the store.
    pub(super) fn write_status(
        &self,
        built: PodStatus,
    ) -> BoxFuture<'static, Result<Pod, StatusError>> {
        let pods = self.host.storage.typed::<Pod>();
        let mut pod = self.report.stored.clone();
        async move {
            let stored = pod.status.take().unwrap_or_default();
            let merged = status::merge(&stored, built.clone());
            if merged == stored {
                pod.status = Some(stored);
                return Ok(pod);
            }
            pod.status = Some(merged);
            // Usually nobody else has changed the pod: one write without a read.
            match pods.update_status(&pod).await {
                Err(error) if error.reason == Reason::Conflict => {}
                result => return result,
            }
            let meta = &pod.metadata;
            let (namespace, name) =
                (meta.namespace.clone().unwrap_or_default(), meta.name.clone().unwrap_or_default());
            let uid = meta.uid.clone();
            pods.modify_status(&namespace, &name, |current| {
                if current.metadata.uid == uid {
                    let stored = current.status.take().unwrap_or_default();
                    current.status = Some(status::merge(&stored, built.clone()));
                }
            })
            .await
        }
        .boxed()
    }
}
