//! Writes on their way into the log of this node, if it leads.
//!
//! Whatever transactions wait when the log can take an entry share one: one message to each
//! follower and one fsync everywhere.

use std::sync::Arc;

use futures::stream::{FuturesUnordered, StreamExt};
use openraft::errors::{ClientWriteError, RaftError};
use skein_net::NodeId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::{limits, store_protocol::Refusal};
use skein_store::{Group, Proposal, Raft, Revision, StoreError, Transaction};

/// Takes writes; cloneable.
#[derive(Clone, Debug)]
pub(crate) struct Writes {
    sender: mpsc::Sender<Waiting>,
    room: Arc<Semaphore>,
}

/// A transaction and who waits for its answer.
#[derive(Debug)]
pub(crate) struct Waiting {
    transaction: Transaction,
    answer: oneshot::Sender<Result<Vec<Revision>, Refusal>>,
    /// Its share of the bytes that may wait.
    _room: OwnedSemaphorePermit,
}

impl Writes {
    /// The line and its end, for [`run`].
    pub(crate) fn new() -> (Self, mpsc::Receiver<Waiting>) {
        let (sender, receiver) = mpsc::channel(limits::WRITE_QUEUE);
        let room = Arc::new(Semaphore::new(limits::WRITE_QUEUE_KIB));
        (Self { sender, room }, receiver)
    }

    /// Proposes a transaction and waits until it is applied.
    pub(crate) async fn propose(&self, transaction: Transaction) -> Result<Vec<Revision>, Refusal> {
        transaction.validate()?;
        let kib = u32::try_from(transaction.size().div_ceil(1 << 10)).unwrap_or(u32::MAX).max(1);
        let room = Arc::clone(&self.room)
            .try_acquire_many_owned(kib)
            .map_err(|_| StoreError::Overloaded)?;
        let (answer, answered) = oneshot::channel();
        let waiting = Waiting { transaction, answer, _room: room };
        self.sender.try_send(waiting).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => StoreError::Overloaded,
            mpsc::error::TrySendError::Closed(_) => stopped(),
        })?;
        answered.await.map_err(|_| stopped())?
    }
}

fn stopped() -> StoreError {
    StoreError::Unavailable("the replica has stopped".to_owned())
}

/// Proposes what is in line until cancelled.
pub(crate) async fn run(
    raft: Raft,
    mut receiver: mpsc::Receiver<Waiting>,
    cancel: CancellationToken,
) {
    let mut in_flight = FuturesUnordered::new();
    let mut waiting = Vec::new();
    loop {
        tokio::select! {
            () = cancel.cancelled() => return,
            Some(()) = in_flight.next(), if !in_flight.is_empty() => {}
            count = receiver.recv_many(&mut waiting, limits::BATCH_TRANSACTIONS),
                if in_flight.len() < limits::BATCHES_IN_FLIGHT =>
            {
                if count == 0 {
                    return;
                }
                for batch in split(std::mem::take(&mut waiting)) {
                    in_flight.push(propose(&raft, batch));
                }
            }
        }
    }
}

/// Cuts a line of transactions into batches of bounded bytes.
fn split(waiting: Vec<Waiting>) -> Vec<Vec<Waiting>> {
    let mut batches: Vec<Vec<Waiting>> = Vec::new();
    let mut bytes = 0;
    for one in waiting {
        let size = one.transaction.size();
        match batches.last_mut() {
            Some(batch) if bytes + size <= limits::BATCH_BYTES => batch.push(one),
            _ => {
                batches.push(vec![one]);
                bytes = 0;
            }
        }
        bytes += size;
    }
    batches
}

async fn propose(raft: &Raft, mut batch: Vec<Waiting>) {
    // Whoever gave up may have tried again elsewhere, and must not find this done much later.
    batch.retain(|one| !one.answer.is_closed());
    if batch.is_empty() {
        return;
    }
    let (transactions, callers): (Vec<_>, Vec<_>) =
        batch.into_iter().map(|one| (one.transaction, (one.answer, one._room))).unzip();
    let proposal = match Proposal::encode(&transactions) {
        Ok(proposal) => proposal,
        Err(error) => {
            let refusal = Refusal::Store(StoreError::Invalid(error.to_string()));
            return answer_all(callers, &refusal);
        }
    };
    drop(transactions);
    match raft.client_write(proposal).await {
        Ok(response) if response.data.0.len() == callers.len() => {
            for ((caller, _room), answer) in callers.into_iter().zip(response.data.0) {
                // A caller that gave up does not hear that its write succeeded.
                drop(caller.send(answer.map_err(Refusal::Store)));
            }
        }
        Ok(_) => {
            let text = "the state machine answered another number of transactions".to_owned();
            answer_all(callers, &Refusal::Store(StoreError::Storage(text)));
        }
        Err(error) => answer_all(callers, &refusal_of(error)),
    }
}

type Caller = (oneshot::Sender<Result<Vec<Revision>, Refusal>>, OwnedSemaphorePermit);

fn answer_all(callers: Vec<Caller>, refusal: &Refusal) {
    for (caller, _room) in callers {
        drop(caller.send(Err(refusal.clone())));
    }
}

fn refusal_of(error: RaftError<Group, ClientWriteError<Group>>) -> Refusal {
    match error {
        RaftError::APIError(ClientWriteError::ForwardToLeader(forward)) => {
            Refusal::NotLeader(forward.leader_id.map(NodeId))
        }
        // It may still be committed by the next leader; the request id makes trying again safe.
        RaftError::APIError(ClientWriteError::LogEntryDiscarded(forward)) => {
            Refusal::NotLeader(forward.leader_id.map(NodeId))
        }
        RaftError::APIError(other) => Refusal::Store(StoreError::Unavailable(other.to_string())),
        RaftError::Fatal(fatal) => Refusal::Store(StoreError::Storage(fatal.to_string())),
    }
}
