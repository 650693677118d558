//! Raft's messages to other nodes, over [`Protocol::Raft`].
//!
//! Every message has a deadline: an answer that never comes would stop replication to that node.
//! Heartbeats are requests of their own and never queue behind entries or a snapshot.

use std::{future::Future, sync::Arc};

use openraft::{
    EmptyNode, OptionalSend, RaftNetworkFactory, RaftNetworkV2,
    errors::{RPCError, ReplicationClosed, StreamingError, Unreachable},
    network::RPCOption,
    raft::{
        AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, TransferLeaderRequest,
        TransferLeaderResponse, VoteRequest, VoteResponse,
    },
};
use serde::{Deserialize, Serialize};
use skein_net::{NodeId, Protocol, RpcError, Transport, codec};
use tokio::time::{Duration, Instant};

use crate::{elections::measured::Measured, epochs::Epochs, frames, limits, snapshot};
use skein_store::{Epoch, Group, Snapshot, State, Vote};

/// A request of Raft, sent behind the sender's epoch. Only ever grows at its end.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Request {
    Append(AppendEntriesRequest<Group>),
    Vote(VoteRequest<Group>),
    PreVote(VoteRequest<Group>),
    TransferLeader(TransferLeaderRequest<Group>),
}

/// The answer to a [`Request`]. Only ever grows at its end.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Reply {
    Append(AppendEntriesResponse<Group>),
    Vote(VoteResponse<Group>),
    TransferLeader(TransferLeaderResponse<Group>),
    /// The receiver is of this epoch, and did nothing.
    OtherEpoch(Epoch),
}

/// Makes clients to other nodes.
#[derive(Clone)]
pub(crate) struct Network {
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) epochs: Arc<Epochs>,
    pub(crate) measured: Arc<Measured>,
}

impl RaftNetworkFactory<Group> for Network {
    type Network = Peer;

    async fn new_client(&mut self, target: u64, _node: &EmptyNode) -> Peer {
        Peer { network: self.clone(), target: NodeId(target) }
    }
}

/// A client to one node.
pub(crate) struct Peer {
    network: Network,
    target: NodeId,
}

fn unreachable(error: &(impl std::error::Error + 'static)) -> Unreachable<Group> {
    Unreachable::new(error)
}

fn unexpected(reply: &Reply) -> RPCError<Group> {
    RPCError::Unreachable(Unreachable::from_string(format!("an answer of another kind: {reply:?}")))
}

fn other_epoch(target: NodeId) -> RPCError<Group> {
    RPCError::Unreachable(Unreachable::from_string(format!("node {target} is of another epoch")))
}

impl Peer {
    async fn call(&self, request: &Request, deadline: Duration) -> Result<Reply, RPCError<Group>> {
        let Network { transport, epochs, .. } = &self.network;
        if epochs.is_outdated() {
            return Err(other_epoch(self.target));
        }
        let body = codec::encode(&(epochs.own(), request)).map_err(|error| unreachable(&error))?;
        let sent = transport.request(self.target, Protocol::Raft, body, deadline).await;
        let answer = sent.map_err(|error| match error {
            // Worth another try at once: the node may be there.
            RpcError::DeadlineExceeded { .. } => {
                RPCError::Network(openraft::errors::NetworkError::new(&error))
            }
            other => RPCError::Unreachable(unreachable(&other)),
        })?;
        match codec::decode(&answer).map_err(|error| RPCError::Unreachable(unreachable(&error)))? {
            Reply::OtherEpoch(other) => {
                epochs.meet(self.target, other);
                Err(other_epoch(self.target))
            }
            reply => Ok(reply),
        }
    }

    async fn transfer(
        &self,
        vote: Vote,
        snapshot: Snapshot,
    ) -> Result<SnapshotResponse<Group>, StreamingError<Group>> {
        let epoch = self.network.epochs.own();
        let header = snapshot::Header { epoch, vote, meta: snapshot.meta };
        let header = codec::encode(&header).map_err(|error| unreachable(&error))?;
        let mut stream = self
            .network
            .transport
            .open(self.target, Protocol::Raft, header, limits::SNAPSHOT_IDLE)
            .await
            .map_err(|error| unreachable(&error))?;
        snapshot::send(&mut stream, &snapshot.snapshot)
            .await
            .map_err(|error| unreachable(&error))?;
        frames::read(&mut stream, limits::SNAPSHOT_INSTALL)
            .await
            .map_err(|error| unreachable(&error).into())
    }
}

impl RaftNetworkV2<Group> for Peer {
    type SnapshotData = State;

    async fn append_entries(
        &mut self,
        request: AppendEntriesRequest<Group>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<Group>, RPCError<Group>> {
        let empty = request.entries.is_empty();
        let deadline = if empty { option.hard_ttl() } else { limits::APPEND_DEADLINE };
        let sent_at = Instant::now();
        match self.call(&Request::Append(request), deadline).await? {
            Reply::Append(response) => {
                if empty {
                    self.network.measured.round_trip(sent_at.elapsed());
                }
                Ok(response)
            }
            other => Err(unexpected(&other)),
        }
    }

    async fn vote(
        &mut self,
        request: VoteRequest<Group>,
        option: RPCOption,
    ) -> Result<VoteResponse<Group>, RPCError<Group>> {
        match self.call(&Request::Vote(request), option.hard_ttl()).await? {
            Reply::Vote(response) => Ok(response),
            other => Err(unexpected(&other)),
        }
    }

    async fn pre_vote(
        &mut self,
        request: VoteRequest<Group>,
        option: RPCOption,
    ) -> Result<VoteResponse<Group>, RPCError<Group>> {
        match self.call(&Request::PreVote(request), option.hard_ttl()).await? {
            Reply::Vote(response) => Ok(response),
            other => Err(unexpected(&other)),
        }
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: Snapshot,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<Group>, StreamingError<Group>> {
        tokio::select! {
            closed = cancel => Err(StreamingError::Closed(closed)),
            sent = self.transfer(vote, snapshot) => sent,
        }
    }

    async fn transfer_leader(
        &mut self,
        request: TransferLeaderRequest<Group>,
        option: RPCOption,
    ) -> Result<TransferLeaderResponse<Group>, RPCError<Group>> {
        match self.call(&Request::TransferLeader(request), option.hard_ttl()).await? {
            Reply::TransferLeader(response) => Ok(response),
            other => Err(unexpected(&other)),
        }
    }
}
