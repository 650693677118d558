//! What stands in the log: one record per change.

use openraft::entry::RaftEntry;
use serde::{Deserialize, Serialize};
use skein_net::{CodecError, codec};

use super::{FILE, frame};
use crate::{
    owner::{self, FORMAT, Owner, StartError},
    raft::{Entry, LogId, Vote},
    sealed::{self, SealError},
};

/// An entry, sealed on its own as well: it is also read alone.
const ENTRY: u8 = 1;
const VOTE: u8 = 2;
const TRUNCATE: u8 = 3;
const PURGE: u8 = 4;
const COMMITTED: u8 = 5;
const CLOSED: u8 = 6;
/// The format and a [`Header`].
const HEADER: u8 = 7;

/// What stands in the first group of each segment: all that is known before that group from
/// segments that may be gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Header {
    pub(super) owner: Owner,
    /// Bytes the segment has at least: a shorter one was cut.
    pub(super) room: u64,
    pub(super) vote: Option<Vote>,
    pub(super) purged: Option<LogId>,
    pub(super) committed: Option<LogId>,
}

/// A record as read.
#[derive(Debug)]
pub(super) enum Record {
    Entry(Entry),
    Vote(Vote),
    /// Entries after this one were dropped.
    Truncate(Option<LogId>),
    Purge(LogId),
    Committed(Option<LogId>),
    /// The log was closed properly.
    Closed,
    Header(Header),
}

/// Writes records into a frame.
impl frame::Builder {
    /// Returns where in the frame the entry lies, and how long it is.
    pub(super) fn entry(&mut self, entry: &Entry) -> Result<(usize, usize), CodecError> {
        let body = sealed::seal(entry)?;
        Ok((self.push(ENTRY, &body), body.len()))
    }

    pub(super) fn vote(&mut self, vote: &Vote) -> Result<(), CodecError> {
        self.value(VOTE, vote)
    }

    pub(super) fn truncate(&mut self, after: Option<LogId>) -> Result<(), CodecError> {
        self.value(TRUNCATE, &after)
    }

    pub(super) fn purge(&mut self, upto: &LogId) -> Result<(), CodecError> {
        self.value(PURGE, upto)
    }

    pub(super) fn committed(&mut self, committed: Option<LogId>) -> Result<(), CodecError> {
        self.value(COMMITTED, &committed)
    }

    pub(super) fn closed(&mut self) {
        self.push(CLOSED, &[]);
    }

    pub(super) fn header(&mut self, header: &Header) -> Result<(), CodecError> {
        let mut body = FORMAT.to_le_bytes().to_vec();
        body.extend_from_slice(&codec::encode(header)?);
        self.push(HEADER, &body);
        Ok(())
    }

    fn value<T: Serialize>(&mut self, kind: u8, value: &T) -> Result<(), CodecError> {
        let body = codec::encode(value)?;
        self.push(kind, &body);
        Ok(())
    }
}

/// The records of an intact frame, each with its place in the frame and its length.
pub(super) fn read_all(
    frame: &frame::Frame<'_>,
) -> impl Iterator<Item = Result<(Record, usize, usize), StartError>> {
    let damaged = |reason: String| StartError::Damaged {
        file: FILE,
        what: format!("group {}", frame.group),
        reason,
    };
    frame.records().map(move |record| {
        let record = record.ok_or_else(|| damaged("a record does not fit in it".to_owned()))?;
        let read = match record.kind {
            HEADER => header(record.body)?,
            kind => one(kind, record.body).map_err(|error| damaged(error.to_string()))?,
        };
        Ok((read, record.start, record.body.len()))
    })
}

fn one(kind: u8, body: &[u8]) -> Result<Record, SealError> {
    let record = match kind {
        ENTRY => Record::Entry(sealed::open(body)?),
        VOTE => Record::Vote(codec::decode(body).map_err(SealError::Decode)?),
        TRUNCATE => Record::Truncate(codec::decode(body).map_err(SealError::Decode)?),
        PURGE => Record::Purge(codec::decode(body).map_err(SealError::Decode)?),
        COMMITTED => Record::Committed(codec::decode(body).map_err(SealError::Decode)?),
        CLOSED => Record::Closed,
        other => return Err(SealError::Kind(other)),
    };
    Ok(record)
}

fn header(body: &[u8]) -> Result<Record, StartError> {
    let (format, body) = body
        .split_first_chunk::<4>()
        .ok_or_else(|| StartError::damaged(FILE, "its format", &SealError::Checksum))?;
    owner::supported(FILE, u32::from_le_bytes(*format))?;
    let header = codec::decode(body).map_err(|error| {
        StartError::damaged(FILE, "the head of a segment", &SealError::Decode(error))
    })?;
    Ok(Record::Header(header))
}

/// Which log entry is damaged in the frame at the start of `bytes`, which cannot be read as a
/// whole: the first that does not match its own checksum, if any does not. `next` is the index
/// after the last intact one.
pub(super) fn damaged_entry(bytes: &[u8], next: u64) -> Option<u64> {
    let mut index = next;
    for record in frame::records_as_they_lie(bytes).filter(|record| record.kind == ENTRY) {
        match sealed::open::<Entry>(record.body) {
            Ok(entry) => index = entry.index() + 1,
            Err(_) => return Some(index),
        }
    }
    None
}
