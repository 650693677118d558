//! Looks at what the runtime has of the pod.

use std::sync::Arc;

use jiff::Timestamp;
use skein_runtime::RuntimeError;

use super::{
    Worker,
    outcome::{Job, Outcome, StepError},
};
use crate::{
    host::Host,
    lifecycle::{Cause, Failure, Observed, Step},
};

/// What is known of how fresh the observed state is.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// The runtime said that something changed.
    pub(super) stale: bool,
    /// What is observed is known to be wrong: plan only after the next listing.
    pub(super) required: bool,
    /// A listing is under way, begun at this count of changes.
    pub(super) under_way: Option<u64>,
    /// Steps that changed the runtime so far.
    pub(super) changes: u64,
    /// The last listings failed.
    pub(super) failure: Option<Failure>,
}

impl Worker {
    /// Begins to list if something changed and no step is changing the runtime now. Returns when
    /// to try again if the last try failed.
    pub(super) fn begin_listing(&mut self) -> Option<Timestamp> {
        let wanted = self.listing.stale || self.listing.required;
        let busy = self.memory.in_flight.iter().any(Step::changes_runtime);
        if !wanted || busy || self.listing.under_way.is_some() {
            return None;
        }
        let now = self.now();
        let retry_at = self.listing.failure.as_ref().map(|failure| failure.retry_at(now));
        if let Some(retry_at) = retry_at.filter(|retry_at| *retry_at > now) {
            return Some(retry_at);
        }
        self.listing.stale = false;
        self.listing.under_way = Some(self.listing.changes);
        let host = Arc::clone(&self.host);
        let uid = self.uid().to_owned();
        let known = self.observed.sandboxes.iter().map(|sandbox| sandbox.id.clone()).collect();
        self.jobs.spawn(async move {
            let listed = list(&host, &uid, known).await;
            let result = listed
                .map(Outcome::Listed)
                .map_err(|error| StepError::new(Cause::Runtime, error.to_string()));
            (Job::Listing, result)
        });
        None
    }

    /// Takes in a listing, unless a step changed the runtime meanwhile.
    pub(super) fn take_listing(&mut self, mut observed: Observed) {
        let begun_at = self.listing.under_way.take();
        let busy = self.memory.in_flight.iter().any(Step::changes_runtime);
        if busy || begun_at != Some(self.listing.changes) {
            self.listing.stale = true;
            return;
        }
        self.listing.required = false;
        self.listing.failure = None;
        self.memory.absorb(&mut observed);
        self.observed = observed;
    }

    /// A listing failed: what was known before stays.
    pub(super) fn listing_failed(&mut self, message: String) {
        self.listing.under_way = None;
        self.listing.stale = true;
        let now = self.now();
        let failure = Failure::next(self.listing.failure.as_ref(), Cause::Runtime, message, now);
        self.listing.failure = Some(failure);
    }
}

/// What the runtime has of a pod. Sandboxes known are asked for one by one, which spares a list.
async fn list(
    host: &Host,
    uid: &str,
    known: Vec<skein_runtime::SandboxId>,
) -> Result<Observed, RuntimeError> {
    let containers = host.runtime.list_containers(Some(uid)).await?;
    let complete =
        !known.is_empty() && containers.iter().all(|container| known.contains(&container.sandbox));
    let mut sandboxes = Vec::new();
    if complete {
        for id in known {
            sandboxes.extend(host.runtime.sandbox(&id).await?);
        }
    } else {
        sandboxes = host.runtime.list_sandboxes(Some(uid)).await?;
    }
    Ok(Observed { sandboxes, containers })
}
