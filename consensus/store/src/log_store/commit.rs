//! One group of changes, one write, one fsync.

use std::{
    io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use openraft::{entry::RaftEntry, storage::IOFlushed};
use tokio::sync::{oneshot, watch};

use super::{
    frame::Builder,
    places::Location,
    record::Header,
    segments::{Segments, Space},
    tail::{self, Tail},
};
use crate::{
    owner::Owner,
    raft::{Entry, Group, LogId, Vote},
};

/// A change of what is on disk.
#[derive(Debug)]
pub(super) enum Change {
    Append(Vec<Entry>),
    Vote(Vote),
    /// Drops the entries after this one.
    Truncate(Option<LogId>),
    /// Drops the entries up to this one, once the state on disk has them.
    Purge(LogId),
    /// Changes nothing: looks whether there is room.
    Look,
}

impl Change {
    /// Bytes it adds to the log, about.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Append(entries) => entries.iter().map(tail::size).sum(),
            Self::Vote(_) | Self::Truncate(_) | Self::Purge(_) | Self::Look => 0,
        }
    }
}

/// Who hears when a change is on disk.
pub(super) enum Done {
    Flushed(IOFlushed<Group>),
    Answer(oneshot::Sender<io::Result<()>>),
    Nobody,
}

/// A change and who waits for it.
pub(super) struct Step {
    pub(super) change: Change,
    pub(super) done: Done,
}

/// Writes groups of changes.
#[derive(Debug)]
pub(super) struct Committer {
    segments: Segments,
    tail: Arc<Mutex<Tail>>,
    /// What is on disk beside the entries.
    stored: Header,
    /// The log index after the last entry that the state on disk reflects.
    durable: Arc<AtomicU64>,
    /// The last entry that is to be purged.
    purge: Option<LogId>,
    /// Where the entries of the group just written are.
    written: Vec<(u64, Location)>,
    space: watch::Sender<Space>,
}

impl Committer {
    /// Goes on where `tail` and `segments` end. Entries before the index in `durable` may go.
    pub(super) fn new(
        owner: &Owner,
        tail: Arc<Mutex<Tail>>,
        segments: Segments,
        durable: Arc<AtomicU64>,
    ) -> Self {
        let stored = {
            let tail = tail.lock().unwrap_or_else(PoisonError::into_inner);
            let (vote, purged, committed) = (tail.vote, tail.purged, tail.committed);
            let room = segments.disk.segment_bytes();
            Header { owner: owner.clone(), room, vote, purged, committed }
        };
        let purge = stored.purged;
        let space = watch::Sender::new(Space::Enough);
        Self { segments, tail, stored, durable, purge, written: Vec::new(), space }
    }

    /// Whether there is room, and its changes.
    pub(super) fn space(&self) -> watch::Receiver<Space> {
        self.space.subscribe()
    }

    /// Makes a group of changes durable, whole or not at all.
    pub(super) fn write<'a>(
        &mut self,
        changes: impl IntoIterator<Item = &'a Change>,
    ) -> io::Result<()> {
        let mut group = Builder::new();
        let mut after = self.stored.clone();
        let mut entries: Vec<(u64, usize, usize)> = Vec::new();
        let mut truncations = 0;
        self.add_purge(&mut group, &mut after)?;
        for change in changes {
            match change {
                Change::Append(appended) => {
                    for entry in appended {
                        let (start, bytes) = group.entry(entry).map_err(io::Error::other)?;
                        entries.push((entry.index(), start, bytes));
                    }
                }
                Change::Vote(vote) => {
                    group.vote(vote).map_err(io::Error::other)?;
                    after.vote = Some(*vote);
                }
                Change::Truncate(last) => {
                    group.truncate(*last).map_err(io::Error::other)?;
                    truncations += 1;
                }
                Change::Purge(upto) => {
                    self.purge = self.purge.max(Some(*upto));
                    self.add_purge(&mut group, &mut after)?;
                }
                Change::Look => {}
            }
        }
        if !group.is_empty() {
            self.add_committed(&mut group, &mut after, truncations)?;
            self.append(group, after, &entries)?;
        }
        Ok(())
    }

    /// Adds what is committed, which need not be durable by itself. Not before a truncation that
    /// is still to come: what it drops would count as committed.
    fn add_committed(
        &self,
        group: &mut Builder,
        after: &mut Header,
        truncations: usize,
    ) -> io::Result<()> {
        {
            let tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
            if tail.truncating > truncations {
                return Ok(());
            }
            after.committed = tail.committed;
        }
        if after.committed != self.stored.committed {
            group.committed(after.committed).map_err(io::Error::other)?;
        }
        Ok(())
    }

    /// Adds the purge that is due, if the state on disk has what goes. It stands before the
    /// entries that may follow a gap it explains.
    fn add_purge(&self, group: &mut Builder, after: &mut Header) -> io::Result<()> {
        let durable = self.durable.load(Ordering::Acquire);
        if let Some(upto) = self.purge.filter(|upto| upto.index < durable)
            && after.purged < Some(upto)
        {
            group.purge(&upto).map_err(io::Error::other)?;
            after.purged = Some(upto);
        }
        Ok(())
    }

    fn append(
        &mut self,
        group: Builder,
        after: Header,
        entries: &[(u64, usize, usize)],
    ) -> io::Result<()> {
        let last_index = entries.iter().map(|(index, ..)| *index).max();
        let place = self.segments.append(group, &self.stored, last_index)?;
        self.stored = after;
        self.written.extend(entries.iter().map(|(index, start, bytes)| {
            let (file, offset) = (Arc::clone(&place.file), place.offset + *start as u64);
            (*index, Location { file, offset, bytes: *bytes })
        }));
        Ok(())
    }

    /// Tells whoever waits for each step what became of the group, in order.
    pub(super) fn finish(&mut self, steps: Vec<Step>, result: &io::Result<()>) {
        if let Err(error) = result {
            tracing::error!(%error, "the raft log cannot be written");
        }
        let mut written = std::mem::take(&mut self.written).into_iter();
        for step in steps {
            if result.is_ok() {
                let mut tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
                match &step.change {
                    Change::Append(entries) => {
                        for (index, location) in written.by_ref().take(entries.len()) {
                            tail.stored(index, location);
                            tail.flushed(index + 1);
                        }
                    }
                    Change::Truncate(last) => tail.truncated(*last),
                    Change::Vote(_) | Change::Purge(_) | Change::Look => {}
                }
            }
            let answer = match result {
                Ok(()) => Ok(()),
                Err(error) => Err(io::Error::new(error.kind(), error.to_string())),
            };
            match step.done {
                Done::Flushed(callback) => callback.io_completed(answer),
                // Whoever asked has gone away; the change stands.
                Done::Answer(sender) => drop(sender.send(answer)),
                Done::Nobody => {}
            }
        }
    }

    /// Begins anew after `applied`, which the state on disk reflects and the log does not lead
    /// to: the state was installed whole, and the power cut before the log followed.
    pub(super) fn begin_after(&mut self, applied: LogId) -> io::Result<()> {
        self.write(&[Change::Truncate(None), Change::Purge(applied)])?;
        self.tail.lock().unwrap_or_else(PoisonError::into_inner).begin_after(applied);
        Ok(())
    }

    /// What can wait until everybody was told: purged segments go, the next one is made.
    pub(super) fn tidy(&mut self) {
        let before = *self.space.borrow();
        let now = self.segments.tidy(self.stored.purged.map(|purged| purged.index), before);
        if now != before {
            self.space.send_replace(now);
        }
    }

    /// Ends the log with a group that says it was closed, so that whatever cannot be read at its
    /// end later is damage and not a torn write.
    pub(super) fn close(&mut self) -> io::Result<()> {
        let (mut group, mut after) = (Builder::new(), self.stored.clone());
        self.add_purge(&mut group, &mut after)?;
        self.add_committed(&mut group, &mut after, 0)?;
        group.closed();
        self.append(group, after, &[])
    }
}
