//! Garbage collection by owner references: background, foreground and orphan deletion.
//!
//! An index of the metadata of all objects of all kinds follows the store. An object whose owners
//! are all gone is deleted; whether they are gone is asked of the store itself, never of the
//! index.

mod act;
mod follow;
mod index;
mod plan;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use async_trait::async_trait;
use skein_objects::{StatusError, registry};

use crate::{
    cluster::Cluster,
    queue::Queue,
    reconcile::{Next, Reconciler, work},
};
use act::Actor;
use follow::follow;
use index::{Index, Uid};

/// Starts the collector for this term.
pub(crate) fn start(cluster: &Cluster) {
    let queue: Arc<Queue<Uid>> = Arc::default();
    let index = Arc::new(Index::default());
    let mut listed = Vec::new();
    for kind in registry().all() {
        let (told, first) = tokio::sync::oneshot::channel();
        listed.push(first);
        let (storage, index, queue) = (cluster.storage.clone(), index.clone(), queue.clone());
        cluster.spawn(follow(storage, kind, index, queue, told));
    }
    let collector = Arc::new(Collector { actor: Actor::new(cluster, index.clone()), index });
    let cancel = cluster.cancel.clone();
    cluster.spawn(async move {
        // An index that lacks a kind would take an owner's dependents for gone.
        if futures::future::try_join_all(listed).await.is_ok() {
            work(collector, queue, cancel).await;
        }
    });
}

struct Collector {
    index: Arc<Index>,
    actor: Actor,
}

#[async_trait]
impl Reconciler for Collector {
    type Key = Uid;

    fn name(&self) -> &'static str {
        "garbage"
    }

    async fn reconcile(&self, uid: &Uid) -> Result<Next, StatusError> {
        let Some(plan) = self.index.view(uid, plan::plan) else { return Ok(Next::Settled) };
        self.actor.act(plan).await?;
        Ok(Next::Settled)
    }
}
