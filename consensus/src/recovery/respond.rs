//! What a replica answers to surveys, orders and members that leave.

use openraft::async_runtime::WatchReceiver;
use skein_net::NodeId;
use skein_store::{
    Disk, StoreError, StoredMembership,
    recovery::{self, Order},
};
use tokio::time::{Duration, sleep};

use super::ReplicaReport;
use crate::{
    parts::Parts,
    status_feed,
    store_protocol::{Refusal, StoreReply},
};

/// How long the answer to an order has to reach its reader before this replica is stopped.
const RESTART_DELAY: Duration = Duration::from_millis(200);

/// Has the replica started again once an order waits.
pub(crate) async fn restart(parts: Parts) {
    let ordered = async {
        parts.ordered.notified().await;
        sleep(RESTART_DELAY).await;
        parts.restart.cancel();
    };
    parts.cancel.run_until_cancelled(ordered).await;
}

/// Answers for this node's replica.
#[derive(Clone)]
pub(crate) struct Responder {
    pub(crate) parts: Parts,
    pub(crate) disk: Disk,
}

impl Responder {
    /// What this replica holds and sees.
    pub(crate) fn report(&self) -> ReplicaReport {
        let status = status_feed::look(&self.parts, Duration::ZERO);
        let takes_part = status.failure.is_none() && status.outdated.is_none();
        ReplicaReport {
            epoch: status.epoch,
            outdated: status.outdated,
            term: status.term,
            last_log_term: status.last_log_term,
            last_log_index: status.last_log,
            applied: status.applied,
            voters: status.voters,
            hears_leader: self.parts.hears_leader().filter(|_| takes_part),
            failure: status.failure,
        }
    }

    /// Writes an order of a recovery down.
    pub(crate) async fn obey(&self, order: Order) -> Result<(), StoreError> {
        let (Order::Lead { epoch } | Order::Follow { epoch }) = order;
        let own = self.parts.epochs.own();
        if epoch.number <= own.number {
            return Err(StoreError::Invalid(format!("this replica is of epoch {own} already")));
        }
        if matches!(order, Order::Lead { .. }) && epoch.founder != self.parts.own() {
            return Err(StoreError::Invalid(format!("epoch {epoch} is another's to found")));
        }
        if let Some(leader) = self.report().hears_leader {
            return Err(StoreError::Invalid(format!("node {leader} leads with a quorum")));
        }
        self.write(order).await
    }

    /// Starts empty in the epoch the cluster is in, on the order of this node's own operator.
    pub(crate) async fn rejoin(&self) -> Result<(), StoreError> {
        let heard = *self.parts.epochs.heard().borrow();
        let Some(epoch) = heard.newer.or(heard.rival) else {
            return Err(StoreError::Invalid("this replica is of the cluster's epoch".to_owned()));
        };
        self.write(Order::Follow { epoch }).await?;
        self.restart_soon();
        Ok(())
    }

    /// Asks to be started again, after a moment in which answers reach their readers.
    pub(crate) fn restart_soon(&self) {
        self.parts.ordered.notify_one();
    }

    pub(super) async fn write(&self, order: Order) -> Result<(), StoreError> {
        tracing::warn!(?order, "this replica is to begin anew");
        let disk = self.disk.clone();
        let write = move || recovery::order(&disk, &order);
        let written = if matches!(self.disk, Disk::Directory(_)) {
            tokio::task::spawn_blocking(write)
                .await
                .map_err(|error| StoreError::Storage(error.to_string()))?
        } else {
            write()
        };
        written.map_err(|error| StoreError::Storage(error.to_string()))
    }

    /// Lets `from` go, whose replica is damaged, and says whether it is gone.
    pub(crate) fn leave(&self, from: NodeId) -> Result<StoreReply, Refusal> {
        let metrics = self.parts.raft.server_metrics();
        let metrics = metrics.borrow_watched();
        if !metrics.state.is_leader() {
            return Err(Refusal::NotLeader(metrics.current_leader.map(NodeId)));
        }
        self.parts.note_leaving(from);
        let is_member =
            |membership: &StoredMembership| membership.membership().get_node(&from.0).is_some();
        let left = !is_member(&metrics.membership_config)
            && !is_member(&metrics.committed_membership_config);
        Ok(StoreReply::Left { left, epoch: self.parts.epochs.own() })
    }
}
