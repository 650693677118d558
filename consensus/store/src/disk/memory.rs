//! A disk in memory that forgets, fails, stalls and fills up when told to.
//!
//! Deterministic: what happens depends on the calls made to it and on nothing else.

mod file;

use std::{
    collections::BTreeMap,
    fmt, io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

pub(crate) use self::file::OpenFile;

/// What a device writes whole or not at all.
pub const SECTOR_BYTES: usize = 512;

/// A simulated disk. Clones are handles to the same disk.
///
/// A crash loses what was not synced: each write since the last sync is kept, lost or torn on its
/// own, as a real device may do. Files opened before a crash fail from then on.
#[derive(Clone, Debug, Default)]
pub struct MemoryDisk {
    state: Arc<Mutex<State>>,
}

/// What is about to be done to a [`MemoryDisk`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskOperation<'a> {
    /// The file it is done to.
    pub file: &'a str,
    /// What is done.
    pub action: DiskAction,
}

/// What can be done to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskAction {
    /// Reads bytes.
    Read {
        /// From where.
        offset: usize,
        /// How many.
        bytes: usize,
    },
    /// Writes bytes.
    Write {
        /// To where.
        offset: usize,
        /// How many.
        bytes: usize,
    },
    /// Makes the file this long.
    SetLen {
        /// How long.
        bytes: usize,
    },
    /// Makes what was written safe.
    Sync,
    /// Puts a whole new content in place at once, safely.
    Replace {
        /// How long it is.
        bytes: usize,
    },
    /// Gives the file another name, safely.
    Rename,
    /// Removes the file, safely.
    Remove,
}

impl DiskAction {
    /// How long the file must be for it.
    fn end(self) -> usize {
        match self {
            Self::Write { offset, bytes } => offset + bytes,
            Self::SetLen { bytes } | Self::Replace { bytes } => bytes,
            Self::Read { .. } | Self::Sync | Self::Rename | Self::Remove => 0,
        }
    }
}

/// Decides whether an operation fails, and how. A failed operation does nothing.
pub type Fault = Arc<dyn Fn(&DiskOperation<'_>) -> Option<io::ErrorKind> + Send + Sync>;

#[derive(Default)]
struct State {
    files: BTreeMap<String, File>,
    crashes: u64,
    full: bool,
    fault: Option<Fault>,
    sync_latency: Duration,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State")
            .field("files", &self.files.keys())
            .field("crashes", &self.crashes)
            .field("full", &self.full)
            .field("sync_latency", &self.sync_latency)
            .finish_non_exhaustive()
    }
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

    /// Cuts the power. `survives` is asked for each unsynced write, given its length in bytes,
    /// how many of them reached the disk; fewer than all end at a sector boundary. A change of a
    /// file's length counts as one byte.
    pub fn crash(&self, mut survives: impl FnMut(usize) -> usize) {
        let mut state = self.lock();
        state.crashes += 1;
        for file in state.files.values_mut() {
            for change in std::mem::take(&mut file.unsynced) {
                let kept = survives(change.bytes());
                change.make_torn(kept, &mut file.synced);
            }
            file.content.clone_from(&file.synced);
        }
    }

    /// From now on no file can grow for lack of space, or can again. What a file has room for can
    /// still be written.
    pub fn set_full(&self, full: bool) {
        self.lock().full = full;
    }

    /// From now on `fault` is asked before each operation, or nobody is.
    pub fn set_fault(&self, fault: Option<Fault>) {
        self.lock().fault = fault;
    }

    /// How long it takes from now on until writes are safe. Waited out on tokio's clock by who
    /// writes, before and after the change reaches the file; opening files takes no time.
    pub fn set_sync_latency(&self, latency: Duration) {
        self.lock().sync_latency = latency;
    }

    /// Whether files cannot grow.
    pub fn is_full(&self) -> bool {
        self.lock().full
    }

    /// How long it takes until writes are safe.
    pub fn sync_latency(&self) -> Duration {
        self.lock().sync_latency
    }

    /// Another disk that holds what is safe on this one now, and has no faults.
    pub fn fork(&self) -> Self {
        let copy = |file: &File| File {
            content: file.synced.clone(),
            synced: file.synced.clone(),
            unsynced: Vec::new(),
        };
        let state = self.lock();
        let files = state.files.iter().map(|(name, file)| (name.clone(), copy(file))).collect();
        Self { state: Arc::new(Mutex::new(State { files, ..State::default() })) }
    }

    /// The names of the files, in order.
    pub fn names(&self) -> Vec<String> {
        self.lock().files.keys().cloned().collect()
    }

    /// The bytes of a file as a reader sees them.
    pub fn content(&self, name: &str) -> Option<Vec<u8>> {
        self.lock().files.get(name).map(|file| file.content.clone())
    }

    /// Puts a file there, safely and without asking for faults.
    pub fn insert(&self, name: &str, content: Vec<u8>) {
        let file = File { synced: content.clone(), content, unsynced: Vec::new() };
        self.lock().files.insert(name.to_owned(), file);
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
        OpenFile::new(self.clone(), name.to_owned(), state.crashes)
    }

    /// The content of a file, if there is one.
    pub(super) fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        let bytes = self.lock().files.get(name).map_or(0, |file| file.content.len());
        self.admit(name, DiskAction::Read { offset: 0, bytes })?;
        Ok(self.content(name))
    }

    /// Puts `content` in place of a file, at once.
    pub(super) fn replace(&self, name: &str, content: Vec<u8>) -> io::Result<()> {
        self.admit(name, DiskAction::Replace { bytes: content.len() })?;
        self.insert(name, content);
        Ok(())
    }

    /// Gives a file another name; does nothing if there is none.
    pub(super) fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.admit(from, DiskAction::Rename)?;
        let mut state = self.lock();
        if let Some(file) = state.files.remove(from) {
            state.files.insert(to.to_owned(), file);
        }
        Ok(())
    }

    /// Removes a file; does nothing if there is none.
    pub(super) fn remove(&self, name: &str) -> io::Result<()> {
        self.admit(name, DiskAction::Remove)?;
        self.lock().files.remove(name);
        Ok(())
    }

    /// Whether the operation may happen. The fault is asked without the lock: it may cut the
    /// power.
    fn admit(&self, file: &str, action: DiskAction) -> io::Result<()> {
        let (full, fault) = {
            let state = self.lock();
            let length = state.files.get(file).map_or(0, |file| file.content.len());
            (state.full && action.end() > length, state.fault.clone())
        };
        if full {
            return Err(io::ErrorKind::StorageFull.into());
        }
        match fault.and_then(|fault| fault(&DiskOperation { file, action })) {
            Some(kind) => Err(kind.into()),
            None => Ok(()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Change {
    fn bytes(&self) -> usize {
        match self {
            Self::Length(_) => 1,
            Self::Write(_, data) => data.len(),
        }
    }

    /// Makes the change as far as its first `kept` bytes reached the disk.
    fn make_torn(&self, kept: usize, bytes: &mut Vec<u8>) {
        match self {
            _ if kept >= self.bytes() => self.make(bytes),
            Self::Length(_) => {}
            Self::Write(offset, data) => {
                let end = (offset + kept) / SECTOR_BYTES * SECTOR_BYTES;
                if end > *offset {
                    write(bytes, *offset, &data[..end - offset]);
                }
            }
        }
    }

    fn make(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Length(length) => bytes.resize(*length, 0),
            Self::Write(offset, data) => write(bytes, *offset, data),
        }
    }
}

fn write(bytes: &mut Vec<u8>, offset: usize, data: &[u8]) {
    let end = offset + data.len();
    if bytes.len() < end {
        bytes.resize(end, 0);
    }
    bytes[offset..end].copy_from_slice(data);
}

#[cfg(test)]
mod tests;
