//! Raft's messages from other nodes.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use skein_net::{BoxedStream, Handler, NodeId, codec};
use tokio::{sync::Semaphore, time::Instant};

use crate::{
    frames, limits,
    network::{Reply, Request},
    snapshot,
};
use skein_store::{Raft, Snapshot, Vote};

/// When a leader was last heard of.
#[derive(Debug, Default)]
pub(crate) struct LastContact(Mutex<Option<Instant>>);

impl LastContact {
    /// Whether a leader was heard of lately.
    pub(crate) fn is_recent(&self) -> bool {
        let last = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.is_some_and(|at| at.elapsed() < limits::LEADER_SILENCE)
    }

    fn now(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }
}

/// Serves [`skein_net::Protocol::Raft`].
pub(crate) struct RaftHandler {
    raft: Raft,
    contact: Arc<LastContact>,
    snapshots: Semaphore,
}

impl RaftHandler {
    pub(crate) fn new(raft: Raft, contact: Arc<LastContact>) -> Self {
        Self { raft, contact, snapshots: Semaphore::new(limits::SNAPSHOTS_RECEIVED) }
    }

    async fn answer(&self, from: NodeId, request: Request) -> Result<Reply, String> {
        match request {
            Request::Append(request) => {
                check_sender(from, &request.vote)?;
                let response =
                    self.raft.append_entries(request).await.map_err(|e| e.to_string())?;
                if !matches!(response, openraft::raft::AppendEntriesResponse::HigherVote(_)) {
                    self.contact.now();
                }
                Ok(Reply::Append(response))
            }
            Request::Vote(request) => {
                check_sender(from, &request.vote)?;
                self.raft.vote(request).await.map(Reply::Vote).map_err(|e| e.to_string())
            }
            Request::PreVote(request) => {
                check_sender(from, &request.vote)?;
                self.raft.pre_vote(request).await.map(Reply::Vote).map_err(|e| e.to_string())
            }
            Request::TransferLeader(request) => {
                check_sender(from, request.from_leader())?;
                let answered = self.raft.handle_transfer_leader(request).await;
                answered.map(Reply::TransferLeader).map_err(|e| e.to_string())
            }
        }
    }

    async fn install(
        &self,
        from: NodeId,
        header: &Bytes,
        stream: &mut BoxedStream,
    ) -> Result<(), String> {
        let header: snapshot::Header = codec::decode(header).map_err(|e| e.to_string())?;
        check_sender(from, &header.vote)?;
        let Ok(_permit) = self.snapshots.try_acquire() else {
            return Err("too many snapshots are on their way to this node".to_owned());
        };
        let state = snapshot::receive(stream).await.map_err(|e| e.to_string())?;
        let snapshot = Snapshot { meta: header.meta, snapshot: state };
        let response = self
            .raft
            .install_full_snapshot(header.vote, snapshot)
            .await
            .map_err(|e| e.to_string())?;
        self.contact.now();
        frames::write(stream, &response, limits::SNAPSHOT_IDLE).await.map_err(|e| e.to_string())
    }
}

/// Identity is the certificate: nobody speaks for another node.
fn check_sender(from: NodeId, vote: &Vote) -> Result<(), String> {
    if vote.leader_id.voted_for == from.0 {
        return Ok(());
    }
    Err(format!("node {from} speaks for node {}", NodeId(vote.leader_id.voted_for)))
}

#[async_trait]
impl Handler for RaftHandler {
    async fn request(&self, from: NodeId, body: Bytes) -> Result<Bytes, String> {
        let request: Request = codec::decode(&body).map_err(|error| error.to_string())?;
        let reply = self.answer(from, request).await?;
        codec::encode(&reply).map_err(|error| error.to_string())
    }

    async fn stream(&self, from: NodeId, header: Bytes, mut stream: BoxedStream) {
        if let Err(reason) = self.install(from, &header, &mut stream).await {
            tracing::warn!(%from, %reason, "a snapshot was not installed");
        }
    }
}
