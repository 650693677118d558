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
    reconcile::{Next, Reconciler, work},
    uid::Uid,
};
use act::Actor;
pub(crate) use graph::Graph;
use index::Index;

/// The controller's name.
const NAME: &str = "garbage";

/// Starts the collector for this term.
pub(crate) fn start(cluster: &Cluster) {
    let queue = cluster.queue::<Uid>(NAME);
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
        NAME
    }

    async fn reconcile(&self, uid: &Uid) -> Result<Next, StatusError> {
        let Some(plan) = self.index.view(uid, plan::plan) else { return Ok(Next::Settled) };
        self.actor.act(plan).await?;
        Ok(Next::Settled)
    }
}
