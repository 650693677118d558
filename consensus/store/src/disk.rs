//! Where a replica keeps its files.

mod memory;
mod raw;
mod small;

use std::{io, path::PathBuf};

pub use memory::{DiskAction, DiskOperation, Fault, MemoryDisk, SECTOR_BYTES};
pub(crate) use raw::RawFile;
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
                let path = path.join(name);
                small::make_parent(&path)?;
                let database = builder.create(&path)?;
                // The file itself must survive a power cut, not only what is in it.
                small::sync_parent(&path)?;
                Ok(database)
            }
            Self::Memory(disk) => builder.create_with_backend(disk.open(name)),
        }
    }

    /// Runs `work`, which may wait for a device: then on a thread that may wait.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        match self {
            Self::Directory(_) => {
                tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
            }
            Self::Memory(_) => work(),
        }
    }

    /// Bytes of a segment of the log. Short in memory, so that tests meet the end of one.
    pub(crate) fn segment_bytes(&self) -> u64 {
        match self {
            Self::Directory(_) => limits::SEGMENT_BYTES,
            Self::Memory(_) => limits::MEMORY_SEGMENT_BYTES,
        }
    }

    /// Waits as long as the simulated device takes for half a sync; a real one takes its time by
    /// itself. To be called before and after what is written, so that a power cut may come on
    /// either side of it.
    pub(crate) async fn settle(&self) {
        if let Self::Memory(disk) = self {
            let latency = disk.sync_latency();
            if !latency.is_zero() {
                tokio::time::sleep(latency / 2).await;
            }
        }
    }
}

/// Whatever the database says, as the error type of openraft's storage.
pub(crate) fn io_error(error: impl Into<redb::Error>) -> io::Error {
    match error.into() {
        redb::Error::Io(error) => error,
        other => io::Error::other(other),
    }
}
