//! Reading the log from disk.

use std::io;

use openraft::entry::RaftEntry;
use redb::{Database, ReadableDatabase, ReadableTable};
use serde::de::DeserializeOwned;

use super::{COMMITTED_KEY, FILE, LOG, PURGED_KEY, VOTE_KEY, tail, tail::Tail};
use crate::{
    disk::io_error,
    owner::{META, StartError},
    raft::{Entry, LogId},
    sealed,
};

/// Reads everything once, checks that every entry is intact and none is missing, and keeps the
/// last ones. A torn last write needs no care here: the database rolls it back as a whole.
///
/// What is committed is noted beside entries that may still be on their way to the disk: after a
/// power cut the note may name an entry that is not there, and counts up to the last that is.
pub(super) fn load(database: &Database) -> Result<Tail, StartError> {
    let mut tail = load_all(database)?;
    tail.committed = tail.committed.min(tail.last());
    Ok(tail)
}

fn load_all(database: &Database) -> Result<Tail, StartError> {
    let disk = |error: redb::Error| StartError::disk(FILE, error);
    let transaction = database.begin_read().map_err(|error| disk(error.into()))?;
    let meta = match transaction.open_table(META) {
        Ok(meta) => meta,
        Err(redb::TableError::TableDoesNotExist(_)) => return Ok(Tail::default()),
        Err(error) => return Err(disk(error.into())),
    };
    let mut tail = Tail::default();
    tail.vote = single(&meta, VOTE_KEY)?;
    tail.committed = single::<Option<LogId>>(&meta, COMMITTED_KEY)?.flatten();
    tail.purged = single(&meta, PURGED_KEY)?;

    let log = match transaction.open_table(LOG) {
        Ok(log) => log,
        Err(redb::TableError::TableDoesNotExist(_)) => return Ok(tail),
        Err(error) => return Err(disk(error.into())),
    };
    let mut expected = tail.purged.map(|purged: LogId| purged.index + 1);
    for item in log.iter().map_err(|error| disk(error.into()))? {
        let (index, value) = item.map_err(|error| disk(error.into()))?;
        let index = index.value();
        let damaged = |reason: String| StartError::Damaged {
            file: FILE,
            what: format!("log entry {index}"),
            reason,
        };
        if expected.is_some_and(|expected| expected != index) {
            return Err(damaged("entries before it are missing".to_owned()));
        }
        let entry: Entry =
            sealed::open(value.value()).map_err(|error| damaged(error.to_string()))?;
        if entry.index() != index {
            return Err(damaged(format!("it says it is entry {}", entry.index())));
        }
        expected = Some(index + 1);
        tail.append(&[entry]);
        tail.flushed(index + 1);
    }
    Ok(tail)
}

fn single<T: DeserializeOwned>(
    meta: &impl ReadableTable<&'static str, &'static [u8]>,
    key: &str,
) -> Result<Option<T>, StartError> {
    let value = meta.get(key).map_err(|error| StartError::disk(FILE, error))?;
    value
        .map(|value| sealed::open(value.value()))
        .transpose()
        .map_err(|error| StartError::damaged(FILE, format!("its {key}"), &error))
}

/// Entries on disk from `start` to before `end`, ending early after `bytes`.
pub(super) fn read(
    database: &Database,
    start: u64,
    end: u64,
    bytes: usize,
) -> io::Result<Vec<Entry>> {
    let transaction = database.begin_read().map_err(io_error)?;
    let log = match transaction.open_table(LOG) {
        Ok(log) => log,
        Err(redb::TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
        Err(error) => return Err(io_error(error)),
    };
    let mut entries: Vec<Entry> = Vec::new();
    let mut taken = 0;
    for item in log.range(start..end).map_err(io_error)? {
        let (index, value) = item.map_err(io_error)?;
        let entry: Entry = sealed::open(value.value()).map_err(|error| {
            let text = format!("log entry {} is damaged: {error}", index.value());
            io::Error::new(io::ErrorKind::InvalidData, text)
        })?;
        if taken > 0 && taken + tail::size(&entry) > bytes {
            break;
        }
        taken += tail::size(&entry);
        entries.push(entry);
    }
    Ok(entries)
}
