//! The file that audit events are written to: a line each, set aside when it has grown.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufWriter, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::limits;

/// Where events go, and how much is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditLog {
    /// The file; the ones set aside are beside it, with `.1` for the newest.
    pub path: PathBuf,
    /// Bytes after which it is set aside.
    pub file_bytes: u64,
    /// How many of those set aside are kept.
    pub kept: usize,
}

/// The open file.
pub(super) struct Writer {
    log: AuditLog,
    file: BufWriter<File>,
    written: u64,
}

impl Writer {
    pub(super) fn open(log: AuditLog) -> io::Result<Self> {
        let (file, written) = open(&log.path)?;
        Ok(Self { log, file, written })
    }

    /// Writes events as they come until nobody is left who sends any. What cannot be written is
    /// lost, which the node's log says.
    pub(super) fn run(mut self, mut events: mpsc::Receiver<Bytes>) {
        let mut batch = Vec::new();
        while events.blocking_recv_many(&mut batch, limits::AUDIT_QUEUE) > 0 {
            let (mut lost, mut fault) = (0, None);
            for event in batch.drain(..) {
                if let Err(error) = self.append(&event) {
                    (lost, fault) = (lost + 1, Some(error));
                }
            }
            if let Err(error) = self.file.flush() {
                fault = Some(error);
            }
            if let Some(error) = fault {
                tracing::error!(path = %self.log.path.display(), lost, %error,
                    "audit events could not be written");
            }
        }
    }

    fn append(&mut self, event: &[u8]) -> io::Result<()> {
        let size = event.len() as u64;
        if self.written > 0 && self.written + size > self.log.file_bytes {
            self.set_aside()?;
        }
        self.file.write_all(event)?;
        self.written += size;
        Ok(())
    }

    /// Begins a new file; the oldest goes.
    fn set_aside(&mut self) -> io::Result<()> {
        self.file.flush()?;
        // It is set aside already where only the new one could not be opened.
        let is_there = self.log.path.try_exists()?;
        for number in (0..self.log.kept).rev().filter(|_| is_there) {
            match std::fs::rename(self.place(number), self.place(number + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        if is_there && self.log.kept == 0 {
            std::fs::remove_file(&self.log.path)?;
        }
        (self.file, self.written) = open(&self.log.path)?;
        Ok(())
    }

    /// The path of the file, or of the one set aside so many files ago.
    fn place(&self, number: usize) -> PathBuf {
        if number == 0 {
            return self.log.path.clone();
        }
        let mut name = self.log.path.clone().into_os_string();
        name.push(format!(".{number}"));
        name.into()
    }
}

/// Opens a file that nobody else reads, to append to it; gives how long it is.
fn open(path: &Path) -> io::Result<(BufWriter<File>, u64)> {
    let file = OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
    let length = file.metadata()?.len();
    Ok((BufWriter::new(file), length))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_file_that_has_grown_is_set_aside_and_the_oldest_goes() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("audit.log");
        let log = AuditLog { path: path.clone(), file_bytes: 10, kept: 2 };
        let write = |lines: &[&str]| {
            let mut writer = Writer::open(log.clone()).unwrap();
            for line in lines {
                writer.append(format!("{line}\n").as_bytes()).unwrap();
            }
            writer.file.flush().unwrap();
        };
        write(&["one", "two"]);
        write(&["three", "four", "a very long line", "six"]);
        let read = |name: &str| std::fs::read_to_string(directory.path().join(name)).ok();
        assert_eq!(read("audit.log").as_deref(), Some("six\n"));
        assert_eq!(read("audit.log.1").as_deref(), Some("a very long line\n"));
        assert_eq!(read("audit.log.2").as_deref(), Some("four\n"));
        assert_eq!(read("audit.log.3"), None);
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_file_that_cannot_be_begun_leaves_those_set_aside_where_they_are() {
        let directory = tempfile::tempdir().unwrap();
        let folder = directory.path().join("log");
        std::fs::create_dir(&folder).unwrap();
        let path = folder.join("audit.log");
        let mut writer = Writer::open(AuditLog { path, file_bytes: 5, kept: 2 }).unwrap();
        writer.append(b"one\n").unwrap();
        writer.append(b"two\n").unwrap();
        // Gone with all that is in it, and back.
        let elsewhere = directory.path().join("elsewhere");
        std::fs::rename(&folder, &elsewhere).unwrap();
        for _ in 0..3 {
            assert!(writer.append(b"lost\n").is_err());
        }
        std::fs::rename(&elsewhere, &folder).unwrap();
        writer.append(b"four\n").unwrap();
        writer.file.flush().unwrap();
        let read = |name: &str| std::fs::read_to_string(folder.join(name)).ok();
        assert_eq!(read("audit.log").as_deref(), Some("four\n"));
        assert_eq!(read("audit.log.1").as_deref(), Some("two\n"));
        assert_eq!(read("audit.log.2").as_deref(), Some("one\n"));
    }

    #[test]
    fn with_nothing_kept_the_file_begins_anew() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("audit.log");
        let log = AuditLog { path: path.clone(), file_bytes: 5, kept: 0 };
        let mut writer = Writer::open(log).unwrap();
        writer.append(b"one\n").unwrap();
        writer.append(b"two\n").unwrap();
        writer.file.flush().unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "two\n");
    }
}
