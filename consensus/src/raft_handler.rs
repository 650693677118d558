//! Raft's messages from other nodes.

use std::cmp::Ordering;

use async_trait::async_trait;
use bytes::Bytes;
use openraft::{
    EntryPayload,
    raft::{AppendEntriesRequest, AppendEntriesResponse},
};
use skein_net::{BoxedStream, Handler, NodeId, codec};
use tokio::{
    sync::Semaphore,
    time::{Instant, sleep},
};

use crate::{
    frames, limits,
    network::{Reply, Request},
    parts::Parts,
    snapshot,
};
use skein_store::{Entry, Epoch, Group, LogId, Snapshot, Vote};

/// Serves [`skein_net::Protocol::Raft`].
pub(crate) struct RaftHandler {
    parts: Parts,
    snapshots: Semaphore,
}

const FULL: &str = "the disk of this node is full";

type Appended = Result<AppendEntriesResponse<Group>, String>;

impl RaftHandler {
    pub(crate) fn new(parts: Parts) -> Self {
        Self { parts, snapshots: Semaphore::new(limits::SNAPSHOTS_RECEIVED) }
    }

    async fn answer(&self, from: NodeId, request: Request) -> Result<Reply, String> {
        let raft = &self.parts.raft;
        match request {
            Request::Append(request) => {
                check_sender(from, &request.vote)?;
                self.append(from, request).await.map(Reply::Append)
            }
            Request::Vote(request) => {
                check_sender(from, &request.vote)?;
                self.check_may_vote()?;
                raft.vote(request).await.map(Reply::Vote).map_err(|e| e.to_string())
            }
            Request::PreVote(request) => {
                check_sender(from, &request.vote)?;
                self.check_may_vote()?;
                if let Some(leader) = self.parts.hears_leader() {
                    return Err(format!("node {leader} leads"));
                }
                raft.pre_vote(request).await.map(Reply::Vote).map_err(|e| e.to_string())
            }
            Request::TransferLeader(request) => {
                check_sender(from, request.from_leader())?;
                let answered = raft.handle_transfer_leader(request).await;
                answered.map(Reply::TransferLeader).map_err(|e| e.to_string())
            }
        }
    }

    /// A replica that belongs to no group has no vote: it may have had one, before its files were
    /// replaced, and have forgotten what it promised.
    fn check_may_vote(&self) -> Result<(), String> {
        if self.parts.is_initialized() { Ok(()) } else { Err("this replica is empty".to_owned()) }
    }

    /// A replica without usable files keeps nothing and so must acknowledge nothing.
    fn check_files(&self) -> Result<(), String> {
        self.parts.damage.as_ref().map_or(Ok(()), |damage| Err(damage.to_string()))
    }

    async fn append(&self, from: NodeId, request: AppendEntriesRequest<Group>) -> Appended {
        // Noted now: when the answer goes out is a matter of the disk, not of the leader.
        if !matches!(request.vote.partial_cmp(&self.parts.vote()), None | Some(Ordering::Less)) {
            self.parts.measured.heard_of(from);
        }
        if request.entries.is_empty() {
            return self.heartbeat(request).await;
        }
        // What elections and members need has its reserve.
        let takes_room = |entry: &Entry| matches!(entry.payload, EntryPayload::Normal(_));
        if self.parts.is_full() && request.entries.iter().any(takes_room) {
            return Err(FULL.to_owned());
        }
        let began = Instant::now();
        let appended = self.parts.raft.append_entries(request).await.map_err(|e| e.to_string());
        if matches!(appended, Ok(AppendEntriesResponse::Success)) {
            self.parts.measured.sync(began.elapsed());
        }
        appended
    }

    /// Raft answers when all entries before are on disk; on a slow one that would look to the
    /// leader like silence. So what the answer says is looked up if it takes long.
    async fn heartbeat(&self, request: AppendEntriesRequest<Group>) -> Appended {
        let (vote, previous) = (request.vote, request.prev_log_id);
        let appended = self.parts.raft.append_entries(request);
        tokio::pin!(appended);
        tokio::select! {
            biased;
            answer = &mut appended => return answer.map_err(|e| e.to_string()),
            () = sleep(limits::HEARTBEAT_PATIENCE) => {}
        }
        if self.confirms(vote, previous).await {
            return Ok(AppendEntriesResponse::Success);
        }
        appended.await.map_err(|e| e.to_string())
    }

    /// Whether this node follows `vote`, and has the leader's log up to `previous` on disk.
    async fn confirms(&self, vote: Vote, previous: Option<LogId>) -> bool {
        let flushed = self.parts.raft.watch_log_progress().get();
        // What was flushed under this leader's vote is this leader's log.
        let durable =
            flushed.is_some_and(|point| point.vote == vote && point.last_log_id >= previous);
        let follows = self.parts.raft.with_raft_state(move |state| *state.vote_ref() == vote);
        durable && follows.await.unwrap_or(false)
    }

    async fn install(
        &self,
        from: NodeId,
        header: &Bytes,
        stream: &mut BoxedStream,
    ) -> Result<(), String> {
        let header: snapshot::Header = codec::decode(header).map_err(|e| e.to_string())?;
        check_sender(from, &header.vote)?;
        self.check_files()?;
        if !self.parts.meet(from, header.epoch) {
            return Err(format!("it is of epoch {}", header.epoch));
        }
        if self.parts.is_full() {
            return Err(FULL.to_owned());
        }
        let Ok(_permit) = self.snapshots.try_acquire() else {
            return Err("too many snapshots are on their way to this node".to_owned());
        };
        let state = snapshot::receive(stream).await.map_err(|e| e.to_string())?;
        let snapshot = Snapshot { meta: header.meta, snapshot: state };
        let response = self
            .parts
            .raft
            .install_full_snapshot(header.vote, snapshot)
            .await
            .map_err(|e| e.to_string())?;
        self.parts.measured.heard_of(from);
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
        let (epoch, request): (Epoch, Request) =
            codec::decode(&body).map_err(|error| error.to_string())?;
        self.check_files()?;
        let reply = if self.parts.meet(from, epoch) {
            self.answer(from, request).await?
        } else {
            Reply::OtherEpoch(self.parts.epochs.current())
        };
        codec::encode(&reply).map_err(|error| error.to_string())
    }

    async fn stream(&self, from: NodeId, header: Bytes, mut stream: BoxedStream) {
        if let Err(reason) = self.install(from, &header, &mut stream).await {
            tracing::warn!(%from, %reason, "a snapshot was not installed");
        }
    }
}
