//! Files that must be whole after a power cut: written aside, synced, renamed into place.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

/// Readable and writable by the owner alone: keys.
pub const PRIVATE: u32 = 0o600;
/// Readable by all: certificates and lists.
pub const PUBLIC: u32 = 0o644;

/// Replaces the file at `path` with `bytes`, with permission bits `mode` from its first moment on.
/// Afterwards the old or the new content is there, also across a crash.
///
/// # Errors
/// What the system says about the file or its directory.
pub fn write(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("."));
    let aside = path.with_extension("new");
    // A leftover of a crash may have other permissions.
    match fs::remove_file(&aside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&aside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&aside, path)?;
    File::open(directory)?.sync_all()
}

/// The content of the file at `path`, or nothing if there is none.
///
/// # Errors
/// What the system says about the file, or content that is not UTF-8.
pub fn read(path: &Path) -> io::Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
