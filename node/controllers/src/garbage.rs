//! Garbage collection by owner references: background, foreground and orphan deletion.
//!
//! An index of the metadata of all objects of all kinds follows the store. An object whose owners
//! are all gone is deleted; whether they are gone is asked of the store itself, never of the
//! index.

mod act;
mod graph;
mod index;
mod plan;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use async_trait::async_trait;
use skein_objects::StatusError;

use crate::{
    cluster::Cluster,
    queue::Queue,
    reconcile::{Next, Reconciler, work},
    uid::Uid,
};
use act::Actor;
pub(crate) use graph::Graph;
use index::Index;

/// Starts the collector for this term.
pub(crate) fn start(cluster: &Cluster) {
    let queue: Arc<Queue<Uid>> = Arc::default();
    let graph = &cluster.standby.graph;
    graph.feed(&queue);
    let index = graph.index.clone();
    let collector = Arc::new(Collector { actor: Actor::new(cluster, index.clone()), index });
    cluster.tasks.spawn(work(collector, queue, cluster.cancel.clone()));
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
