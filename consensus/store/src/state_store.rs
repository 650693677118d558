//! The state on disk, `state.redb`.
//!
//! Written now and then as the difference to what is there, together with the log entry it
//! reflects, in one transaction; what comes after is replayed from the log. Never written per
//! entry: the log alone makes a write durable.

use std::io;

use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use serde::{Deserialize, Serialize};

use crate::{
    Record, RequestId, Revision,
    disk::{Disk, io_error},
    limits,
    lineage::Lineage,
    owner::{META, Owner, StartError, claim},
    raft::{LogId, StoredMembership},
    requests::RequestMemory,
    sealed,
    state::{Answer, State},
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
}

/// The open file.
#[derive(Debug)]
pub(crate) struct StateStore {
    database: Database,
}

impl StateStore {
    /// Opens or makes the file and reads all of it.
    pub(crate) fn open(disk: &Disk, owner: &Owner) -> Result<(Self, Applied), StartError> {
        let database = open_file(disk, &Lineage::read(disk)?)?;
        claim(&database, FILE, owner)?;
        let applied = load(&database)?;
        Ok((Self { database }, applied))
    }

    /// Reads all of the file of a replica that does not run; of `owner`, if that matters.
    pub(crate) fn read(
        disk: &Disk,
        lineage: &Lineage,
        owner: Option<&Owner>,
    ) -> Result<Applied, StartError> {
        let database = open_file(disk, lineage)?;
        if let Some(owner) = owner {
            claim(&database, FILE, owner)?;
        }
        load(&database)
    }

    /// Makes a new file that holds `applied`.
    pub(crate) fn create(
        disk: &Disk,
        lineage: &Lineage,
        owner: &Owner,
        applied: &Applied,
    ) -> Result<(), StartError> {
        let database = open_file(disk, lineage)?;
        claim(&database, FILE, owner)?;
        Self { database }
            .write(&Applied::default(), applied)
            .map_err(|source| StartError::Disk { file: FILE, source })
    }

    /// Makes `applied` durable, where `stored` is what the file holds.
    pub(crate) fn write(&self, stored: &Applied, applied: &Applied) -> io::Result<()> {
        let transaction = self.database.begin_write().map_err(io_error)?;
        {
            let mut objects = transaction.open_table(OBJECTS).map_err(io_error)?;
            for difference in applied.state.view.differences_to(&stored.state.view) {
                match difference {
                    Difference::Written(record) => {
                        let key = &record.key;
                        let name = (&*key.resource, &*key.namespace, &*key.name);
                        let value = sealed::seal(record).map_err(io::Error::other)?;
                        objects.insert(name, value.as_slice()).map_err(io_error)?;
                    }
                    Difference::Removed(key) => {
                        let name = (&*key.resource, &*key.namespace, &*key.name);
                        objects.remove(name).map_err(io_error)?;
                    }
                }
            }
            let mut requests = transaction.open_table(REQUESTS).map_err(io_error)?;
            let memory = &applied.state.requests;
            requests.retain_in(..memory.first_sequence(), |_, _| false).map_err(io_error)?;
            for (sequence, id, answer) in memory.since(stored.state.requests.next_sequence()) {
                let value = sealed::seal(&(id, answer)).map_err(io::Error::other)?;
                requests.insert(sequence, value.as_slice()).map_err(io_error)?;
            }
            let progress = Progress {
                last: applied.last,
                membership: applied.membership.clone(),
                revision: applied.state.view.revision(),
                first_request: memory.first_sequence(),
            };
            let value = sealed::seal(&progress).map_err(io::Error::other)?;
            let mut meta = transaction.open_table(META).map_err(io_error)?;
            meta.insert(APPLIED_KEY, value.as_slice()).map_err(io_error)?;
        }
        transaction.commit().map_err(io_error)
    }
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

    let objects = transaction.open_table(OBJECTS).map_err(|error| disk(error.into()))?;
    let mut records = Vec::new();
    for item in objects.iter().map_err(|error| disk(error.into()))? {
        let (key, value) = item.map_err(|error| disk(error.into()))?;
        let record: Record = sealed::open(value.value()).map_err(|error| {
            let (resource, namespace, name) = key.value();
            StartError::damaged(FILE, format!("object {resource}/{namespace}/{name}"), &error)
        })?;
        records.push(record);
    }
    let requests = transaction.open_table(REQUESTS).map_err(|error| disk(error.into()))?;
    let mut kept: Vec<(RequestId, Answer)> = Vec::new();
    for item in requests.iter().map_err(|error| disk(error.into()))? {
        let (sequence, value) = item.map_err(|error| disk(error.into()))?;
        kept.push(sealed::open(value.value()).map_err(|error| {
            StartError::damaged(FILE, format!("request {}", sequence.value()), &error)
        })?);
    }
    let requests =
        RequestMemory::restore(limits::REMEMBERED_REQUESTS, progress.first_request, kept);
    let view = View::from_records(records, progress.revision);
    let state = State { view, requests };
    Ok(Applied { state, last: progress.last, membership: progress.membership })
}
