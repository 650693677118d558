//! A file of a [`MemoryDisk`] as one process has it open.

use std::io;

use redb::StorageBackend;

use super::{Change, DiskAction, File, MemoryDisk};

/// An open file; fails after the power was cut.
#[derive(Debug)]
pub(crate) struct OpenFile {
    disk: MemoryDisk,
    name: String,
    opened_at: u64,
}

impl OpenFile {
    pub(super) fn new(disk: MemoryDisk, name: String, opened_at: u64) -> Self {
        Self { disk, name, opened_at }
    }

    fn perform<T>(
        &self,
        action: DiskAction,
        run: impl FnOnce(&mut File) -> io::Result<T>,
    ) -> io::Result<T> {
        self.disk.admit(&self.name, action)?;
        self.with(run)
    }

    fn with<T>(&self, run: impl FnOnce(&mut File) -> io::Result<T>) -> io::Result<T> {
        let mut state = self.disk.lock();
        if state.crashes != self.opened_at {
            return Err(io::Error::other("the machine has crashed since the file was opened"));
        }
        match state.files.get_mut(&self.name) {
            Some(file) => run(file),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn change(&self, action: DiskAction, change: Change) -> io::Result<()> {
        self.perform(action, |file| {
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
        self.with(|file| Ok(file.content.len() as u64))
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let start = position(offset)?;
        let action = DiskAction::Read { offset: start, bytes: out.len() };
        self.perform(action, |file| match file.content.get(start..start + out.len()) {
            Some(bytes) => {
                out.copy_from_slice(bytes);
                Ok(())
            }
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        })
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let bytes = position(len)?;
        self.change(DiskAction::SetLen { bytes }, Change::Length(bytes))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.perform(DiskAction::Sync, |file| {
            for change in std::mem::take(&mut file.unsynced) {
                change.make(&mut file.synced);
            }
            Ok(())
        })
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let offset = position(offset)?;
        let action = DiskAction::Write { offset, bytes: data.len() };
        self.change(action, Change::Write(offset, data.to_vec()))
    }
}
