//! Where a replica keeps its files.

mod memory;

use std::{io, path::PathBuf};

pub use memory::MemoryDisk;
use redb::{Builder, Database, DatabaseError};

use crate::limits;

/// A place for the files of one replica.
#[derive(Clone, Debug)]
pub enum Disk {
    /// A directory; made if it is not there.
    Directory(PathBuf),
    /// Memory that outlives the replica, with faults one can inject: for tests.
    Memory(MemoryDisk),
}

impl Disk {
    /// Opens or makes the database `name`.
    pub fn open(&self, name: &str) -> Result<Database, DatabaseError> {
        let mut builder = Builder::new();
        builder.set_cache_size(limits::DATABASE_CACHE_BYTES);
        match self {
            Self::Directory(path) => {
                std::fs::create_dir_all(path).map_err(DatabaseError::from)?;
                let database = builder.create(path.join(name))?;
                // The file itself must survive a power cut, not only what is in it.
                std::fs::File::open(path).and_then(|directory| directory.sync_all())?;
                Ok(database)
            }
            Self::Memory(disk) => builder.create_with_backend(disk.open(name)),
        }
    }

    /// Whether a write may take long, so that it must not happen on a runtime thread.
    pub fn is_slow(&self) -> bool {
        matches!(self, Self::Directory(_))
    }
}

/// Whatever the database says, as the error type of openraft's storage.
pub(crate) fn io_error(error: impl Into<redb::Error>) -> io::Error {
    match error.into() {
        redb::Error::Io(error) => error,
        other => io::Error::other(other),
    }
}
