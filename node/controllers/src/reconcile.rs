//! The loop that every controller runs: take a key, look, decide, act, come back if need be.

use std::{collections::HashMap, hash::Hash, sync::Arc, time::Duration};

use async_trait::async_trait;
use skein_objects::{Reason, StatusError};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{
    limits::{CONCURRENT_KEYS, RECONCILE_DEADLINE},
    queue::Queue,
};

/// Namespace and name.
pub(crate) type ObjectKey = (Arc<str>, Arc<str>);

/// What follows a reconciliation that went well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Nothing until something changes.
    Settled,
    /// Another look after this long.
    After(Duration),
}

impl From<Option<Duration>> for Next {
    fn from(recheck: Option<Duration>) -> Self {
        recheck.map_or(Self::Settled, Self::After)
    }
}

/// Brings one key to its desired state.
#[async_trait]
pub(crate) trait Reconciler: Send + Sync + 'static {
    /// What is looked at.
    type Key: Clone + Eq + Hash + Send + Sync + std::fmt::Debug + 'static;

    /// The controller's name, for the log.
    fn name(&self) -> &'static str;

    /// Looks, decides and acts once. What was true when the key was queued may no longer be.
    async fn reconcile(&self, key: &Self::Key) -> Result<Next, StatusError>;
}

/// Works on the keys of `queue` until cancelled, several at a time.
pub(crate) async fn work<R: Reconciler>(
    reconciler: Arc<R>,
    queue: Arc<Queue<R::Key>>,
    cancel: CancellationToken,
) {
    let mut workers = JoinSet::new();
    let mut keys = HashMap::new();
    loop {
        tokio::select! {
            () = cancel.cancelled() => break,
            Some(ended) = workers.join_next_with_id(), if !workers.is_empty() => {
                let (id, outcome) = match ended {
                    Ok((id, outcome)) => (id, Some(outcome)),
                    Err(error) => (error.id(), None),
                };
                if let Some(key) = keys.remove(&id) {
                    settle(reconciler.name(), &queue, &key, outcome);
                }
            }
            key = queue.next(), if workers.len() < CONCURRENT_KEYS => {
                let (reconciler, subject) = (reconciler.clone(), key.clone());
                let worker = workers.spawn(async move {
                    let work = reconciler.reconcile(&subject);
                    tokio::time::timeout(RECONCILE_DEADLINE, work).await.unwrap_or_else(|_| {
                        Err(StatusError::timeout("the reconciliation took too long"))
                    })
                });
                keys.insert(worker.id(), key);
            }
        }
    }
    workers.shutdown().await;
}

fn settle<K>(name: &str, queue: &Queue<K>, key: &K, outcome: Option<Result<Next, StatusError>>)
where
    K: Clone + Eq + Hash + std::fmt::Debug,
{
    match outcome {
        Some(Ok(Next::Settled)) => queue.done(key, false),
        Some(Ok(Next::After(pause))) => {
            queue.done(key, false);
            queue.add_after(key.clone(), pause);
        }
        Some(Err(error)) if is_race(&error) => {
            tracing::debug!(controller = name, ?key, %error, "overtaken, looking again");
            queue.done(key, true);
        }
        Some(Err(error)) => {
            tracing::warn!(controller = name, ?key, %error, "reconciliation failed");
            queue.done(key, true);
        }
        None => {
            tracing::error!(controller = name, ?key, "reconciliation panicked");
            queue.done(key, true);
        }
    }
}

/// Whether the error only says that somebody else was faster.
pub(crate) fn is_race(error: &StatusError) -> bool {
    matches!(error.reason, Reason::Conflict | Reason::AlreadyExists | Reason::NotFound)
}
