//! The read index: up to where the log must be applied for a read to see every write
//! acknowledged before it began.
//!
//! Reads that arrive while one round to the leader is under way share the next.

use std::sync::Arc;

use openraft::{
    ReadPolicy,
    errors::{LinearizableReadError, RaftError},
};
use skein_net::{NodeId, Protocol, Transport, codec};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use crate::{
    RaftStatus, limits,
    store_protocol::{Refusal, StoreReply, StoreRequest},
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
    raft: Raft,
    transport: Arc<dyn Transport>,
    status: watch::Receiver<RaftStatus>,
    mut receiver: mpsc::Receiver<Waiting>,
    cancel: CancellationToken,
) {
    let mut waiting = Vec::new();
    loop {
        let received = receiver.recv_many(&mut waiting, limits::READ_QUEUE);
        if cancel.run_until_cancelled(received).await.unwrap_or(0) == 0 {
            return;
        }
        let leader = status.borrow().leader;
        let mut changes = status.clone();
        // A dead leader answers nobody; its successor is asked as soon as it is known.
        let deposed = async { drop(changes.wait_for(|now| now.leader != leader).await) };
        let asked = async {
            match leader {
                Some(leader) if leader == transport.local_id() => leader_index(&raft).await,
                Some(leader) => ask(transport.as_ref(), leader).await,
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

async fn ask(transport: &dyn Transport, leader: NodeId) -> Result<u64, Refusal> {
    let unavailable = |reason: String| Refusal::Store(StoreError::Unavailable(reason));
    let body = codec::encode(&StoreRequest::ReadIndex).map_err(|e| unavailable(e.to_string()))?;
    let answer = transport
        .request(leader, Protocol::Store, body, limits::ATTEMPT_TIMEOUT)
        .await
        .map_err(|error| unavailable(error.to_string()))?;
    match codec::decode::<Result<StoreReply, Refusal>>(&answer) {
        Ok(Ok(StoreReply::ReadIndex(index))) => Ok(index),
        Ok(Ok(other)) => Err(unavailable(format!("an answer of another kind: {other:?}"))),
        // The leader's disk is not the cluster's: the next leader may answer.
        Ok(Err(Refusal::Store(StoreError::Storage(reason)))) => Err(unavailable(reason)),
        Ok(Err(refusal)) => Err(refusal),
        Err(error) => Err(unavailable(error.to_string())),
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
