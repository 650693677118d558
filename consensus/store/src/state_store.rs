//! The state on disk, `state.redb`.
//!
//! Written now and then as the difference to what is there, together with the log entry it
//! reflects, in one transaction; what comes after is replayed from the log. Never written per
//! entry: the log alone makes a write durable.
//!
//! Each value carries its checksum, and a digest over all of them tells when one is missing or
//! is an older one. What the database keeps for itself is not covered by that and not needed to
//! read: it is checked before the first write, when nobody waits for it.

use std::{io, panic::AssertUnwindSafe};

use redb::{
    Database, ReadTransaction, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction,
};
use serde::{Deserialize, Serialize};

use crate::{
    Record, Revision,
    disk::{Disk, io_error},
    lineage::Lineage,
    owner::{META, Owner, StartError, claim},
    raft::{LogId, StoredMembership},
    requests::{Remembered, RequestMemory},
    sealed,
    state::State,
    view::{Difference, Loading},
};

/// The file's name.
pub(crate) const FILE: &str = "state.redb";

const OBJECTS: TableDefinition<'_, (&str, &str, &str), &[u8]> = TableDefinition::new("objects");
const REQUESTS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("requests");
const APPLIED_KEY: &str = "applied";

/// The state after a log entry. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Applied {
    /// The state.
    pub state: State,
    /// The last entry applied to it.
    pub last: Option<LogId>,
    /// The last membership applied.
    pub membership: StoredMembership,
}

/// What stands beside the objects, in the same transaction.
#[derive(Debug, Serialize, Deserialize)]
struct Progress {
    last: Option<LogId>,
    membership: StoredMembership,
    revision: Revision,
    first_request: u64,
    next_request: u64,
    digest: Digest,
}

/// How many objects there are and the sum of their checksums.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Digest {
    objects: u64,
    checksums: u64,
}

impl Digest {
    fn add(&mut self, sealed: &[u8]) {
        self.objects = self.objects.wrapping_add(1);
        self.checksums = self.checksums.wrapping_add(sealed::checksum(sealed).into());
    }

    fn remove(&mut self, sealed: &[u8]) {
        self.objects = self.objects.wrapping_sub(1);
        self.checksums = self.checksums.wrapping_sub(sealed::checksum(sealed).into());
    }
}

/// The open file.
#[derive(Debug)]
pub(crate) struct StateStore {
    database: Database,
    /// Whether the database's own pages were checked.
    checked: bool,
}

impl StateStore {
    /// Opens or makes the file and reads all of it.
    pub(crate) fn open(disk: &Disk, owner: &Owner) -> Result<(Self, Applied), StartError> {
        let lineage = Lineage::read(disk)?;
        contained(|| {
            let names = disk.names("").map_err(|source| StartError::Disk { file: FILE, source })?;
            if !names.contains(&lineage.state_name()) {
                make_file(disk, &lineage, owner, |_| Ok(()))?;
            }
            let database = open_file(disk, &lineage)?;
            claim(&database, FILE, owner)?;
            let applied = load(&database)?;
            Ok((Self { database, checked: false }, applied))
        })
    }

    /// Reads all of the file of a replica that does not run; of `owner`, if that matters.
    pub(crate) fn read(
        disk: &Disk,
        lineage: &Lineage,
        owner: Option<&Owner>,
    ) -> Result<Applied, StartError> {
        contained(|| {
            let database = open_file(disk, lineage)?;
            if let Some(owner) = owner {
                claim(&database, FILE, owner)?;
            }
            load(&database)
        })
    }

    /// Makes a new file that holds `applied`, in place of one there may be.
    pub(crate) fn create(
        disk: &Disk,
        lineage: &Lineage,
        owner: &Owner,
        applied: &Applied,
    ) -> Result<(), StartError> {
        make_file(disk, lineage, owner, |database| {
            write(database, &Applied::default(), applied)
                .map_err(|source| StartError::Disk { file: FILE, source })
        })
    }

    /// Makes `applied` durable, where `opened` is the file and what it holds, if it is open. After
    /// an error it is not: only what is read from it then tells what it holds.
    ///
    /// A file that turns out to be damaged is written anew: all of it is in memory.
    pub(crate) fn write(
        opened: Option<(Self, Applied)>,
        disk: &Disk,
        owner: &Owner,
        applied: &Applied,
    ) -> Result<Self, StartError> {
        let opened = opened.map_or_else(|| Self::open(disk, owner), Ok);
        match opened.and_then(|(store, held)| store.checked(held)) {
            Ok((store, held)) => write(&store.database, &held, applied)
                .map(|()| store)
                .map_err(|source| StartError::Disk { file: FILE, source }),
            Err(error @ StartError::Damaged { .. }) => {
                tracing::warn!(%error, "the state is written anew");
                let lineage = Lineage::read(disk)?;
                Self::create(disk, &lineage, owner, applied)?;
                Ok(Self { database: open_file(disk, &lineage)?, checked: true })
            }
            Err(error) => Err(error),
        }
    }

    /// The file as one that can be written to, and what it holds: not always what it was read as,
    /// if it had to be repaired.
    fn checked(mut self, held: Applied) -> Result<(Self, Applied), StartError> {
        if self.checked {
            return Ok((self, held));
        }
        contained(move || {
            let intact = self.database.check_integrity();
            let intact = intact.map_err(|error| StartError::disk(FILE, error))?;
            self.checked = true;
            if intact {
                return Ok((self, held));
            }
            tracing::warn!("{FILE} was not intact and has been repaired");
            let held = load(&self.database)?;
            Ok((self, held))
        })
    }
}

/// Writes the difference between `stored`, which the file holds, and `applied`.
fn write(database: &Database, stored: &Applied, applied: &Applied) -> io::Result<()> {
    let mut transaction = database.begin_write().map_err(io_error)?;
    // A process that was killed leaves a file that opens without being read and repaired first.
    transaction.set_quick_repair(true);
    let mut digest = {
        let meta = transaction.open_table(META).map_err(io_error)?;
        let before = meta.get(APPLIED_KEY).map_err(io_error)?;
        let progress = before.map(|before| sealed::open::<Progress>(before.value()));
        progress.transpose().map_err(io::Error::other)?.map_or(Digest::default(), |p| p.digest)
    };
    write_objects(&transaction, stored, applied, &mut digest)?;
    {
        let mut requests = transaction.open_table(REQUESTS).map_err(io_error)?;
        let memory = &applied.state.requests;
        requests.retain_in(..memory.first_sequence(), |_, _| false).map_err(io_error)?;
        for (sequence, one) in memory.since(stored.state.requests.next_sequence()) {
            let value = sealed::seal(&one).map_err(io::Error::other)?;
            requests.insert(sequence, value.as_slice()).map_err(io_error)?;
        }
        let progress = Progress {
            last: applied.last,
            membership: applied.membership.clone(),
            revision: applied.state.view.revision(),
            first_request: memory.first_sequence(),
            next_request: memory.next_sequence(),
            digest,
        };
        let value = sealed::seal(&progress).map_err(io::Error::other)?;
        let mut meta = transaction.open_table(META).map_err(io_error)?;
        meta.insert(APPLIED_KEY, value.as_slice()).map_err(io_error)?;
    }
    transaction.commit().map_err(io_error)
}

fn write_objects(
    transaction: &WriteTransaction,
    stored: &Applied,
    applied: &Applied,
    digest: &mut Digest,
) -> io::Result<()> {
    let mut objects = transaction.open_table(OBJECTS).map_err(io_error)?;
    for difference in applied.state.view.differences_to(&stored.state.view) {
        let before = match difference {
            Difference::Written(record) => {
                let key = &record.key;
                let name = (&*key.resource, &*key.namespace, &*key.name);
                let value = sealed::seal(record).map_err(io::Error::other)?;
                digest.add(&value);
                objects.insert(name, value.as_slice()).map_err(io_error)?
            }
            Difference::Removed(key) => {
                let name = (&*key.resource, &*key.namespace, &*key.name);
                objects.remove(name).map_err(io_error)?
            }
        };
        if let Some(before) = before {
            digest.remove(before.value());
        }
    }
    Ok(())
}

/// Runs `open`, and takes a panic in it for damage: the database does not expect each kind of
/// damage to its pages, and a replica that says what is wrong can be filled anew.
fn contained<T>(open: impl FnOnce() -> Result<T, StartError>) -> Result<T, StartError> {
    std::panic::catch_unwind(AssertUnwindSafe(open)).unwrap_or_else(|_| {
        let reason = "the database does not understand its own pages".to_owned();
        Err(StartError::Damaged { file: FILE, what: "a page".to_owned(), reason })
    })
}

/// Makes the file, filled by `fill`. It gets its name when it is whole: half a file is not told
/// apart from a damaged one.
fn make_file(
    disk: &Disk,
    lineage: &Lineage,
    owner: &Owner,
    fill: impl FnOnce(&Database) -> Result<(), StartError>,
) -> Result<(), StartError> {
    let fail = |source| StartError::Disk { file: FILE, source };
    let name = lineage.state_name();
    let unfinished = format!("{name}.new");
    disk.remove(&unfinished).map_err(fail)?;
    let database = disk.open(&unfinished).map_err(|error| StartError::disk(FILE, error))?;
    claim(&database, FILE, owner)?;
    fill(&database)?;
    drop(database);
    disk.rename(&unfinished, &name).map_err(fail)
}

fn open_file(disk: &Disk, lineage: &Lineage) -> Result<Database, StartError> {
    disk.open(&lineage.state_name()).map_err(|error| StartError::disk(FILE, error))
}

fn load(database: &Database) -> Result<Applied, StartError> {
    let disk = |error: redb::Error| StartError::disk(FILE, error);
    let transaction = database.begin_read().map_err(|error| disk(error.into()))?;
    let meta = match transaction.open_table(META) {
        Ok(meta) => meta,
        Err(redb::TableError::TableDoesNotExist(_)) => return Ok(Applied::default()),
        Err(error) => return Err(disk(error.into())),
    };
    let Some(progress) = meta.get(APPLIED_KEY).map_err(|error| disk(error.into()))? else {
        return Ok(Applied::default());
    };
    let progress: Progress = sealed::open(progress.value())
        .map_err(|error| StartError::damaged(FILE, "its progress", &error))?;

    let view = load_objects(&transaction, progress.digest)?.finish(progress.revision);
    let kept = load_requests(&transaction, &progress)?;
    let requests = RequestMemory::restore(progress.first_request, kept);
    let state = State { view, requests };
    Ok(Applied { state, last: progress.last, membership: progress.membership })
}

fn load_objects(transaction: &ReadTransaction, expected: Digest) -> Result<Loading, StartError> {
    let disk = |error: redb::Error| StartError::disk(FILE, error);
    let objects = transaction.open_table(OBJECTS).map_err(|error| disk(error.into()))?;
    let (mut loading, mut digest) = (Loading::default(), Digest::default());
    for item in objects.iter().map_err(|error| disk(error.into()))? {
        let (key, value) = item.map_err(|error| disk(error.into()))?;
        digest.add(value.value());
        let record: Record = sealed::open(value.value()).map_err(|error| {
            let (resource, namespace, name) = key.value();
            StartError::damaged(FILE, format!("object {resource}/{namespace}/{name}"), &error)
        })?;
        loading.add(record);
    }
    if digest != expected {
        let reason = format!("{} objects are there of {}", digest.objects, expected.objects);
        return Err(StartError::Damaged { file: FILE, what: "its objects".to_owned(), reason });
    }
    Ok(loading)
}

fn load_requests(
    transaction: &ReadTransaction,
    progress: &Progress,
) -> Result<Vec<Remembered>, StartError> {
    let disk = |error: redb::Error| StartError::disk(FILE, error);
    let requests = transaction.open_table(REQUESTS).map_err(|error| disk(error.into()))?;
    let mut kept = Vec::new();
    let mut expected = progress.first_request;
    for item in requests.iter().map_err(|error| disk(error.into()))? {
        let (sequence, value) = item.map_err(|error| disk(error.into()))?;
        if sequence.value() != expected {
            break;
        }
        kept.push(
            sealed::open(value.value()).map_err(|error| {
                StartError::damaged(FILE, format!("request {expected}"), &error)
            })?,
        );
        expected += 1;
    }
    if expected != progress.next_request {
        let (what, reason) = (format!("request {expected}"), "it is missing".to_owned());
        return Err(StartError::Damaged { file: FILE, what, reason });
    }
    Ok(kept)
}

#[cfg(test)]
mod tests;
