//! What a replica answers to surveys, orders and members that leave.

use openraft::async_runtime::WatchReceiver;
use skein_net::NodeId;
use skein_store::{
    Disk, LogStore, StoreError, StoredMembership,
    recovery::{self, Order},
};
use tokio::time::{Duration, sleep};

use super::{ReplicaReport, Survey, damage, rejoin};
use crate::{
    parts::Parts,
    reads::leader_index,
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
    pub(crate) log: LogStore,
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
            configurations: self.configurations(),
            hears_leader: self.parts.hears_leader().filter(|_| takes_part),
            failure: status.failure,
        }
    }

    fn configurations(&self) -> Vec<Vec<NodeId>> {
        let metrics = self.parts.raft.server_metrics();
        let metrics = metrics.borrow_watched();
        let configurations = metrics.membership_config.membership().get_joint_config();
        configurations.iter().map(|voters| voters.iter().copied().map(NodeId).collect()).collect()
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
        // Others forget what they have once this one will lead, so it must not fail then.
        if matches!(order, Order::Lead { .. }) {
            damage::read(&self.log)
                .await
                .map_err(|error| StoreError::Storage(error.to_string()))?;
        }
        self.write(order).await
    }

    /// Starts empty in the epoch that others went on in, as `surveys` of now show it, on the order
    /// of this node's own operator.
    pub(crate) async fn rejoin(&self, surveys: &[Survey]) -> Result<(), StoreError> {
        let epoch = rejoin::target(self.parts.epochs.own(), self.parts.own(), surveys)?;
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
        written.map_err(|error| StoreError::Storage(error.to_string()))?;
        // What it acknowledged from here on would be forgotten. Whoever is to lead keeps it all.
        if let Order::Follow { epoch } = order
            && epoch != self.parts.epochs.own()
        {
            self.parts.epochs.end(epoch);
        }
        Ok(())
    }

    /// Lets `from` go, whose replica is damaged, and says whether it is gone. Only a leader that a
    /// majority has just confirmed knows: one that was deposed unawares may have missed that
    /// `from` was added again.
    pub(crate) async fn leave(&self, from: NodeId) -> Result<StoreReply, Refusal> {
        if !self.parts.leads() {
            return Err(Refusal::NotLeader(None));
        }
        self.parts.note_leaving(from);
        leader_index(&self.parts.raft).await?;
        let metrics = self.parts.raft.server_metrics();
        let metrics = metrics.borrow_watched();
        let is_member =
            |membership: &StoredMembership| membership.membership().get_node(&from.0).is_some();
        let left = !is_member(&metrics.membership_config)
            && !is_member(&metrics.committed_membership_config);
        Ok(StoreReply::Left { left, epoch: self.parts.epochs.own() })
    }
}
