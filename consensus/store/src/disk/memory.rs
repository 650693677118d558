//! A disk in memory that forgets, fails and fills up when told to.

use std::{
    collections::HashMap,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use redb::StorageBackend;

/// A simulated disk. Clones are handles to the same disk.
///
/// A crash loses what was not synced: each write since the last sync is kept or lost on its own,
/// as a real device may do. Files opened before a crash fail from then on.
#[derive(Clone, Debug, Default)]
pub struct MemoryDisk {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    files: HashMap<String, File>,
    crashes: u64,
    full: bool,
}

#[derive(Debug, Default)]
struct File {
    /// What a reader sees.
    content: Vec<u8>,
    /// What is safe.
    synced: Vec<u8>,
    /// What happened since, in order.
    unsynced: Vec<Change>,
}

#[derive(Debug)]
enum Change {
    Length(usize),
    Write(usize, Vec<u8>),
}

impl MemoryDisk {
    /// An empty disk.
    pub fn new() -> Self {
        Self::default()
    }

    /// Cuts the power. `survives` decides for each unsynced write whether it reached the disk.
    pub fn crash(&self, mut survives: impl FnMut() -> bool) {
        let mut state = self.lock();
        state.crashes += 1;
        for file in state.files.values_mut() {
            for change in std::mem::take(&mut file.unsynced) {
                if survives() {
                    change.make(&mut file.synced);
                }
            }
            file.content.clone_from(&file.synced);
        }
    }

    /// From now on every write fails for lack of space, or no longer does.
    pub fn set_full(&self, full: bool) {
        self.lock().full = full;
    }

    /// Changes one byte of a file behind the database's back. Returns whether it is that long.
    pub fn flip(&self, name: &str, offset: usize) -> bool {
        let mut state = self.lock();
        let Some(file) = state.files.get_mut(name) else { return false };
        if offset >= file.content.len() || offset >= file.synced.len() {
            return false;
        }
        file.content[offset] ^= 0xff;
        file.synced[offset] ^= 0xff;
        true
    }

    /// Where `needle` is in a file for the first time.
    pub fn find(&self, name: &str, needle: &[u8]) -> Option<usize> {
        let state = self.lock();
        state.files.get(name)?.content.windows(needle.len()).position(|bytes| bytes == needle)
    }

    /// Cuts a file to `length` bytes.
    pub fn truncate(&self, name: &str, length: usize) {
        if let Some(file) = self.lock().files.get_mut(name) {
            file.content.truncate(length);
            file.synced.truncate(length);
        }
    }

    pub(super) fn open(&self, name: &str) -> OpenFile {
        let mut state = self.lock();
        state.files.entry(name.to_owned()).or_default();
        OpenFile { disk: self.clone(), name: name.to_owned(), opened_at: state.crashes }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Change {
    fn make(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Length(length) => bytes.resize(*length, 0),
            Self::Write(offset, data) => {
                let end = offset + data.len();
                if bytes.len() < end {
                    bytes.resize(end, 0);
                }
                bytes[*offset..end].copy_from_slice(data);
            }
        }
    }
}

/// A file as one process has it open.
#[derive(Debug)]
pub(super) struct OpenFile {
    disk: MemoryDisk,
    name: String,
    opened_at: u64,
}

impl OpenFile {
    fn with<T>(&self, run: impl FnOnce(&mut File, bool) -> io::Result<T>) -> io::Result<T> {
        let mut state = self.disk.lock();
        if state.crashes != self.opened_at {
            return Err(io::Error::other("the machine has crashed since the file was opened"));
        }
        let full = state.full;
        match state.files.get_mut(&self.name) {
            Some(file) => run(file, full),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn change(&self, change: Change) -> io::Result<()> {
        self.with(|file, full| {
            if full {
                return Err(io::ErrorKind::StorageFull.into());
            }
            change.make(&mut file.content);
            file.unsynced.push(change);
            Ok(())
        })
    }
}

fn position(value: u64) -> io::Result<usize> {
    usize::try_from(value).map_err(io::Error::other)
}

impl StorageBackend for OpenFile {
    fn len(&self) -> io::Result<u64> {
        self.with(|file, _| Ok(file.content.len() as u64))
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let start = position(offset)?;
        self.with(|file, _| match file.content.get(start..start + out.len()) {
            Some(bytes) => {
                out.copy_from_slice(bytes);
                Ok(())
            }
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        })
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.change(Change::Length(position(len)?))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.with(|file, _| {
            for change in std::mem::take(&mut file.unsynced) {
                change.make(&mut file.synced);
            }
            Ok(())
        })
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.change(Change::Write(position(offset)?, data.to_vec()))
    }
}
