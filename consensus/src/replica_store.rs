//! The store through this node's own replica.

use std::sync::Arc;

use async_trait::async_trait;
use skein_net::NodeId;
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout, timeout_at},
};

use crate::{
    RaftStatus,
    elections::measured::Measured,
    limits,
    parts::Parts,
    reads::Reads,
    store_protocol::Refusal,
    writes::{Writes, Written},
};
use skein_store::{
    Consistency, Key, KeyRange, ListOptions, Listing, Machine, Record, Revision, StoreClient,
    StoreError, Transaction, View, WatchStream,
};

/// Whether there is data to read in a replica, be it old.
fn has_data(status: &RaftStatus) -> bool {
    status.initialized && (status.failure.is_none() || status.disk_full)
}

/// Whether the data of a replica follows the cluster's.
fn follows(status: &RaftStatus, measured: &Measured) -> bool {
    let hears = measured.silent_for().is_some_and(|ago| ago < limits::LEADER_SILENCE);
    has_data(status) && (status.is_leader() || hears)
}

/// Reads here, writes through whoever leads. Cheap to clone.
#[derive(Clone)]
pub(crate) struct ReplicaStore {
    pub(crate) parts: Parts,
    pub(crate) machine: Arc<Machine>,
    pub(crate) status: watch::Receiver<RaftStatus>,
    /// Into the log of this node.
    pub(crate) writes: Writes,
    /// To the leader, if that is another.
    pub(crate) forwards: Writes,
    pub(crate) reads: Reads,
}

impl ReplicaStore {
    /// Whether there is data to read here, be it old.
    pub(crate) fn has_data(&self) -> bool {
        has_data(&self.status.borrow())
    }

    /// Whether the data here follows the cluster's.
    pub(crate) fn is_current(&self) -> bool {
        follows(&self.status.borrow(), &self.parts.measured)
    }

    /// Returns once the data here follows the cluster's, or the replica is gone. Does not keep it.
    pub(crate) fn becomes_current(&self) -> impl Future<Output = ()> + Send + use<> {
        let (mut status, measured) = (self.status.clone(), Arc::clone(&self.parts.measured));
        async move {
            // An error says that the replica is gone.
            while let Ok(now) = status.wait_for(has_data).await.map(|now| now.clone())
                && !follows(&now, &measured)
            {
                sleep(limits::HOMECOMING).await;
            }
        }
    }

    /// Whether no peer knows better than this replica that nothing can be written: it is a voter
    /// that misses the majority, or was left behind by a recovery.
    pub(crate) fn is_decisive(&self) -> bool {
        let status = self.status.borrow();
        let votes = status.voters.contains(&status.id);
        self.has_data() && (status.outdated.is_some() || (status.quorum_lost && votes))
    }

    /// One attempt at a write, through `leader`.
    async fn attempt(&self, leader: NodeId, transaction: &Transaction) -> Written {
        if leader == self.parts.own() {
            return self.propose(transaction.clone()).await;
        }
        match self.forwards.submit(transaction.clone()).await {
            // The leader's disk is not the cluster's: the next leader may take the write.
            Err(Refusal::Store(StoreError::Storage(reason))) => {
                Err(StoreError::Unavailable(reason).into())
            }
            written => written,
        }
    }

    /// Proposes a transaction here, if this node leads. A leader without room takes none: it is
    /// about to hand over, unless it is alone.
    pub(crate) async fn propose(&self, transaction: Transaction) -> Written {
        if self.parts.is_full() {
            let reason = "the disk of the leader is full".to_owned();
            let alone = self.status.borrow().voters == [self.parts.own()];
            let error =
                if alone { StoreError::Storage(reason) } else { StoreError::Unavailable(reason) };
            return Err(error.into());
        }
        self.writes.submit(transaction).await
    }

    /// Why nothing can be written or read for certain now, if that is known.
    pub(crate) fn impossible(&self) -> Option<StoreError> {
        let status = self.status.borrow();
        match status.outdated {
            Some(current) => Some(StoreError::Outdated { own: status.epoch, current }),
            None => {
                status.quorum_lost.then(|| StoreError::NoQuorum { missing: status.missing.clone() })
            }
        }
    }

    fn check_possible(&self) -> Result<(), StoreError> {
        self.impossible().map_or(Ok(()), Err)
    }

    /// The leader this node believes in.
    fn leader(&self) -> Option<NodeId> {
        self.status.borrow().leader
    }

    /// Waits until the leader is another than `leader`, or nobody can lead.
    async fn leader_changes(&self, leader: Option<NodeId>) {
        let mut status = self.status.clone();
        let changed =
            |now: &RaftStatus| now.leader != leader || now.quorum_lost || now.outdated.is_some();
        // The sender lives as long as the replica; without it nothing changes any more.
        if status.wait_for(changed).await.is_err() {
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
            self.check_possible()?;
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
            Refusal::NotLeader(_) | Refusal::NoReplica | Refusal::OtherEpoch(_) => {
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
            match self.impossible() {
                None => {}
                // Either says that nothing was written, and an earlier attempt may be applied.
                Some(error) if attempted => return Err(StoreError::Unavailable(error.to_string())),
                Some(error) => return Err(error),
            }
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
        let view = self.view(consistency).await?;
        self.machine.published().list(&view, range, &options).await
    }

    async fn watch(&self, range: &KeyRange, from: Revision) -> Result<WatchStream, StoreError> {
        match &self.status.borrow().failure {
            Some(failure) if !self.has_data() => {
                return Err(StoreError::Unavailable(failure.clone()));
            }
            Some(_) | None => {}
        }
        self.machine.published().watch(range, from)
    }
}
