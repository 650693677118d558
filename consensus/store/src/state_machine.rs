//! The replicated state as openraft drives it.
//!
//! Entries are applied in memory and published at once; the state reaches the disk lazily
//! ([`Machine::checkpoint`]), but always before the log entries that led to it leave the disk. A
//! snapshot is a clone of the state, which shares what does not change and so stalls nobody.

use std::{
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use futures::{Stream, StreamExt};
use openraft::{
    EntryPayload, OptionalSend, RaftSnapshotBuilder,
    entry::RaftEntry,
    storage::{EntryResponder, RaftStateMachine},
};
use tokio::sync::{Notify, watch};

use crate::{
    disk::Disk,
    limits,
    owner::{Owner, StartError},
    published::Published,
    raft::{Answers, Group, LogId, Proposal, SnapshotMeta, StoredMembership},
    state::State,
    state_store::{Applied, StateStore},
};

/// A snapshot as openraft passes it on.
pub type Snapshot = openraft::type_config::alias::SnapshotOf<Group, State>;

/// The applied state, shared by whoever reads it, stores it or snapshots it.
#[derive(Debug)]
pub struct Machine {
    applied: Mutex<Applied>,
    /// The log index after the last applied entry.
    next_index: watch::Sender<u64>,
    published: Arc<Published>,
    /// The file and what it holds; nothing after an error, until it is opened anew.
    stored: tokio::sync::Mutex<Option<(StateStore, Applied)>>,
    owner: Owner,
    /// The log index after the last entry that the store reflects.
    durable: Arc<AtomicU64>,
    disk: Disk,
    since_checkpoint: AtomicU64,
    checkpoint_due: Notify,
}

impl Machine {
    /// Opens the state on `disk`.
    pub fn open(disk: &Disk, owner: &Owner) -> Result<Arc<Self>, StartError> {
        let (store, applied) = StateStore::open(disk, owner)?;
        Ok(Arc::new(Self {
            next_index: watch::Sender::new(next_index(&applied)),
            durable: Arc::new(AtomicU64::new(next_index(&applied))),
            published: Arc::new(Published::new(applied.state.view.clone())),
            stored: tokio::sync::Mutex::new(Some((store, applied.clone()))),
            owner: owner.clone(),
            applied: Mutex::new(applied),
            disk: disk.clone(),
            since_checkpoint: AtomicU64::new(0),
            checkpoint_due: Notify::new(),
        }))
    }

    /// Where to read the state and watch it.
    pub fn published(&self) -> &Arc<Published> {
        &self.published
    }

    /// The log index after the last applied entry, and its changes.
    pub fn next_index(&self) -> watch::Receiver<u64> {
        self.next_index.subscribe()
    }

    /// The state now.
    pub fn applied(&self) -> Applied {
        self.lock().clone()
    }

    /// Makes the state as it is now durable.
    pub async fn checkpoint(&self) -> io::Result<()> {
        let mut stored = self.stored.lock().await;
        let applied = self.applied();
        if stored.as_ref().is_some_and(|(_, before)| before.last == applied.last) {
            return Ok(());
        }
        self.since_checkpoint.store(0, Ordering::Relaxed);
        let opened = stored.take();
        let (disk, owner, after) = (self.disk.clone(), self.owner.clone(), applied.clone());
        self.disk.settle().await;
        let write = move || StateStore::write(opened, &disk, &owner, &after).map_err(failed);
        let store = self.disk.run(write).await?;
        self.disk.settle().await;
        self.durable.store(next_index(&applied), Ordering::Release);
        *stored = Some((store, applied));
        Ok(())
    }

    /// The log index after the last entry that is reflected on disk, as it changes.
    pub(crate) fn durable(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.durable)
    }

    /// Asks for a checkpoint if the log entry at `index` is not reflected on disk.
    pub(crate) fn want_durable(&self, index: u64) {
        if self.durable.load(Ordering::Acquire) <= index {
            self.checkpoint_due.notify_one();
        }
    }

    /// Returns when enough entries were applied since the last checkpoint.
    pub async fn checkpoint_due(&self) {
        self.checkpoint_due.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, Applied> {
        self.applied.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn apply(&self, log_id: LogId, payload: &Payload) -> io::Result<Answers> {
        let (stamp, transactions) = match payload {
            EntryPayload::Normal(proposal) => proposal.decode()?,
            EntryPayload::Blank | EntryPayload::Membership(_) => Default::default(),
        };
        let mut changes = Vec::new();
        let mut applied = self.lock();
        let answers =
            transactions.iter().map(|one| applied.state.apply(one, stamp, &mut changes)).collect();
        applied.last = Some(log_id);
        if let EntryPayload::Membership(membership) = payload {
            applied.membership = StoredMembership::new(Some(log_id), membership.clone());
        }
        let view = applied.state.view.clone();
        drop(applied);
        if !changes.is_empty() {
            self.published.publish(view, changes);
        }
        self.next_index.send_replace(log_id.index + 1);
        if self.since_checkpoint.fetch_add(1, Ordering::Relaxed) == limits::CHECKPOINT_ENTRIES {
            self.checkpoint_due.notify_one();
        }
        Ok(Answers(answers))
    }
}

type Payload = EntryPayload<Proposal, u64, openraft::EmptyNode>;

fn next_index(applied: &Applied) -> u64 {
    applied.last.map_or(0, |last| last.index + 1)
}

fn failed(error: StartError) -> io::Error {
    match error {
        StartError::Disk { source, .. } => source,
        other => io::Error::other(other),
    }
}

fn snapshot_of(applied: Applied) -> Snapshot {
    let meta = SnapshotMeta { last_log_id: applied.last, last_membership: applied.membership };
    Snapshot { meta, snapshot: applied.state }
}

/// openraft's handle to the [`Machine`].
#[derive(Clone, Debug)]
pub struct StateMachine(pub Arc<Machine>);

impl RaftStateMachine<Group> for StateMachine {
    type SnapshotData = State;
    type SnapshotBuilder = SnapshotBuilder;

    async fn applied_state(&mut self) -> io::Result<(Option<LogId>, StoredMembership)> {
        let applied = self.0.applied();
        Ok((applied.last, applied.membership))
    }

    async fn apply<Strm>(&mut self, mut entries: Strm) -> io::Result<()>
    where
        Strm: Stream<Item = io::Result<EntryResponder<Group>>> + Unpin + OptionalSend,
    {
        while let Some(item) = entries.next().await {
            let (entry, responder) = item?;
            let answers = self.0.apply(entry.log_id(), &entry.payload)?;
            if let Some(responder) = responder {
                responder.send(answers);
            }
        }
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> Self::SnapshotBuilder {
        SnapshotBuilder(self.0.applied())
    }

    async fn install_snapshot(&mut self, meta: &SnapshotMeta, snapshot: State) -> io::Result<()> {
        let applied = Applied {
            state: snapshot,
            last: meta.last_log_id,
            membership: meta.last_membership.clone(),
        };
        let (view, next) = (applied.state.view.clone(), next_index(&applied));
        *self.0.lock() = applied;
        self.0.published.replace(view);
        self.0.next_index.send_replace(next);
        self.0.checkpoint().await
    }

    /// The state as it is now: whatever was applied is committed, so it is as good as any older
    /// snapshot and spares the receiver the entries since.
    async fn get_current_snapshot(&mut self) -> io::Result<Option<Snapshot>> {
        let applied = self.0.applied();
        Ok(applied.last.is_some().then(|| snapshot_of(applied)))
    }
}

/// The state at one point. It need not be durable: the log up to there is kept until it is.
#[derive(Debug)]
pub struct SnapshotBuilder(Applied);

impl RaftSnapshotBuilder<Group> for SnapshotBuilder {
    type SnapshotData = State;

    async fn build_snapshot(&mut self) -> io::Result<Snapshot> {
        Ok(snapshot_of(self.0.clone()))
    }
}
