//! The newest log entries in memory.

use std::{collections::VecDeque, io};

use openraft::{EntryPayload, entry::RaftEntry};

use super::{
    FILE,
    places::{self, Location, Places},
};
use crate::{
    limits,
    owner::StartError,
    raft::{Entry, LogId, Vote},
    state_store,
};

/// The end of the log, and the few values beside it.
///
/// Holds every entry that is not on disk yet, and as many before them as fit
/// [`limits::LOG_TAIL_BYTES`].
#[derive(Debug, Default)]
pub(crate) struct Tail {
    /// Consecutive entries up to the last.
    entries: VecDeque<Entry>,
    bytes: usize,
    /// Entries before this index are on disk.
    flushed: u64,
    /// Where the entries on disk are.
    pub(super) places: Places,
    /// Truncations that are not on disk yet: until they are, what is on disk may be what was
    /// truncated.
    pub(super) truncating: usize,
    /// The last entry of the log, if the tail has none and it was not purged.
    before: Option<LogId>,
    /// The last entry purged.
    pub(crate) purged: Option<LogId>,
    /// The last vote saved.
    pub(crate) vote: Option<Vote>,
    /// The last entry known to be committed.
    pub(super) committed: Option<LogId>,
}

/// What an entry weighs beyond its transactions.
const ENTRY_BYTES: usize = 64;

/// Bytes an entry takes in memory or in a message, about.
pub(super) fn size(entry: &Entry) -> usize {
    match &entry.payload {
        EntryPayload::Normal(proposal) => proposal.len() + ENTRY_BYTES,
        EntryPayload::Blank | EntryPayload::Membership(_) => ENTRY_BYTES,
    }
}

impl Tail {
    /// The last entry of the log, or the last purged if there is none.
    pub(super) fn last(&self) -> Option<LogId> {
        self.entries.back().map(RaftEntry::log_id).or(self.before).or(self.purged)
    }

    /// The index of the first entry held; after the last if none is.
    pub(super) fn first_index(&self) -> u64 {
        match self.entries.front() {
            Some(entry) => entry.index(),
            None => self.last().map_or(0, |last| last.index + 1),
        }
    }

    /// The held entries from `start` to before `end`, ending early after `bytes`.
    pub(super) fn range(&self, start: u64, end: u64, bytes: usize) -> Vec<Entry> {
        let first = self.first_index();
        let skip = usize::try_from(start.saturating_sub(first)).unwrap_or(usize::MAX);
        let mut taken = 0;
        let within = self.entries.iter().skip(skip).take_while(|entry| {
            let fits = taken == 0 || taken + size(entry) <= bytes;
            taken += size(entry);
            fits && entry.index() < end
        });
        within.cloned().collect()
    }

    /// Adds entries that follow the last.
    pub(super) fn append(&mut self, entries: &[Entry]) {
        self.bytes += entries.iter().map(size).sum::<usize>();
        self.entries.extend(entries.iter().cloned());
        self.trim();
    }

    /// Notes that entries before `index` are on disk.
    pub(super) fn flushed(&mut self, index: u64) {
        self.flushed = index;
        self.trim();
    }

    /// Notes where an entry is on disk.
    pub(super) fn stored(&mut self, index: u64, location: Location) {
        if !self.is_purged(index) {
            self.places.push(index, location);
        }
    }

    fn is_purged(&self, index: u64) -> bool {
        self.purged.is_some_and(|purged| index <= purged.index)
    }

    /// Drops entries after `last`.
    pub(super) fn truncate(&mut self, last: Option<LogId>) {
        let from = last.map_or(0, |last| last.index + 1);
        while self.entries.back().is_some_and(|entry| entry.index() >= from) {
            if let Some(entry) = self.entries.pop_back() {
                self.bytes -= size(&entry);
            }
        }
        self.before = last.filter(|last| !self.is_purged(last.index));
        self.truncating += 1;
    }

    /// Notes that entries after `last` are no longer on disk.
    pub(super) fn truncated(&mut self, last: Option<LogId>) {
        let from = last.map_or(0, |last| last.index + 1);
        self.places.truncate(from);
        self.flushed = self.flushed.min(from);
        self.truncating = self.truncating.saturating_sub(1);
    }

    /// Drops entries up to `upto`.
    pub(super) fn purge(&mut self, upto: LogId) {
        while self.entries.front().is_some_and(|entry| entry.index() <= upto.index) {
            if let Some(entry) = self.entries.pop_front() {
                self.bytes -= size(&entry);
            }
        }
        self.places.purge(upto.index);
        self.purged = self.purged.max(Some(upto));
        self.before = self.before.filter(|before| before.index > upto.index);
    }

    /// Begins anew after `applied`.
    pub(super) fn begin_after(&mut self, applied: LogId) {
        self.entries.clear();
        self.bytes = 0;
        self.places = Places::default();
        self.before = None;
        self.purged = Some(applied);
        self.committed = Some(applied);
    }

    /// Whether the log leads to `applied`: has this very entry, or begins after it.
    pub(super) fn leads_to(&self, applied: LogId) -> io::Result<bool> {
        if self.is_purged(applied.index) {
            return Ok(true);
        }
        let index = applied.index;
        let mut found = self.range(index, index + 1, usize::MAX);
        if found.is_empty() {
            found = places::read(&self.places.range(index, index + 1, usize::MAX), index)?;
        }
        Ok(found.first().is_some_and(|entry| entry.log_id() == applied))
    }

    /// Refuses a log and a state that cannot be of one replica.
    ///
    /// Every replica votes before it applies anything: a log without a vote beside a state with
    /// entries is a new one in place of a lost one, and a node that forgot its vote could vote twice.
    /// A new state is filled from the log, unless the entries it needs were purged.
    pub(crate) fn check(&self, applied: Option<LogId>) -> Result<(), StartError> {
        let lost = |file: &'static str, other: &str| StartError::Damaged {
            file,
            what: "what was in it".to_owned(),
            reason: format!(
                "it is gone while {other} is there; let this node join anew, as another"
            ),
        };
        if applied.is_some() && self.vote.is_none() && self.last().is_none() {
            return Err(lost(FILE, state_store::FILE));
        }
        if applied < self.purged {
            return Err(lost(state_store::FILE, FILE));
        }
        Ok(())
    }

    fn trim(&mut self) {
        while self.truncating == 0
            && self.bytes > limits::LOG_TAIL_BYTES
            && self.entries.front().is_some_and(|entry| entry.index() < self.flushed)
        {
            if let Some(entry) = self.entries.pop_front() {
                self.bytes -= size(&entry);
                self.before = Some(entry.log_id());
            }
        }
    }
}
