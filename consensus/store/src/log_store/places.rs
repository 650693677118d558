//! Where each entry of the log lies on disk.

use std::{collections::VecDeque, io, sync::Arc};

use openraft::entry::RaftEntry;

use crate::{disk::RawFile, limits, raft::Entry, sealed};

/// Where one entry lies.
#[derive(Clone, Debug)]
pub(super) struct Location {
    pub(super) file: Arc<RawFile>,
    pub(super) offset: u64,
    pub(super) bytes: usize,
}

/// The locations of consecutive entries.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// The index of the first.
    first: u64,
    locations: VecDeque<Location>,
}

impl Places {
    /// The index of the first entry.
    pub(super) fn first(&self) -> Option<u64> {
        (!self.locations.is_empty()).then_some(self.first)
    }

    /// Adds the entry after the last.
    pub(super) fn push(&mut self, index: u64, location: Location) {
        if self.locations.is_empty() {
            self.first = index;
        }
        self.locations.push_back(location);
    }

    /// Forgets entries from index `from` on.
    pub(super) fn truncate(&mut self, from: u64) {
        let kept = usize::try_from(from.saturating_sub(self.first)).unwrap_or(usize::MAX);
        self.locations.truncate(kept);
    }

    /// Forgets entries up to index `upto`.
    pub(super) fn purge(&mut self, upto: u64) {
        while !self.locations.is_empty() && self.first <= upto {
            self.locations.pop_front();
            self.first += 1;
        }
    }

    /// The locations from `start` to before `end`, ending early after `bytes` but never empty
    /// for that; empty if the first is not there.
    pub(super) fn range(&self, start: u64, end: u64, bytes: usize) -> Vec<Location> {
        let Some(skip) = start.checked_sub(self.first) else { return Vec::new() };
        let skip = usize::try_from(skip).unwrap_or(usize::MAX);
        let count = usize::try_from(end.saturating_sub(start)).unwrap_or(usize::MAX);
        let mut taken = 0;
        let within = self.locations.iter().skip(skip).take(count).take_while(|location| {
            let fits = taken == 0 || taken + location.bytes <= bytes;
            taken += location.bytes;
            fits
        });
        within.cloned().collect()
    }
}

/// Reads the entries at `locations`, the first of which has index `start`.
pub(super) fn read(locations: &[Location], start: u64) -> io::Result<Vec<Entry>> {
    let mut entries = Vec::with_capacity(locations.len());
    let mut rest = locations;
    while let Some(first) = rest.first() {
        let together = rest.iter().take_while(|one| neighbours(first, one)).count().max(1);
        let (run, after) = rest.split_at(together);
        let end = run.last().map_or(0, |last| last.offset + last.bytes as u64);
        let mut bytes = vec![0; usize::try_from(end - first.offset).map_err(io::Error::other)?];
        first.file.read_at(first.offset, &mut bytes)?;
        for location in run {
            let index = start + entries.len() as u64;
            let from = usize::try_from(location.offset - first.offset).map_err(io::Error::other)?;
            entries.push(open(&bytes[from..from + location.bytes], index)?);
        }
        rest = after;
    }
    Ok(entries)
}

/// Whether the two are read with one call.
fn neighbours(first: &Location, other: &Location) -> bool {
    Arc::ptr_eq(&first.file, &other.file)
        && other.offset >= first.offset
        && other.offset - first.offset < limits::LOG_READ_BYTES as u64
}

fn open(sealed: &[u8], index: u64) -> io::Result<Entry> {
    let invalid = |reason: String| {
        let text = format!("log entry {index} is damaged: {reason}");
        io::Error::new(io::ErrorKind::InvalidData, text)
    };
    let entry: Entry = sealed::open(sealed).map_err(|error| invalid(error.to_string()))?;
    match entry.index() {
        found if found == index => Ok(entry),
        found => Err(invalid(format!("it says it is entry {found}"))),
    }
}
