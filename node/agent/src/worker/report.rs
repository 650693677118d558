//! Tells the store the status of the pod: only on change, one write at a time, the latest wins.

use futures::{FutureExt, future::BoxFuture};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Pod, PodStatus};
use skein_objects::{Reason, StatusError};
use skein_storage::Client;

use super::{
    Worker,
    outcome::{Job, Outcome, StepError},
};
use crate::{
    lifecycle::{Cause, Intent, due},
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
    /// Failed writes in a row, when the last one failed, and how long the next waits after that.
    failures: u32,
    pause: Option<(Timestamp, SignedDuration)>,
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
            pause: None,
            since: now,
        }
    }

    /// Whether the pod has succeeded or failed for good.
    pub(super) fn is_final(&self) -> bool {
        matches!(self.built.phase.as_deref(), Some("Succeeded" | "Failed"))
    }

    /// The store has this pod; older news than what was written are ignored, and so is another
    /// pod of that name.
    pub(super) fn take_stored(&mut self, pod: &Pod) {
        let same = pod.metadata.uid == self.stored.metadata.uid;
        if same && revision(pod) >= revision(&self.stored) {
            self.stored = pod.clone();
        }
    }

    pub(super) fn written(&mut self, pod: &Pod) {
        self.writing = false;
        self.failures = 0;
        self.pause = None;
        self.take_stored(pod);
    }

    pub(super) fn failed(&mut self, message: String, now: Timestamp) {
        tracing::debug!(error = message, "pod status not written");
        self.writing = false;
        let delay = limits::STORE_DELAY * 2_u32.saturating_pow(self.failures.min(10));
        self.failures = self.failures.saturating_add(1);
        let delay = SignedDuration::try_from(delay.min(limits::STORE_DELAY_MAX));
        self.pause = Some((now, delay.unwrap_or_default()));
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
        // What is observed is known to be wrong: a status of it would be too.
        if self.listing.required {
            return None;
        }
        if self.report.runtime.is_empty() {
            self.report.runtime = self.host.runtime_name();
        }
        self.report.built = status::build(&self.view(), &self.report.built);
        self.note_start();
        if self.gone || self.memory.deleted {
            return None;
        }
        let now = self.now();
        let report = &self.report;
        let stored = report.stored.status.clone().unwrap_or_default();
        if report.writing || status::merge(&stored, report.built.clone()) == stored {
            return None;
        }
        let quiet = self.starts_quietly().then_some((report.since, limits::FIRST_REPORT));
        let waits = report.pause.into_iter().chain(quiet);
        let next = waits.map(|(since, delay)| due(since, delay, now)).max();
        if let Some(next) = next.filter(|next| *next > now) {
            return Some(next);
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

    /// Counts how long the pod took to run, once.
    fn note_start(&mut self) {
        if self.report.built.phase.as_deref() == Some("Pending") {
            return;
        }
        if let Some(since) = self.starts_since.take() {
            self.host.metrics.started(self.now().duration_since(since).as_secs_f64().max(0.0));
        }
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
        write(self.host.storage.typed::<Pod>(), self.report.stored.clone(), built).boxed()
    }
}

/// Writes a status over that of `pod`; another pod of its name is left alone.
async fn write(pods: Client<Pod>, mut pod: Pod, built: PodStatus) -> Result<Pod, StatusError> {
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
    let change = |current: &mut Pod| {
        if current.metadata.uid == meta.uid {
            let stored = current.status.take().unwrap_or_default();
            current.status = Some(status::merge(&stored, built.clone()));
        }
    };
    let written = pods.modify_status(&namespace, &name, change).await?;
    if written.metadata.uid == meta.uid {
        Ok(written)
    } else {
        let message = format!("pods {name:?} not found: another pod has that name now");
        Err(StatusError::new(Reason::NotFound, message))
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Namespace;
    use skein_consensus::MemoryStore;
    use skein_storage::{DeleteOptions, Storage};

    use super::*;

    fn pod(uid: &str, revision: u64, phase: &str) -> Pod {
        let mut pod = Pod::default();
        pod.metadata.uid = Some(uid.to_owned());
        pod.metadata.resource_version = Some(revision.to_string());
        pod.status = Some(PodStatus { phase: Some(phase.to_owned()), ..PodStatus::default() });
        pod
    }

    #[test]
    fn only_newer_news_of_the_same_pod_are_taken() {
        let cases = [
            (pod("u", 6, "Running"), "Running"),
            (pod("u", 5, "Running"), "Running"),
            (pod("u", 4, "Running"), "Pending"),
            (pod("other", 6, "Running"), "Pending"),
        ];
        for (news, expected) in cases {
            let mut report = Report::new(&pod("u", 5, "Pending"), Timestamp::UNIX_EPOCH);
            report.take_stored(&news);
            let phase = report.stored.status.and_then(|status| status.phase);
            assert_eq!(phase.as_deref(), Some(expected), "{news:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_status_is_not_written_onto_another_pod_of_the_name() {
        let storage = Storage::new(MemoryStore::new());
        let mut namespace = Namespace::default();
        namespace.metadata.name = Some("default".into());
        storage.typed::<Namespace>().create(&namespace).await.expect("namespace");
        let pods = storage.typed::<Pod>();
        let body = serde_json::json!({
            "metadata": {"name": "web", "namespace": "default"},
            "spec": {"nodeName": "h1", "containers": [{"name": "main", "image": "app:1"}]},
        });
        let body: Pod = serde_json::from_value(body).expect("a pod");
        let first = pods.create(&body).await.expect("created");
        let options = DeleteOptions { grace_period_seconds: Some(0), ..DeleteOptions::default() };
        pods.delete("default", "web", &options).await.expect("deleted");
        let second = pods.create(&body).await.expect("created");
        assert_ne!(first.metadata.uid, second.metadata.uid);

        let built = PodStatus { phase: Some("Running".into()), ..PodStatus::default() };
        let written = write(pods.clone(), first, built).await.map_err(|error| error.reason);
        assert_eq!(written, Err(Reason::NotFound));
        let stored = pods.get("default", "web").await.expect("pod").expect("a pod");
        assert_eq!(stored.status, second.status);
    }
}
