//! Keeps a local copy of a kind current: one listing, then every change.
//!
//! The copy starts from whatever the replica at hand has, so it also comes up without quorum; it
//! never goes back in time, and when the store cannot be reached it keeps what it last knew and
//! tries again with back-off. It is listed afresh only when the history no longer reaches back to
//! where it stands.

use std::sync::Arc;

use futures::StreamExt;
use skein_consensus::{Consistency, Event, ListOptions, Revision};
use skein_objects::{Kind, Reason, StatusError};
use tokio::sync::{Notify, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{ObjectList, Storage, limits::INFORMER_BACKOFF};

/// A local copy of the objects of a kind.
pub trait LocalCopy: Send + Sync + 'static {
    /// Takes a fresh listing in place of everything.
    fn replace(&self, list: ObjectList);

    /// Takes one change.
    fn apply(&self, event: Event);
}

/// How far a copy has come. Cheap to clone.
#[derive(Clone)]
pub struct Progress {
    seen: watch::Receiver<Option<Revision>>,
    hurry: Arc<Notify>,
}

impl Progress {
    /// Waits until the copy holds what the store held when it was started. False when it was
    /// cancelled before.
    pub async fn synced(&self) -> bool {
        self.seen.clone().wait_for(Option::is_some).await.is_ok()
    }

    /// Whether the first listing has arrived.
    pub fn is_synced(&self) -> bool {
        self.seen.borrow().is_some()
    }

    /// Waits until the copy shows everything up to `revision`, such as a write of one's own. False
    /// when it was cancelled before.
    pub async fn caught_up(&self, revision: Revision) -> bool {
        let reached = |seen: &Option<Revision>| seen.is_some_and(|seen| seen >= revision);
        self.seen.clone().wait_for(reached).await.is_ok()
    }

    /// As [`caught_up`](Self::caught_up), for a revision that may have changed nothing of this
    /// kind: asks the store how far it is instead of waiting until it tells.
    pub async fn catch_up(&self, revision: Revision) -> bool {
        if self.seen.borrow().is_none_or(|seen| seen < revision) {
            self.hurry.notify_one();
        }
        self.caught_up(revision).await
    }
}

/// Starts keeping `copy` current with all objects of `kind`, until cancelled.
pub fn follow(
    storage: &Storage,
    kind: Arc<Kind>,
    copy: Arc<dyn LocalCopy>,
    tasks: &TaskTracker,
    cancel: CancellationToken,
) -> Progress {
    let (sender, seen) = watch::channel(None);
    let hurry = Arc::new(Notify::new());
    let follower =
        Follower { storage: storage.clone(), kind, copy, seen: sender, hurry: hurry.clone() };
    tasks.spawn(async move {
        tokio::select! {
            () = cancel.cancelled() => {}
            () = follower.run() => {}
        }
    });
    Progress { seen, hurry }
}

/// The task behind a copy.
struct Follower {
    storage: Storage,
    kind: Arc<Kind>,
    copy: Arc<dyn LocalCopy>,
    seen: watch::Sender<Option<Revision>>,
    hurry: Arc<Notify>,
}

impl Follower {
    async fn run(self) {
        let (first_pause, longest_pause) = INFORMER_BACKOFF;
        let mut pause = first_pause;
        let mut must_list = true;
        loop {
            let before = *self.seen.borrow();
            let listed = if must_list { self.list().await } else { Ok(()) };
            let followed = match listed {
                Ok(()) => self.changes().await,
                Err(error) => Err(error),
            };
            let advanced = *self.seen.borrow() > before;
            match followed {
                // Somebody waits for news: look at once how far the store is.
                Ok(Ended::Hurried) => {
                    must_list = false;
                    continue;
                }
                Ok(Ended::Closed) => must_list = false,
                Err(error) => {
                    tracing::debug!(kind = %self.kind.kind, %error, "a local copy falls behind");
                    must_list = error.reason == Reason::Expired || self.seen.borrow().is_none();
                }
            }
            pause = if advanced { first_pause } else { (pause * 2).min(longest_pause) };
            tokio::time::sleep(pause).await;
        }
    }

    async fn list(&self) -> Result<(), StatusError> {
        let consistency = match *self.seen.borrow() {
            None => Consistency::Any,
            Some(revision) => Consistency::AtLeast(revision),
        };
        let list = self.storage.list(&self.kind, None, ListOptions::default(), consistency).await?;
        let revision = list.revision;
        self.copy.replace(list);
        self.seen.send_replace(Some(revision));
        Ok(())
    }

    /// Takes every change until the watch ends or somebody is in a hurry.
    async fn changes(&self) -> Result<Ended, StatusError> {
        let from = self.seen.borrow().unwrap_or_default();
        let mut changes = self.storage.watch(&self.kind, None, from).await?;
        let mut seen = from;
        loop {
            let batch = tokio::select! {
                biased;
                batch = changes.next() => batch,
                () = self.hurry.notified() => return Ok(Ended::Hurried),
            };
            let Some(batch) = batch else { return Ok(Ended::Closed) };
            let batch = batch?;
            for event in batch.events {
                self.copy.apply(event);
            }
            seen = seen.max(batch.revision);
            self.seen.send_replace(Some(seen));
        }
    }
}

/// Why a watch ended without an error.
enum Ended {
    Closed,
    Hurried,
}
