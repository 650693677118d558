//! Lines of writes: into the log of this node, if it leads, and to the leader, if another does.
//!
//! Whatever transactions wait when the log can take an entry share one: one message to each
//! follower and one fsync everywhere. Likewise what waits at a follower goes to the leader in one
//! message.

use std::sync::Arc;

use futures::{
    future::join_all,
    stream::{FuturesUnordered, StreamExt},
};
use openraft::errors::{ClientWriteError, RaftError};
use skein_net::NodeId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use crate::{
    RaftStatus, limits,
    parts::Parts,
    store_protocol::{self, Refusal, StoreReply, StoreRequest},
};
use skein_store::{Group, Proposal, Raft, Revision, StoreError, Transaction};

/// What a transaction comes to.
pub(crate) type Written = Result<Vec<Revision>, Refusal>;

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
    caller: Caller,
}

/// Who waits for the answer to a transaction.
#[derive(Debug)]
struct Caller {
    answer: oneshot::Sender<Written>,
    /// Its share of the bytes that may wait.
    _room: OwnedSemaphorePermit,
}

impl Caller {
    fn tell(self, written: Written) {
        // A caller that gave up does not hear of it.
        drop(self.answer.send(written));
    }
}

impl Writes {
    /// A line and its end, for [`propose_all`] or [`forward_all`].
    pub(crate) fn new() -> (Self, mpsc::Receiver<Waiting>) {
        let (sender, receiver) = mpsc::channel(limits::WRITE_QUEUE);
        let room = Arc::new(Semaphore::new(limits::WRITE_QUEUE_KIB));
        (Self { sender, room }, receiver)
    }

    /// Puts a transaction in line and waits until it is applied.
    pub(crate) async fn submit(&self, transaction: Transaction) -> Written {
        transaction.validate()?;
        let kib = u32::try_from(transaction.size().div_ceil(1 << 10)).unwrap_or(u32::MAX).max(1);
        let room = Arc::clone(&self.room)
            .try_acquire_many_owned(kib)
            .map_err(|_| StoreError::Overloaded)?;
        let (answer, answered) = oneshot::channel();
        let waiting = Waiting { transaction, caller: Caller { answer, _room: room } };
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

/// Proposes what is in line to this node's log until cancelled.
pub(crate) async fn propose_all(
    raft: Raft,
    receiver: mpsc::Receiver<Waiting>,
    cancel: CancellationToken,
) {
    let work = carry_out(receiver, limits::BATCHES_IN_FLIGHT, |batch| propose(&raft, batch));
    cancel.run_until_cancelled(work).await;
}

/// Sends what is in line to whoever leads, until the replica stops.
pub(crate) async fn forward_all(
    parts: Parts,
    status: watch::Receiver<RaftStatus>,
    receiver: mpsc::Receiver<Waiting>,
) {
    let work =
        carry_out(receiver, limits::FORWARDS_IN_FLIGHT, |batch| forward(&parts, &status, batch));
    parts.cancel.run_until_cancelled(work).await;
}

/// Makes batches of what is in line and carries them out, so many at a time, until the line ends.
async fn carry_out<W: Future<Output = ()>>(
    mut receiver: mpsc::Receiver<Waiting>,
    at_a_time: usize,
    work: impl Fn(Vec<Waiting>) -> W,
) {
    let mut in_flight = FuturesUnordered::new();
    let mut waiting = Vec::new();
    loop {
        tokio::select! {
            Some(()) = in_flight.next(), if !in_flight.is_empty() => {}
            count = receiver.recv_many(&mut waiting, limits::BATCH_TRANSACTIONS),
                if in_flight.len() < at_a_time =>
            {
                if count == 0 {
                    return;
                }
                // Whoever gave up may have tried again elsewhere, and must not find this done
                // much later.
                waiting.retain(|one| !one.caller.answer.is_closed());
                in_flight.extend(split(std::mem::take(&mut waiting)).into_iter().map(&work));
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

/// The transactions of a batch, and who waits for each.
fn parts_of(batch: Vec<Waiting>) -> (Vec<Transaction>, Vec<Caller>) {
    batch.into_iter().map(|one| (one.transaction, one.caller)).unzip()
}

/// Sends a batch to the leader.
async fn forward(parts: &Parts, status: &watch::Receiver<RaftStatus>, batch: Vec<Waiting>) {
    let (transactions, mut callers) = parts_of(batch);
    let leader = status.borrow().leader;
    let Some(other) = leader.filter(|leader| *leader != parts.own()) else {
        return tell_all(callers, &Refusal::NotLeader(leader));
    };
    let request = StoreRequest::Propose(transactions);
    let (transport, epochs) = (parts.transport.as_ref(), Some(parts.epochs.as_ref()));
    let asked = store_protocol::ask(transport, epochs, other, &request, limits::ATTEMPT_TIMEOUT);
    // The callers give up when another leads, and must find room in line for it.
    let given_up = join_all(callers.iter_mut().map(|caller| caller.answer.closed()));
    let reply = tokio::select! {
        biased;
        reply = asked => reply,
        _ = given_up => return,
    };
    match reply {
        Ok(StoreReply::Proposed(answers)) if answers.len() == callers.len() => {
            callers.into_iter().zip(answers).for_each(|(caller, written)| caller.tell(written));
        }
        Ok(reply) => tell_all(callers, &store_protocol::unexpected(&reply)),
        Err(refusal) => tell_all(callers, &refusal),
    }
}

/// Proposes a batch as one log entry.
async fn propose(raft: &Raft, batch: Vec<Waiting>) {
    let (transactions, callers) = parts_of(batch);
    let proposal = match Proposal::encode(&transactions) {
        Ok(proposal) => proposal,
        Err(error) => {
            let refusal = Refusal::Store(StoreError::Invalid(error.to_string()));
            return tell_all(callers, &refusal);
        }
    };
    drop(transactions);
    match raft.client_write(proposal).await {
        Ok(response) if response.data.0.len() == callers.len() => {
            for (caller, answer) in callers.into_iter().zip(response.data.0) {
                caller.tell(answer.map_err(Refusal::Store));
            }
        }
        Ok(_) => {
            let text = "the state machine answered another number of transactions".to_owned();
            tell_all(callers, &Refusal::Store(StoreError::Storage(text)));
        }
        Err(error) => tell_all(callers, &refusal_of(error)),
    }
}

fn tell_all(callers: Vec<Caller>, refusal: &Refusal) {
    for caller in callers {
        caller.tell(Err(refusal.clone()));
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
