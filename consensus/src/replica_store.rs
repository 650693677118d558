//! The store through this node's own replica.

use std::sync::Arc;

use async_trait::async_trait;
use skein_net::{NodeId, Protocol, Transport, codec};
use tokio::{
    sync::watch,
    time::{Instant, timeout, timeout_at},
};

use crate::{
    RaftStatus, limits,
    raft_handler::LastContact,
    reads::Reads,
    store_protocol::{Refusal, StoreReply, StoreRequest},
    writes::Writes,
};
use skein_store::{
    Consistency, Key, KeyRange, ListOptions, Listing, Machine, Record, Revision, StoreClient,
    StoreError, Transaction, View, WatchStream,
};

/// Reads here, writes through whoever leads. Cheap to clone.
#[derive(Clone)]
pub(crate) struct ReplicaStore {
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) machine: Arc<Machine>,
    pub(crate) status: watch::Receiver<RaftStatus>,
    pub(crate) contact: Arc<LastContact>,
    pub(crate) writes: Writes,
    pub(crate) reads: Reads,
}

impl ReplicaStore {
    /// Whether there is data to read here, be it old.
    pub(crate) fn has_data(&self) -> bool {
        let status = self.status.borrow();
        status.initialized && status.failure.is_none()
    }

    /// Whether the data here follows the cluster's.
    pub(crate) fn is_current(&self) -> bool {
        self.has_data() && (self.status.borrow().is_leader() || self.contact.is_recent())
    }

    /// One attempt at a write, through `leader`.
    async fn attempt(
        &self,
        leader: NodeId,
        transaction: &Transaction,
    ) -> Result<Vec<Revision>, Refusal> {
        if leader == self.transport.local_id() {
            return self.writes.propose(transaction.clone()).await;
        }
        let unavailable = |reason: String| Refusal::Store(StoreError::Unavailable(reason));
        let request = StoreRequest::Propose(transaction.clone());
        let body =
            codec::encode(&request).map_err(|error| StoreError::Invalid(error.to_string()))?;
        let answer = self
            .transport
            .request(leader, Protocol::Store, body, limits::ATTEMPT_TIMEOUT)
            .await
            .map_err(|error| unavailable(error.to_string()))?;
        match codec::decode::<Result<StoreReply, Refusal>>(&answer) {
            Ok(Ok(StoreReply::Written(revisions))) => Ok(revisions),
            Ok(Ok(other)) => Err(unavailable(format!("an answer of another kind: {other:?}"))),
            // The leader's disk is not the cluster's: the next leader may take the write.
            Ok(Err(Refusal::Store(StoreError::Storage(reason)))) => Err(unavailable(reason)),
            Ok(Err(refusal)) => Err(refusal),
            Err(error) => Err(unavailable(error.to_string())),
        }
    }

    /// The leader this node believes in.
    fn leader(&self) -> Option<NodeId> {
        self.status.borrow().leader
    }

    /// Waits until the leader is another than `leader`, or not at all if it has one.
    async fn leader_changes(&self, leader: Option<NodeId>) {
        let mut status = self.status.clone();
        // The sender lives as long as the replica; without it nothing changes any more.
        if status.wait_for(|now| now.leader != leader).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// A view that satisfies `consistency`.
    pub(crate) async fn view(&self, consistency: Consistency) -> Result<View, StoreError> {
        let deadline = Instant::now() + limits::READ_TIMEOUT;
        match consistency {
            Consistency::Any => Ok(self.machine.published().view()),
            Consistency::AtLeast(revision) => {
                self.machine.published().view_at_least(revision, deadline).await
            }
            Consistency::Linearizable => {
                let index = self.read_index(deadline).await?;
                let mut applied = self.machine.next_index();
                match timeout_at(deadline, applied.wait_for(|next| *next > index)).await {
                    Ok(Ok(_)) => Ok(self.machine.published().view()),
                    Ok(Err(_)) | Err(_) => Err(StoreError::Unavailable(format!(
                        "the replica has not applied log entry {index} yet"
                    ))),
                }
            }
        }
    }

    async fn read_index(&self, deadline: Instant) -> Result<u64, StoreError> {
        loop {
            let leader = self.leader();
            let refusal = match self.reads.index().await {
                Ok(index) => return Ok(index),
                Err(refusal) => refusal,
            };
            self.pause(leader, refusal, deadline).await?;
        }
    }

    /// Waits for a better moment after `refusal`, or returns the error if it is final or late.
    async fn pause(
        &self,
        leader: Option<NodeId>,
        refusal: Refusal,
        deadline: Instant,
    ) -> Result<(), StoreError> {
        let error = match refusal {
            Refusal::Store(StoreError::Unavailable(reason)) => StoreError::Unavailable(reason),
            Refusal::NotLeader(_) | Refusal::NoReplica => {
                StoreError::Unavailable(leader.map_or("none is known".to_owned(), |node| {
                    format!("node {node} does not lead")
                }))
            }
            Refusal::Store(other) => return Err(other),
        };
        if Instant::now() + limits::RETRY_PAUSE >= deadline {
            return Err(error);
        }
        // Either way the next attempt is due.
        drop(timeout(limits::RETRY_PAUSE, self.leader_changes(leader)).await);
        Ok(())
    }
}

#[async_trait]
impl StoreClient for ReplicaStore {
    async fn write(&self, transaction: Transaction) -> Result<Vec<Revision>, StoreError> {
        transaction.validate()?;
        let deadline = Instant::now() + limits::WRITE_TIMEOUT;
        let mut attempted = false;
        loop {
            let leader = self.leader();
            let attempt = async {
                match leader {
                    Some(leader) => self.attempt(leader, &transaction).await,
                    None => Err(Refusal::NotLeader(None)),
                }
            };
            let refusal = tokio::select! {
                biased;
                result = attempt => match result {
                    Ok(revisions) => return Ok(revisions),
                    Err(refusal) if attempted => refusal.after_an_attempt(),
                    Err(refusal) => refusal,
                },
                // Whatever the old leader did with it, the request id makes it apply once.
                () = self.leader_changes(leader), if leader.is_some() => Refusal::NotLeader(None),
                () = tokio::time::sleep_until(deadline) => {
                    let reason = "the write was not acknowledged in time".to_owned();
                    return Err(StoreError::Unavailable(reason));
                }
            };
            attempted |= leader.is_some();
            self.pause(leader, refusal, deadline).await?;
        }
    }

    async fn get(
        &self,
        key: &Key,
        consistency: Consistency,
    ) -> Result<(Option<Record>, Revision), StoreError> {
        let view = self.view(consistency).await?;
        Ok((view.get(key).cloned(), view.revision()))
    }

    async fn list(
        &self,
        range: &KeyRange,
        options: ListOptions,
        consistency: Consistency,
    ) -> Result<Listing, StoreError> {
        Ok(self.view(consistency).await?.list(range, &options))
    }

    async fn watch(&self, range: &KeyRange, from: Revision) -> Result<WatchStream, StoreError> {
        if let Some(failure) = &self.status.borrow().failure {
            return Err(StoreError::Unavailable(failure.clone()));
        }
        self.machine.published().watch(range, from)
    }
}
