//! The read index: up to where the log must be applied for a read to see every write
//! acknowledged before it began.
//!
//! Reads that arrive while one round to the leader is under way share the next.

use openraft::{
    ReadPolicy,
    errors::{LinearizableReadError, RaftError},
};
use skein_net::NodeId;
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::timeout,
};

use crate::{
    RaftStatus, limits,
    parts::Parts,
    store_protocol::{self, Refusal, StoreReply, StoreRequest},
};
use skein_store::{Group, Raft, StoreError};

type Waiting = oneshot::Sender<Result<u64, Refusal>>;

/// Asks for read indexes; cloneable.
#[derive(Clone, Debug)]
pub(crate) struct Reads(mpsc::Sender<Waiting>);

impl Reads {
    /// The line and its end, for [`run`].
    pub(crate) fn new() -> (Self, mpsc::Receiver<Waiting>) {
        let (sender, receiver) = mpsc::channel(limits::READ_QUEUE);
        (Self(sender), receiver)
    }

    /// The read index of now. One attempt.
    pub(crate) async fn index(&self) -> Result<u64, Refusal> {
        let (answer, answered) = oneshot::channel();
        self.0.try_send(answer).map_err(|_| StoreError::Overloaded)?;
        answered.await.map_err(|_| {
            Refusal::Store(StoreError::Unavailable("the replica has stopped".to_owned()))
        })?
    }
}

/// Answers reads until cancelled.
pub(crate) async fn run(
    parts: Parts,
    status: watch::Receiver<RaftStatus>,
    mut receiver: mpsc::Receiver<Waiting>,
) {
    let cancel = &parts.cancel;
    let mut waiting = Vec::new();
    loop {
        let received = receiver.recv_many(&mut waiting, limits::READ_QUEUE);
        if cancel.run_until_cancelled(received).await.unwrap_or(0) == 0 {
            return;
        }
        let leader = status.borrow().leader;
        let mut changes = status.clone();
        // A dead leader answers nobody; its successor is asked as soon as it is known, and where
        // there can be none the readers hear of that.
        let deposed = async {
            drop(changes.wait_for(|now| now.leader != leader || now.quorum_lost).await);
        };
        let asked = async {
            match leader {
                Some(leader) if leader == parts.own() => leader_index(&parts.raft).await,
                Some(leader) => ask(&parts, leader).await,
                None => Err(Refusal::NotLeader(None)),
            }
        };
        let round = async {
            tokio::select! {
                biased;
                index = asked => index,
                () = deposed => Err(Refusal::NotLeader(None)),
            }
        };
        let Some(index) = cancel.run_until_cancelled(round).await else { return };
        for one in waiting.drain(..) {
            // A reader that gave up needs no answer.
            drop(one.send(index.clone()));
        }
    }
}

/// The read index of this node, if a majority confirms that it leads.
pub(crate) async fn leader_index(raft: &Raft) -> Result<u64, Refusal> {
    let confirmed = raft.get_read_log_id(ReadPolicy::ReadIndex);
    match timeout(limits::ATTEMPT_TIMEOUT, confirmed).await {
        Ok(Ok((read, _))) => Ok(read.index()),
        Ok(Err(error)) => Err(refusal_of(error)),
        Err(_) => Err(Refusal::Store(StoreError::Unavailable(
            "no majority confirmed the leader in time".to_owned(),
        ))),
    }
}

async fn ask(parts: &Parts, leader: NodeId) -> Result<u64, Refusal> {
    let (transport, epochs) = (parts.transport.as_ref(), parts.epochs.as_ref());
    let request = &StoreRequest::ReadIndex;
    let asked =
        store_protocol::ask(transport, Some(epochs), leader, request, limits::ATTEMPT_TIMEOUT);
    match asked.await {
        Ok(StoreReply::ReadIndex(index)) => Ok(index),
        Ok(other) => Err(store_protocol::unexpected(&other)),
        // The leader's disk is not the cluster's: the next leader may answer.
        Err(Refusal::Store(StoreError::Storage(reason))) => {
            Err(StoreError::Unavailable(reason).into())
        }
        Err(refusal) => Err(refusal),
    }
}

fn refusal_of(error: RaftError<Group, LinearizableReadError<Group>>) -> Refusal {
    match error {
        RaftError::APIError(LinearizableReadError::ForwardToLeader(forward)) => {
            Refusal::NotLeader(forward.leader_id.map(NodeId))
        }
        RaftError::APIError(LinearizableReadError::QuorumNotEnough(error)) => {
            Refusal::Store(StoreError::Unavailable(error.to_string()))
        }
        RaftError::Fatal(fatal) => Refusal::Store(StoreError::Storage(fatal.to_string())),
    }
}
