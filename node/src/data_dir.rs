//! The directory of everything a node keeps, owned by one process at a time.

use std::{
    fs::{File, OpenOptions, Permissions, TryLockError},
    io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use skein_net::{NodeId, durable};

/// The layout this binary writes. A directory of a higher one is refused.
const FORMAT: u32 = 1;

/// The directory's permission bits: nobody but the owner.
const PRIVATE_MODE: u32 = 0o700;

const RECORD_FILE: &str = "node.json";

/// What a node knows of itself before it has spoken to anyone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NodeRecord {
    format: u32,
    /// The cluster it belongs to.
    pub(crate) cluster_id: String,
    /// Its id, derived from the key beside this file.
    pub(crate) id: NodeId,
    /// Its name.
    pub(crate) name: String,
}

impl NodeRecord {
    pub(crate) fn new(cluster_id: String, id: NodeId, name: String) -> Self {
        Self { format: FORMAT, cluster_id, id, name }
    }
}

/// Why a data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DataDirError {
    #[error("cannot use the data directory {path}")]
    Io {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the data directory {0} is in use by another process: is a node running already?")]
    InUse(PathBuf),
    #[error("{path} is damaged")]
    Damaged {
        path: PathBuf,
        #[source]
        source: serde_json::Error,
    },
    #[error(
        "the data directory {path} was written in format {found}, this binary knows up to \
         {FORMAT}: start the newer binary again"
    )]
    Newer { path: PathBuf, found: u32 },
}

/// An opened data directory; the lock is held as long as this lives.
#[derive(Debug)]
pub(crate) struct DataDir {
    path: PathBuf,
    _lock: File,
}

impl DataDir {
    /// Opens `path`, making it (mode 0700) where it is not there.
    pub(crate) fn open(path: &Path) -> Result<Self, DataDirError> {
        let io = |source| DataDirError::Io { path: path.to_owned(), source };
        std::fs::DirBuilder::new().recursive(true).mode(PRIVATE_MODE).create(path).map_err(io)?;
        // One that was there may be open to all; keys and Secrets are not theirs to read.
        std::fs::set_permissions(path, Permissions::from_mode(PRIVATE_MODE)).map_err(io)?;
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(path.join("lock"))
            .map_err(io)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(DataDirError::InUse(path.to_owned())),
            Err(TryLockError::Error(source)) => Err(io(source)),
        }
    }

    /// The path of a file or directory within.
    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The node's record, `None` in a new directory.
    pub(crate) fn record(&self) -> Result<Option<NodeRecord>, DataDirError> {
        let Some(value) = self.read_json::<serde_json::Value>(RECORD_FILE)? else {
            return Ok(None);
        };
        let found = value["format"].as_u64().and_then(|found| u32::try_from(found).ok());
        if let Some(found) = found.filter(|found| *found > FORMAT) {
            return Err(DataDirError::Newer { path: self.path.clone(), found });
        }
        serde_json::from_value(value)
            .map(Some)
            .map_err(|source| DataDirError::Damaged { path: self.join(RECORD_FILE), source })
    }

    /// Writes the node's record durably.
    pub(crate) fn write_record(&self, record: &NodeRecord) -> Result<(), DataDirError> {
        self.write_json(RECORD_FILE, record)
    }

    /// Replaces a file (mode 0600) as a whole, durably.
    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> Result<(), DataDirError> {
        let path = self.join(name);
        durable::write(&path, bytes, durable::PRIVATE)
            .map_err(|source| DataDirError::Io { path, source })
    }

    /// Replaces a JSON file as [`write`](Self::write) does.
    pub(crate) fn write_json(
        &self,
        name: &str,
        value: &impl Serialize,
    ) -> Result<(), DataDirError> {
        let io = |source| DataDirError::Io { path: self.join(name), source };
        let bytes = serde_json::to_vec_pretty(value).map_err(|source| io(source.into()))?;
        self.write(name, &bytes)
    }

    /// The content of a JSON file, `None` where there is none.
    pub(crate) fn read_json<T: DeserializeOwned>(
        &self,
        name: &str,
    ) -> Result<Option<T>, DataDirError> {
        let path = self.join(name);
        match durable::read(&path) {
            Ok(None) => Ok(None),
            Ok(Some(text)) => serde_json::from_str(&text)
                .map(Some)
                .map_err(|source| DataDirError::Damaged { path, source }),
            Err(source) => Err(DataDirError::Io { path, source }),
        }
    }

    /// Removes a file; one that is not there is fine.
    pub(crate) fn remove(&self, name: &str) -> Result<(), DataDirError> {
        match std::fs::remove_file(self.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(DataDirError::Io { path: self.join(name), source: error })
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> NodeRecord {
        NodeRecord::new("cluster".into(), NodeId(7), "h1".into())
    }

    #[test]
    fn a_record_is_read_back_as_written() {
        let directory = tempfile::tempdir().unwrap();
        let data = DataDir::open(directory.path()).unwrap();
        assert_eq!(data.record().unwrap(), None);
        data.write_record(&record()).unwrap();
        assert_eq!(data.record().unwrap(), Some(record()));
    }

    #[test]
    fn a_directory_that_was_open_to_all_is_closed() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).unwrap();
        let _data = DataDir::open(directory.path()).unwrap();
        let mode = std::fs::metadata(directory.path()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, PRIVATE_MODE);
    }

    #[test]
    fn a_second_process_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let _data = DataDir::open(directory.path()).unwrap();
        let second = DataDir::open(directory.path());
        assert!(matches!(second, Err(DataDirError::InUse(_))), "{second:?}");
    }

    #[test]
    fn a_newer_format_is_refused_and_a_damaged_record_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let data = DataDir::open(directory.path()).unwrap();
        data.write(RECORD_FILE, br#"{"format": 2, "unknown": true}"#).unwrap();
        assert!(matches!(data.record(), Err(DataDirError::Newer { found: 2, .. })));
        data.write(RECORD_FILE, b"{\"form").unwrap();
        let said = data.record().unwrap_err().to_string();
        assert!(said.contains(RECORD_FILE) && said.contains("damaged"), "{said}");
    }
}
