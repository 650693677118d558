//! A term of leader-only work, from take-over to the last task's end.

use tokio_util::sync::CancellationToken;

use crate::{
    cluster::Cluster, context::LeaderContext, defaults, definitions, deployment, disruption,
    events, fence::Fenced, garbage, namespaces, nodes, replica_set, roles, scheduling,
};

/// Does everything that only the leader does, until cancelled.
///
/// Each term begins by taking over in the store, which at once ends all writes of whoever led
/// before. Should another node take over although this one was not told to stop, the work starts
/// afresh: whether to lead is the caller's decision, and it ends by `cancel`, or with the copies
/// of [`Standby`](crate::Standby), without which nothing can be decided.
pub async fn run(context: LeaderContext, cancel: CancellationToken) {
    while !cancel.is_cancelled() && !context.standby.is_stopped() {
        term(&context, cancel.child_token()).await;
    }
}

async fn term(context: &LeaderContext, cancel: CancellationToken) {
    let store = context.store.clone();
    let taken = Fenced::take_over(store, &context.node_name, cancel.clone()).await;
    let Some(fenced) = taken else { return };
    let term = fenced.term();
    let standby = context.standby.clone();
    let ready = tokio::select! {
        () = cancel.cancelled() => false,
        ready = standby.catch_up(term) => ready,
    };
    let cluster = Cluster::new(fenced, standby, context, cancel.clone());
    if ready {
        tracing::info!(revision = %term, "leading: controllers start");
        defaults::start(&cluster);
        roles::start(&cluster);
        namespaces::start(&cluster);
        definitions::start(&cluster);
        nodes::start(&cluster, context);
        scheduling::start(&cluster, context.config.strategy);
        replica_set::start(&cluster);
        deployment::start(&cluster);
        disruption::start(&cluster);
        garbage::start(&cluster);
        events::start(&cluster);
        cancel.cancelled().await;
    }
    cancel.cancel();
    cluster.tasks.close();
    cluster.tasks.wait().await;
    tracing::info!(revision = %term, "controllers stopped");
}
