//! Reading the log from disk.

use openraft::entry::RaftEntry;

use super::{
    FILE, frame,
    places::Location,
    record::{self, Header, Record},
    segments::{Segment, Segments},
    tail::Tail,
};
use crate::{
    disk::Disk,
    lineage::Lineage,
    owner::{self, Owner, StartError},
    raft::{Entry, LogId},
};

/// Reads everything once, checks that every entry is intact and none is missing, and keeps the
/// last ones and where the others are. A group torn by a power cut at the end is left out.
///
/// What is committed is noted beside entries that may still be on their way to the disk: after a
/// power cut the note may name an entry that is not there, and counts up to the last that is.
pub(super) fn load(
    disk: &Disk,
    lineage: &Lineage,
    owner: &Owner,
) -> Result<(Tail, Segments), StartError> {
    let mut loader = Loader {
        owner,
        tail: Tail::default(),
        segments: Segments::new(disk.clone(), *lineage, owner),
        expected: None,
        broken: None,
        last_read: None,
    };
    for (sequence, name) in names(disk, lineage)? {
        loader.segment(sequence, name)?;
    }
    let Loader { mut tail, segments, .. } = loader;
    check_complete(&tail)?;
    tail.committed = tail.committed.min(tail.last());
    Ok((tail, segments))
}

/// The owner of the log on `disk`, if there is one.
pub(super) fn owner_of(disk: &Disk, lineage: &Lineage) -> Result<Option<Owner>, StartError> {
    for (_, name) in names(disk, lineage)? {
        let content = disk.read(&name).map_err(io)?.unwrap_or_default();
        if let Some(header) = header_of(&content)? {
            return Ok(Some(header.owner));
        }
    }
    Ok(None)
}

fn io(source: std::io::Error) -> StartError {
    StartError::Disk { file: FILE, source }
}

fn damaged(what: String, reason: impl Into<String>) -> StartError {
    StartError::Damaged { file: FILE, what, reason: reason.into() }
}

fn names(disk: &Disk, lineage: &Lineage) -> Result<Vec<(u64, String)>, StartError> {
    let mut names: Vec<_> = disk
        .names("")
        .map_err(io)?
        .into_iter()
        .filter_map(|name| lineage.sequence_of(&name).map(|sequence| (sequence, name)))
        .collect();
    names.sort_unstable();
    Ok(names)
}

/// The header in the first group of a segment, if that group is intact.
fn header_of(content: &[u8]) -> Result<Option<Header>, StartError> {
    let Some(first) = frame::parse(content, 0) else { return Ok(None) };
    for record in record::read_all(&first) {
        if let (Record::Header(header), ..) = record? {
            return Ok(Some(header));
        }
    }
    Err(damaged(format!("group {}", first.group), "its segment has no header"))
}

/// Refuses a log with entries missing between the purged ones and the first.
fn check_complete(tail: &Tail) -> Result<(), StartError> {
    let expected = tail.purged.map_or(0, |purged| purged.index + 1);
    match tail.places.first() {
        Some(first) if first != expected => {
            Err(damaged(format!("log entry {expected}"), "it is missing"))
        }
        Some(_) | None => Ok(()),
    }
}

/// What was read so far.
struct Loader<'a> {
    owner: &'a Owner,
    tail: Tail,
    segments: Segments,
    /// The number of the next group.
    expected: Option<u64>,
    /// What cannot be read at the end of what was read; damaged if a later group exists.
    broken: Option<String>,
    last_read: Option<u64>,
}

impl Loader<'_> {
    fn segment(&mut self, sequence: u64, name: String) -> Result<(), StartError> {
        let disk = self.segments.disk.clone();
        let content = disk.read(&name).map_err(io)?.unwrap_or_default();
        self.segments.next_sequence = self.segments.next_sequence.max(sequence + 1);
        let Some(header) = header_of(&content)? else {
            return self.without_beginning(name, &content);
        };
        owner::compare(FILE, header.owner.clone(), self.owner)?;
        if (content.len() as u64) < header.room {
            return Err(damaged(name, "its end is missing"));
        }
        if self.expected.is_none() {
            self.tail.vote = header.vote;
            self.tail.purged = header.purged;
            self.tail.committed = header.committed;
        }
        let file = disk.reserve(&name, 0).map_err(io)?;
        let room = content.len() as u64;
        let file = std::sync::Arc::new(file);
        let mut segment = Segment { name, file, room, last: 0, end: 0, last_index: None };
        self.groups(&content, &mut segment)?;
        self.segments.used.push_back(segment);
        Ok(())
    }

    /// A segment made ahead, whose first group was never written or torn.
    fn without_beginning(&mut self, name: String, content: &[u8]) -> Result<(), StartError> {
        if frame::is_cut(content) {
            return Err(damaged(name, "its end is missing"));
        }
        let found = frame::highest_group(content, self.segments.salt);
        if found.is_some_and(|found| Some(found) >= self.expected) {
            let what = match record::damaged_entry(content, self.next_index()) {
                Some(index) => format!("log entry {index}"),
                None => format!("the beginning of {name}"),
            };
            return Err(damaged(what, "its checksum does not match"));
        }
        let file = self.segments.disk.reserve(&name, 0).map_err(io)?;
        let (file, room) = (std::sync::Arc::new(file), content.len() as u64);
        self.segments.spare = Some(Segment { name, file, room, last: 0, end: 0, last_index: None });
        Ok(())
    }

    /// Reads the groups of a segment up to its end, or to the end of the log.
    fn groups(&mut self, content: &[u8], segment: &mut Segment) -> Result<(), StartError> {
        let (mut offset, mut salt) = (0, 0);
        while let Some(group) = frame::parse(&content[offset..], salt) {
            let expected = self.expected.unwrap_or(group.group);
            if group.group != expected {
                let what = self.broken.take().unwrap_or_else(|| self.next_group());
                return Err(damaged(what, "its checksum does not match"));
            }
            // Torn by a power cut, and written anew since in a segment with more room.
            self.broken = None;
            for record in record::read_all(&group) {
                let (record, start, bytes) = record?;
                let place = (offset + start) as u64;
                self.take(record, segment, place, bytes)?;
            }
            segment.last = offset as u64;
            offset += group.bytes;
            self.expected = Some(group.group + 1);
            self.segments.next_group = group.group + 1;
            salt = self.segments.salt;
            if offset >= content.len() {
                offset = content.len();
                break;
            }
        }
        segment.end = offset as u64;
        self.end_of_segment(&content[offset..])
    }

    /// Notes what lies behind the last group that can be read.
    fn end_of_segment(&mut self, rest: &[u8]) -> Result<(), StartError> {
        if rest.iter().all(|byte| *byte == 0) {
            return Ok(());
        }
        let what = match record::damaged_entry(rest, self.next_index()) {
            Some(index) => format!("log entry {index}"),
            None => self.next_group(),
        };
        let found = frame::highest_group(rest, self.segments.salt);
        if frame::is_cut(rest) || (found.is_some() && found >= self.expected) {
            return Err(damaged(what, "its checksum does not match"));
        }
        self.broken = Some(what);
        Ok(())
    }

    fn next_index(&self) -> u64 {
        self.last_read.map_or(0, |last| last + 1)
    }

    fn next_group(&self) -> String {
        format!("group {}, before log entry {}", self.segments.next_group, self.next_index())
    }

    fn take(
        &mut self,
        record: Record,
        segment: &mut Segment,
        offset: u64,
        bytes: usize,
    ) -> Result<(), StartError> {
        match record {
            Record::Entry(entry) => {
                self.in_order(&entry)?;
                let index = entry.index();
                segment.last_index = segment.last_index.max(Some(index));
                self.last_read = Some(index);
                if self.tail.purged.is_none_or(|purged| index > purged.index) {
                    let file = std::sync::Arc::clone(&segment.file);
                    self.tail.append(&[entry]);
                    self.tail.stored(index, Location { file, offset, bytes });
                    self.tail.flushed(index + 1);
                }
            }
            Record::Vote(vote) => self.tail.vote = Some(vote),
            Record::Truncate(after) => self.truncate(after),
            Record::Purge(upto) => self.tail.purge(upto),
            Record::Committed(committed) => self.tail.committed = committed,
            Record::Closed | Record::Header(_) => {}
        }
        Ok(())
    }

    fn in_order(&self, entry: &Entry) -> Result<(), StartError> {
        let Some(last) = self.last_read else { return Ok(()) };
        let after_purge = self.tail.purged.map(|purged: LogId| purged.index + 1);
        if entry.index() == last + 1 || Some(entry.index()) == after_purge {
            return Ok(());
        }
        let found = entry.index();
        Err(damaged(format!("log entry {}", last + 1), format!("entry {found} is in its place")))
    }

    fn truncate(&mut self, after: Option<LogId>) {
        self.tail.truncate(after);
        self.tail.truncated(after);
        self.last_read = after.map(|last| last.index);
    }
}
