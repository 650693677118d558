//! The state on disk, `state.redb`.
//!
//! Written now and then as the difference to what is there, together with the log entry it
//! reflects, in one transaction; what comes after is replayed from the log. Never written per
//! entry: the log alone makes a write durable.
//!
//! Each value carries its checksum, and a digest over all of them tells when one is missing or
//! is an older one: the database checks its pages only after a crash.

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
    view::{Difference, View},
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
}

impl StateStore {
    /// Opens or makes the file and reads all of it.
    pub(crate) fn open(disk: &Disk, owner: &Owner) -> Result<(Self, Applied), StartError> {
        let lineage = Lineage::read(disk)?;
        contained(|| {
            make_file(disk, &lineage, owner)?;
            let mut database = open_file(disk, &lineage)?;
            // What it keeps for itself is not covered by the digest, and would fail a write.
            if !database.check_integrity().map_err(|error| StartError::disk(FILE, error))? {
                tracing::warn!("{FILE} was not intact and has been repaired");
            }
            claim(&database, FILE, owner)?;
            let applied = load(&database)?;
            Ok((Self { database }, applied))
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

    /// Makes a new file that holds `applied`.
    pub(crate) fn create(
        disk: &Disk,
        lineage: &Lineage,
        owner: &Owner,
        applied: &Applied,
    ) -> Result<(), StartError> {
        make_file(disk, lineage, owner)?;
        let database = open_file(disk, lineage)?;
        Self { database }
            .write(&Applied::default(), applied)
            .map_err(|source| StartError::Disk { file: FILE, source })
    }

    /// Makes `applied` durable, where `stored` is what the file holds. After an error the file
    /// has to be opened anew to know what it holds.
    pub(crate) fn write(&self, stored: &Applied, applied: &Applied) -> io::Result<()> {
        let transaction = self.database.begin_write().map_err(io_error)?;
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

/// Makes the file if there is none. It gets its name when it is whole: half a file is not told
/// apart from a damaged one.
fn make_file(disk: &Disk, lineage: &Lineage, owner: &Owner) -> Result<(), StartError> {
    let fail = |source| StartError::Disk { file: FILE, source };
    let name = lineage.state_name();
    if disk.names("").map_err(fail)?.contains(&name) {
        return Ok(());
    }
    let unfinished = format!("{name}.new");
    disk.remove(&unfinished).map_err(fail)?;
    let database = disk.open(&unfinished).map_err(|error| StartError::disk(FILE, error))?;
    claim(&database, FILE, owner)?;
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

    let records = load_objects(&transaction, progress.digest)?;
    let kept = load_requests(&transaction, &progress)?;
    let requests = RequestMemory::restore(progress.first_request, kept);
    let view = View::from_records(records, progress.revision);
    let state = State { view, requests };
    Ok(Applied { state, last: progress.last, membership: progress.membership })
}

fn load_objects(
    transaction: &ReadTransaction,
    expected: Digest,
) -> Result<Vec<Record>, StartError> {
    let disk = |error: redb::Error| StartError::disk(FILE, error);
    let objects = transaction.open_table(OBJECTS).map_err(|error| disk(error.into()))?;
    let (mut records, mut digest) = (Vec::new(), Digest::default());
    for item in objects.iter().map_err(|error| disk(error.into()))? {
        let (key, value) = item.map_err(|error| disk(error.into()))?;
        digest.add(value.value());
        let record: Record = sealed::open(value.value()).map_err(|error| {
            let (resource, namespace, name) = key.value();
            StartError::damaged(FILE, format!("object {resource}/{namespace}/{name}"), &error)
        })?;
        records.push(record);
    }
    if digest != expected {
        let reason = format!("{} objects are there of {}", digest.objects, expected.objects);
        return Err(StartError::Damaged { file: FILE, what: "its objects".to_owned(), reason });
    }
    Ok(records)
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
