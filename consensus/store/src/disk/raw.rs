//! Files that are written in place, with their room reserved ahead.

use std::{
    fs::{self, OpenOptions},
    io,
    os::unix::fs::FileExt,
};

use nix::{errno::Errno, fcntl::posix_fallocate, sys::statvfs::statvfs};
use redb::StorageBackend;

use super::{Disk, memory::OpenFile, small};

/// An open file.
#[derive(Debug)]
pub(crate) enum RawFile {
    Directory(fs::File),
    Memory(OpenFile),
}

impl Disk {
    /// Opens a file, or makes it, with room for `bytes` that no other file can take any more.
    /// Durable when it returns. With no bytes, the file must be there.
    pub(crate) fn reserve(&self, name: &str, bytes: u64) -> io::Result<RawFile> {
        match self {
            Self::Directory(path) => {
                let path = path.join(name);
                small::make_parent(&path)?;
                let file = OpenOptions::new()
                    .read(true)
                    .write(true)
                    .create(bytes > 0)
                    .truncate(false)
                    .open(&path)?;
                if bytes > 0 {
                    allocate(&file, bytes)?;
                    file.sync_all()?;
                    small::sync_parent(&path)?;
                }
                Ok(RawFile::Directory(file))
            }
            Self::Memory(disk) => {
                let file = disk.open(name);
                if bytes > file.len()? {
                    file.set_len(bytes)?;
                    file.sync_data()?;
                }
                Ok(RawFile::Memory(file))
            }
        }
    }

    /// Bytes that are free; far more than anybody needs on a disk in memory that is not full.
    pub(crate) fn free_bytes(&self) -> io::Result<u64> {
        match self {
            Self::Directory(path) => {
                let statistics = statvfs(path).map_err(io::Error::from)?;
                Ok(statistics.blocks_available() * statistics.fragment_size())
            }
            Self::Memory(disk) => Ok(if disk.is_full() { 0 } else { u64::MAX }),
        }
    }
}

/// Takes the blocks of the file now, so that writing into it cannot run out of space.
fn allocate(file: &fs::File, bytes: u64) -> io::Result<()> {
    let length = i64::try_from(bytes).map_err(io::Error::other)?;
    match posix_fallocate(file, 0, length) {
        Ok(()) => Ok(()),
        // The file system cannot reserve: the margin of free space has to do.
        Err(Errno::EOPNOTSUPP | Errno::EINVAL) => file.set_len(bytes.max(file.metadata()?.len())),
        Err(error) => Err(error.into()),
    }
}

impl RawFile {
    /// Fills `out` with the bytes at `offset`.
    pub(crate) fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        match self {
            Self::Directory(file) => file.read_exact_at(out, offset),
            Self::Memory(file) => file.read(offset, out),
        }
    }

    /// Writes `bytes` at `offset`; durable after [`sync`](Self::sync).
    pub(crate) fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Directory(file) => file.write_all_at(bytes, offset),
            Self::Memory(file) => file.write(offset, bytes),
        }
    }

    pub(crate) fn sync(&self) -> io::Result<()> {
        match self {
            Self::Directory(file) => file.sync_data(),
            Self::Memory(file) => file.sync_data(),
        }
    }
}
