//! The Raft log on disk, `log.redb`, with the vote beside it.
//!
//! Everything that must be durable before it is acknowledged goes through one [`Writer`], in
//! order: entries, votes, truncations, purges. Entries are readable at once, from the [`Tail`] in
//! memory, and acknowledged when the group they were written with is on disk.

mod commit;
mod load;
mod tail;
mod writer;

use std::{
    fmt::Debug,
    io,
    ops::{Bound, RangeBounds},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use openraft::{
    LogState, OptionalSend, RaftLogReader,
    entry::RaftEntry,
    storage::{IOFlushed, RaftLogStorage},
};
use redb::{Database, TableDefinition};
use tokio::sync::oneshot;

pub(crate) use self::tail::Tail;
use self::{
    commit::{Change, Committer, Done, Step},
    writer::Writer,
};
use crate::{
    disk::Disk,
    limits,
    lineage::Lineage,
    owner::{Owner, StartError, claim},
    raft::{Entry, Group, LogId, Vote},
    state_machine::Machine,
};

/// The file's name.
pub(crate) const FILE: &str = "log.redb";

const LOG: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("log");
const VOTE_KEY: &str = "vote";
const COMMITTED_KEY: &str = "committed";
const PURGED_KEY: &str = "purged";

/// Reads the whole log, gives every entry to `visit` and returns what stands beside them.
pub(crate) fn read_all(
    disk: &Disk,
    lineage: &Lineage,
    owner: Option<&Owner>,
    mut visit: impl FnMut(Entry) -> Result<(), StartError>,
) -> Result<Tail, StartError> {
    let database = open_file(disk, lineage)?;
    if let Some(owner) = owner {
        claim(&database, FILE, owner)?;
    }
    let tail = load::load(&database)?;
    let first = tail.purged.map_or(0, |purged| purged.index + 1);
    let last = tail.last().map_or(0, |last| last.index + 1);
    let entries = load::read(&database, first, last, usize::MAX)
        .map_err(|source| StartError::Disk { file: FILE, source })?;
    entries.into_iter().try_for_each(&mut visit)?;
    Ok(tail)
}

/// Makes a new log of no entries, that begins after `purged`.
pub(crate) fn create(
    disk: &Disk,
    lineage: &Lineage,
    owner: &Owner,
    vote: Vote,
    purged: LogId,
) -> Result<(), StartError> {
    let database = open_file(disk, lineage)?;
    claim(&database, FILE, owner)?;
    let changes = [Change::Vote(vote), Change::Purge(purged)];
    Committer::new(Arc::new(database), Arc::default())
        .write(&changes)
        .map_err(|source| StartError::Disk { file: FILE, source })
}

fn open_file(disk: &Disk, lineage: &Lineage) -> Result<Database, StartError> {
    disk.open(&lineage.name("log", "redb")).map_err(|error| StartError::disk(FILE, error))
}

/// The log. Clones are handles to the same one.
#[derive(Clone, Debug)]
pub struct LogStore {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    tail: Arc<Mutex<Tail>>,
    database: Arc<Database>,
    writer: Writer,
    machine: Arc<Machine>,
    disk: Disk,
}

impl LogStore {
    /// Opens the log on `disk`, checks every entry of it and starts its writer. `machine` is
    /// made durable before entries are purged. The receiver ends when the file is closed.
    pub fn open(
        disk: &Disk,
        owner: &Owner,
        machine: Arc<Machine>,
    ) -> Result<(Self, oneshot::Receiver<()>), StartError> {
        let database = open_file(disk, &Lineage::read(disk)?)?;
        claim(&database, FILE, owner)?;
        let tail = load::load(&database)?;
        tail.check(machine.applied().last)?;
        let tail = Arc::new(Mutex::new(tail));
        let database = Arc::new(database);
        let committer = Committer::new(Arc::clone(&database), Arc::clone(&tail));
        let (writer, closed) = Writer::start(committer, disk)
            .map_err(|source| StartError::Disk { file: FILE, source })?;
        let shared = Shared { tail, database, writer, machine, disk: disk.clone() };
        Ok((Self { shared: Arc::new(shared) }, closed))
    }

    fn tail(&self) -> MutexGuard<'_, Tail> {
        self.shared.tail.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts `change` in line and waits until it is on disk.
    async fn perform(&self, change: Change) -> io::Result<()> {
        let (sender, receiver) = oneshot::channel();
        self.shared.writer.submit(Step { change, done: Done::Answer(sender) }).await?;
        receiver.await.map_err(io::Error::other)?
    }

    /// Entries from `start` to before `end`, ending early after `bytes` but never empty for that.
    async fn read(&self, start: u64, end: u64, bytes: usize) -> io::Result<Vec<Entry>> {
        let (mut recent, first_recent) = {
            let tail = self.tail();
            let first = tail.first_index().clamp(start, end.max(start));
            (tail.range(first, end, bytes), first)
        };
        if start >= first_recent {
            return Ok(recent);
        }
        let database = Arc::clone(&self.shared.database);
        let read = move || load::read(&database, start, first_recent, bytes);
        let mut entries = self.shared.disk.run(read).await?;
        let complete = match entries.last() {
            Some(last) => last.index() + 1 == first_recent,
            // All of them were purged meanwhile.
            None => true,
        };
        if complete {
            entries.append(&mut recent);
        }
        Ok(entries)
    }
}

fn bounds(range: &impl RangeBounds<u64>) -> (u64, u64) {
    let start = match range.start_bound() {
        Bound::Included(start) => *start,
        Bound::Excluded(before) => before.saturating_add(1),
        Bound::Unbounded => 0,
    };
    let end = match range.end_bound() {
        Bound::Included(last) => last.saturating_add(1),
        Bound::Excluded(end) => *end,
        Bound::Unbounded => u64::MAX,
    };
    (start, end)
}

impl RaftLogReader<Group> for LogStore {
    async fn try_get_log_entries<RB>(&mut self, range: RB) -> io::Result<Vec<Entry>>
    where
        RB: RangeBounds<u64> + Clone + Debug + OptionalSend,
    {
        let (start, end) = bounds(&range);
        self.read(start, end, usize::MAX).await
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> io::Result<Vec<Entry>> {
        self.read(start, end, limits::APPEND_BYTES).await
    }

    async fn read_vote(&mut self) -> io::Result<Option<Vote>> {
        Ok(self.tail().vote)
    }
}

impl RaftLogStorage<Group> for LogStore {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> io::Result<LogState<Group>> {
        let tail = self.tail();
        Ok(LogState { last_purged_log_id: tail.purged, last_log_id: tail.last() })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> io::Result<()> {
        self.perform(Change::Vote(*vote)).await?;
        self.tail().vote = Some(*vote);
        Ok(())
    }

    /// Remembered now, on disk with the next group.
    async fn save_committed(&mut self, committed: Option<LogId>) -> io::Result<()> {
        self.tail().committed = committed;
        Ok(())
    }

    async fn read_committed(&mut self) -> io::Result<Option<LogId>> {
        Ok(self.tail().committed)
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<Group>) -> io::Result<()>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let entries: Vec<Entry> = entries.into_iter().collect();
        self.tail().append(&entries);
        let step = Step { change: Change::Append(entries), done: Done::Flushed(callback) };
        self.shared.writer.submit(step).await
    }

    async fn truncate_after(&mut self, last: Option<LogId>) -> io::Result<()> {
        let from = last.map_or(0, |last| last.index + 1);
        self.tail().truncate(from, last);
        self.perform(Change::Truncate { from }).await
    }

    async fn purge(&mut self, upto: LogId) -> io::Result<()> {
        self.shared.machine.checkpoint().await?;
        self.tail().purge(upto);
        self.perform(Change::Purge(upto)).await
    }
}

#[cfg(test)]
mod tests;
