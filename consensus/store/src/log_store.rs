//! The Raft log on disk, with the vote beside it.
//!
//! Everything that must be durable before it is acknowledged goes through one [`Writer`], in
//! order: entries, votes, truncations, purges. Entries are readable at once, from the [`Tail`] in
//! memory, and acknowledged when the group they were written with is on disk.
//!
//! Only appends and votes are waited for. A truncation is as safe as the entries after it, which
//! stand behind it in the log; a purge waits, in the writer, until the state on disk has what is
//! purged.

mod commit;
mod frame;
mod load;
mod places;
mod record;
mod segments;
mod tail;
mod writer;

use std::{
    fmt::Debug,
    io,
    ops::{Bound, RangeBounds},
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicU64},
};

use openraft::{
    LogState, OptionalSend, RaftLogReader,
    storage::{IOFlushed, RaftLogStorage},
};
use tokio::sync::{oneshot, watch};

pub use self::segments::Space;
pub(crate) use self::tail::Tail;
use self::{
    commit::{Change, Committer, Done, Step},
    segments::Segments,
    writer::Writer,
};
use crate::{
    disk::Disk,
    limits,
    lineage::Lineage,
    owner::{Owner, StartError},
    raft::{Entry, Group, LogId, Vote},
    state_machine::Machine,
};

/// What its files are called in errors.
pub(crate) const FILE: &str = "the raft log";

/// Reads the whole log of a replica that does not run, gives every entry to `visit` and returns
/// what stands beside them. `owner` is whose it must be, if that matters.
pub(crate) fn read_all(
    disk: &Disk,
    lineage: &Lineage,
    owner: Option<&Owner>,
    mut visit: impl FnMut(Entry) -> Result<(), StartError>,
) -> Result<Tail, StartError> {
    let found = match owner {
        Some(owner) => Some(owner.clone()),
        None => load::owner_of(disk, lineage)?,
    };
    let Some(owner) = found else { return Ok(Tail::default()) };
    let (tail, _) = load::load(disk, lineage, &owner)?;
    let mut next = tail.places.first();
    while let Some(start) = next {
        let locations = tail.places.range(start, u64::MAX, limits::LOG_READ_BYTES);
        next = (!locations.is_empty()).then(|| start + locations.len() as u64);
        let entries = places::read(&locations, start)
            .map_err(|source| StartError::Disk { file: FILE, source })?;
        entries.into_iter().try_for_each(&mut visit)?;
    }
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
    let segments = Segments::new(disk.clone(), *lineage, owner);
    let durable = Arc::new(AtomicU64::new(u64::MAX));
    let mut committer = Committer::new(owner, Arc::default(), segments, durable);
    let changes = [Change::Vote(vote), Change::Purge(purged)];
    let written = committer.write(&changes).and_then(|()| committer.close());
    written.map_err(|source| StartError::Disk { file: FILE, source })
}

/// The log. Clones are handles to the same one.
#[derive(Clone, Debug)]
pub struct LogStore {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    tail: Arc<Mutex<Tail>>,
    writer: Writer,
    space: watch::Receiver<Space>,
    machine: Arc<Machine>,
    disk: Disk,
}

impl LogStore {
    /// Opens the log on `disk`, checks every entry of it and starts its writer. Entries are
    /// purged when `machine` has them on disk. The receiver ends when the files are closed.
    pub fn open(
        disk: &Disk,
        owner: &Owner,
        machine: Arc<Machine>,
    ) -> Result<(Self, oneshot::Receiver<()>), StartError> {
        let fail = |source| StartError::Disk { file: FILE, source };
        let (tail, segments) = load::load(disk, &Lineage::read(disk)?, owner)?;
        let applied = machine.applied().last;
        tail.check(applied)?;
        segments.secure().map_err(fail)?;
        let beside = match applied {
            Some(applied) if !tail.leads_to(applied).map_err(fail)? => Some(applied),
            Some(_) | None => None,
        };
        let tail = Arc::new(Mutex::new(tail));
        let mut committer = Committer::new(owner, Arc::clone(&tail), segments, machine.durable());
        if let Some(applied) = beside {
            committer.begin_after(applied).map_err(fail)?;
        }
        committer.tidy();
        let space = committer.space();
        let (writer, closed) = Writer::start(committer, disk).map_err(fail)?;
        let shared = Shared { tail, writer, space, machine, disk: disk.clone() };
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

    /// Whether there is room for more on the disk, and its changes.
    pub fn space(&self) -> watch::Receiver<Space> {
        self.shared.space.clone()
    }

    /// Looks for room again. Without this, [`space`](Self::space) changes only as the log grows.
    pub async fn look_for_space(&self) -> io::Result<()> {
        self.perform(Change::Look).await
    }

    /// Puts `change` in line for which nobody waits.
    async fn enqueue(&self, change: Change) -> io::Result<()> {
        self.shared.writer.submit(Step { change, done: Done::Nobody }).await
    }

    /// Entries from `start` to before `end`, ending early after `bytes` but never empty for that.
    /// Those that are purged are left out.
    async fn read(&self, start: u64, end: u64, bytes: usize) -> io::Result<Vec<Entry>> {
        let (mut recent, older, start, first_recent) = {
            let tail = self.tail();
            let start = start.max(tail.purged.map_or(0, |purged| purged.index + 1));
            let first = tail.first_index().clamp(start, end.max(start));
            let older = tail.places.range(start, first, bytes);
            (tail.range(first, end, bytes), older, start, first)
        };
        if older.is_empty() {
            return Ok(recent);
        }
        let read = self.shared.disk.run(move || places::read(&older, start)).await;
        let mut entries = match read {
            Ok(entries) => entries,
            Err(_) if self.tail().purged.is_some_and(|purged| purged.index >= start) => {
                return Ok(Vec::new());
            }
            Err(error) => return Err(error),
        };
        if start + entries.len() as u64 == first_recent {
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
        self.tail().truncate(last);
        self.enqueue(Change::Truncate(last)).await
    }

    async fn purge(&mut self, upto: LogId) -> io::Result<()> {
        self.tail().purge(upto);
        self.shared.machine.want_durable(upto.index);
        self.enqueue(Change::Purge(upto)).await
    }
}

#[cfg(test)]
mod restarts;
#[cfg(test)]
mod tests;
