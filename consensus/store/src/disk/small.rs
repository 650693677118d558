//! Small whole files, put in place and taken away safely.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::Disk;

impl Disk {
    /// The content of a file, if there is one.
    pub(crate) fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        match self {
            Self::Directory(path) => optional(fs::read(path.join(name))),
            Self::Memory(disk) => disk.read(name),
        }
    }

    /// Makes `content` the content of a file, whole or not at all, durably.
    pub(crate) fn replace(&self, name: &str, content: &[u8]) -> io::Result<()> {
        let path = match self {
            Self::Directory(path) => path,
            Self::Memory(disk) => return disk.replace(name, content.to_vec()),
        };
        let (target, fresh) = (path.join(name), path.join(format!("{name}.new")));
        make_parent(&target)?;
        fs::write(&fresh, content)?;
        fs::File::open(&fresh)?.sync_all()?;
        fs::rename(&fresh, &target)?;
        sync_parent(&target)
    }

    /// Gives a file another name, durably; does nothing if there is none.
    pub(crate) fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        match self {
            Self::Directory(path) => {
                let (from, to) = (path.join(from), path.join(to));
                make_parent(&to)?;
                if optional(fs::rename(&from, &to))?.is_some() {
                    sync_parent(&to)?;
                    sync_parent(&from)?;
                }
                Ok(())
            }
            Self::Memory(disk) => disk.rename(from, to),
        }
    }

    /// Removes a file, durably; does nothing if there is none.
    pub(crate) fn remove(&self, name: &str) -> io::Result<()> {
        match self {
            Self::Directory(path) => {
                let path = path.join(name);
                match optional(fs::remove_file(&path))? {
                    Some(()) => sync_parent(&path),
                    None => Ok(()),
                }
            }
            Self::Memory(disk) => disk.remove(name),
        }
    }

    /// The names of the files in `directory`, which may be empty for the top, in order; each is
    /// a name for the other functions.
    pub(crate) fn names(&self, directory: &str) -> io::Result<Vec<String>> {
        let prefix = if directory.is_empty() { String::new() } else { format!("{directory}/") };
        let mut names = Vec::new();
        match self {
            Self::Directory(path) => {
                let Some(entries) = optional(fs::read_dir(path.join(directory)))? else {
                    return Ok(names);
                };
                for entry in entries {
                    let entry = entry?;
                    // A name that is not text is none of ours.
                    if let Some(name) = entry.file_name().to_str()
                        && entry.file_type()?.is_file()
                    {
                        names.push(format!("{prefix}{name}"));
                    }
                }
                names.sort_unstable();
            }
            Self::Memory(disk) => {
                let of_directory =
                    |name: &str| name.strip_prefix(&prefix).is_some_and(|rest| !rest.contains('/'));
                names.extend(disk.names().into_iter().filter(|name| of_directory(name)));
            }
        }
        Ok(names)
    }
}

fn optional<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn parent(path: &Path) -> PathBuf {
    path.parent().map(Path::to_owned).unwrap_or_default()
}

/// Makes the directory a file is in, so that it survives a power cut.
pub(super) fn make_parent(path: &Path) -> io::Result<()> {
    let parent = parent(path);
    if parent.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(&parent)?;
    sync_parent(&parent)
}

/// Makes the names in the directory of `path` survive a power cut.
pub(super) fn sync_parent(path: &Path) -> io::Result<()> {
    fs::File::open(parent(path))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::MemoryDisk;

    fn files_come_and_go(disk: &Disk) {
        assert_eq!(disk.read("a").unwrap(), None);
        disk.replace("a", b"one").unwrap();
        disk.replace("a", b"two").unwrap();
        disk.rename("a", "aside/a").unwrap();
        disk.rename("a", "aside/a").unwrap();
        assert_eq!(disk.read("aside/a").unwrap().as_deref(), Some(b"two".as_slice()));
        disk.replace("b", b"").unwrap();
        assert_eq!(disk.names("").unwrap(), ["b"]);
        assert_eq!(disk.names("aside").unwrap(), ["aside/a"]);
        disk.remove("aside/a").unwrap();
        disk.remove("aside/a").unwrap();
        assert_eq!(disk.names("aside").unwrap(), Vec::<String>::new());
    }

    #[test]
    fn files_come_and_go_in_memory_and_in_a_directory() {
        files_come_and_go(&Disk::Memory(MemoryDisk::new()));
        let directory = tempfile::tempdir().unwrap();
        files_come_and_go(&Disk::Directory(directory.path().join("replica")));
    }
}
