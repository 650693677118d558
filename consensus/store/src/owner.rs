//! Whose data a database file holds, and in which format.
//!
//! Checked before anything else is read: the data of another cluster, of another node or of a
//! newer Skein is refused by name and left untouched.

use std::io::ErrorKind;

use redb::{Database, ReadableDatabase, TableDefinition};
use serde::{Deserialize, Serialize};
use skein_net::NodeId;

use crate::{disk::io_error, sealed, sealed::SealError};

/// The on-disk format this build writes and the newest it reads.
///
/// 2: the log is in segments of its own and a log id is a term and an index. Format 1 was never
/// released.
pub(crate) const FORMAT: u32 = 2;

/// The oldest on-disk format this build reads.
const OLDEST_FORMAT: u32 = 2;

/// Single values of a database: its format, its owner, and what its user adds.
pub(crate) const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");

const FORMAT_KEY: &str = "format";
const OWNER_KEY: &str = "owner";

/// The node a data directory belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// The cluster's id.
    pub cluster: String,
    /// The node.
    pub node: NodeId,
}

/// Why a replica cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data belongs to another cluster.
    #[error("{file} holds the data of cluster {found}, this node is of cluster {expected}")]
    OtherCluster {
        /// Which file.
        file: &'static str,
        /// The cluster in it.
        found: String,
        /// The cluster of this node.
        expected: String,
    },
    /// The data belongs to another node.
    #[error("{file} holds the data of node {found}, this is node {expected}")]
    OtherNode {
        /// Which file.
        file: &'static str,
        /// The node in it.
        found: NodeId,
        /// This node.
        expected: NodeId,
    },
    /// The data was written by a newer version.
    #[error("{file} has format {found}, this version of skein reads up to {supported}: update it")]
    NewerFormat {
        /// Which file.
        file: &'static str,
        /// The format in it.
        found: u32,
        /// The newest this build reads.
        supported: u32,
    },
    /// The data was written by a version that is too old.
    #[error("{file} has format {found}, this version of skein reads {oldest} and later")]
    OlderFormat {
        /// Which file.
        file: &'static str,
        /// The format in it.
        found: u32,
        /// The oldest this build reads.
        oldest: u32,
    },
    /// The disk returned other bytes than were written.
    #[error("{file} is damaged: {what} cannot be read: {reason}")]
    Damaged {
        /// Which file.
        file: &'static str,
        /// Which part: a log entry by its index, an object by its key.
        what: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The disk refused.
    #[error("{file} cannot be opened")]
    Disk {
        /// Which file.
        file: &'static str,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// Raft did not start from what is on disk.
    #[error("the replica cannot start: {0}")]
    Raft(String),
}

impl StartError {
    pub(crate) fn disk(file: &'static str, error: impl Into<redb::Error>) -> Self {
        let damaged = |reason: String| Self::Damaged { file, what: "a page".to_owned(), reason };
        match error.into() {
            redb::Error::Io(error)
                if matches!(error.kind(), ErrorKind::InvalidData | ErrorKind::UnexpectedEof) =>
            {
                damaged(error.to_string())
            }
            other @ (redb::Error::Io(_)
            | redb::Error::DatabaseAlreadyOpen
            | redb::Error::PreviousIo) => Self::Disk { file, source: io_error(other) },
            // Whatever else it says while it is opened and read is about its content.
            other => damaged(other.to_string()),
        }
    }

    pub(crate) fn damaged(file: &'static str, what: impl ToString, error: &SealError) -> Self {
        Self::Damaged { file, what: what.to_string(), reason: error.to_string() }
    }
}

/// Marks a new database as `owner`'s or checks that it is.
pub(crate) fn claim(
    database: &Database,
    file: &'static str,
    owner: &Owner,
) -> Result<(), StartError> {
    let fail = |error: redb::Error| StartError::disk(file, error);
    if let Some(found) = read(database, file)? {
        return compare(file, found, owner);
    }
    let transaction = database.begin_write().map_err(|error| fail(error.into()))?;
    {
        let mut meta = transaction.open_table(META).map_err(|error| fail(error.into()))?;
        let sealed = sealed::seal(owner).map_err(|error| StartError::Raft(error.to_string()))?;
        for (key, value) in
            [(FORMAT_KEY, FORMAT.to_le_bytes().as_slice()), (OWNER_KEY, sealed.as_slice())]
        {
            meta.insert(key, value).map_err(|error| fail(error.into()))?;
        }
    }
    transaction.commit().map_err(|error| fail(error.into()))
}

fn read(database: &Database, file: &'static str) -> Result<Option<Owner>, StartError> {
    let transaction = database.begin_read().map_err(|error| StartError::disk(file, error))?;
    let meta = match transaction.open_table(META) {
        Ok(meta) => meta,
        Err(redb::TableError::TableDoesNotExist(_)) => return Ok(None),
        Err(error) => return Err(StartError::disk(file, error)),
    };
    let format = meta.get(FORMAT_KEY).map_err(|error| StartError::disk(file, error))?;
    let found = match format.as_ref().map(|value| value.value().try_into()) {
        Some(Ok(bytes)) => u32::from_le_bytes(bytes),
        Some(Err(_)) | None => {
            return Err(StartError::damaged(file, "its format", &SealError::Checksum));
        }
    };
    supported(file, found)?;
    let owner = meta.get(OWNER_KEY).map_err(|error| StartError::disk(file, error))?;
    let opened = owner.as_ref().map_or(Err(SealError::Checksum), |o| sealed::open(o.value()));
    opened.map(Some).map_err(|error| StartError::damaged(file, "its owner", &error))
}

/// Refuses formats this build does not read.
pub(crate) fn supported(file: &'static str, found: u32) -> Result<(), StartError> {
    if found > FORMAT {
        return Err(StartError::NewerFormat { file, found, supported: FORMAT });
    }
    if found < OLDEST_FORMAT {
        return Err(StartError::OlderFormat { file, found, oldest: OLDEST_FORMAT });
    }
    Ok(())
}

/// Refuses the data `found` of somebody else than `owner`.
pub(crate) fn compare(file: &'static str, found: Owner, owner: &Owner) -> Result<(), StartError> {
    if found.cluster != owner.cluster {
        let expected = owner.cluster.clone();
        return Err(StartError::OtherCluster { file, found: found.cluster, expected });
    }
    if found.node != owner.node {
        return Err(StartError::OtherNode { file, found: found.node, expected: owner.node });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::{Disk, MemoryDisk};

    fn owner(cluster: &str, node: u64) -> Owner {
        Owner { cluster: cluster.to_owned(), node: NodeId(node) }
    }

    fn claim_of(disk: &MemoryDisk, owner: &Owner) -> Result<(), StartError> {
        let database = Disk::Memory(disk.clone()).open("log.redb").unwrap();
        claim(&database, "log.redb", owner)
    }

    #[test]
    fn data_of_another_cluster_or_node_is_refused_by_name() {
        let disk = MemoryDisk::new();
        claim_of(&disk, &owner("green", 1)).unwrap();
        claim_of(&disk, &owner("green", 1)).unwrap();
        let other = claim_of(&disk, &owner("blue", 1)).unwrap_err();
        assert_eq!(
            other.to_string(),
            "log.redb holds the data of cluster green, this node is of cluster blue"
        );
        let other = claim_of(&disk, &owner("green", 2)).unwrap_err();
        assert!(matches!(other, StartError::OtherNode { found: NodeId(1), .. }));
    }

    #[test]
    fn data_of_a_newer_version_is_refused() {
        let disk = MemoryDisk::new();
        claim_of(&disk, &owner("green", 1)).unwrap();
        {
            let database = Disk::Memory(disk.clone()).open("log.redb").unwrap();
            let transaction = database.begin_write().unwrap();
            let newer = (FORMAT + 1).to_le_bytes();
            let mut meta = transaction.open_table(META).unwrap();
            meta.insert(FORMAT_KEY, newer.as_slice()).unwrap();
            drop(meta);
            transaction.commit().unwrap();
        }
        let refused = claim_of(&disk, &owner("green", 1)).unwrap_err();
        assert!(matches!(refused, StartError::NewerFormat { found: 3, supported: 2, .. }));
    }
}
