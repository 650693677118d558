//! The directory of one pod: its volumes, readable by root only from outside.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    os::unix::fs::{DirBuilderExt, PermissionsExt, symlink},
    path::{Path, PathBuf},
};

use super::render::File;

/// The link to the files that are current, as the kubelet names it.
const CURRENT: &str = "..data";

/// Where the files of one pod lie.
#[derive(Clone, Debug)]
pub(crate) struct PodDirectory(PathBuf);

impl PodDirectory {
    /// The directory of the pod `uid` below `data_dir`.
    pub(crate) fn new(data_dir: &Path, uid: &str) -> Self {
        Self(data_dir.join("pods").join(uid))
    }

    /// A file of the pod's directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Makes the directory, for root only.
    pub(crate) fn create(&self) -> io::Result<()> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.0)
    }

    /// Removes everything of the pod.
    pub(crate) fn remove(&self) -> io::Result<()> {
        match fs::remove_dir_all(&self.0) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            result => result,
        }
    }

    /// A directory that begins empty and that every user of the pod may write.
    pub(super) fn empty(&self, volume: &str) -> io::Result<PathBuf> {
        let path = self.volume(volume)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o777))?;
        Ok(path)
    }

    /// A directory with exactly these files, all replaced at once if any differs.
    pub(super) fn files(
        &self,
        volume: &str,
        files: &BTreeMap<String, File>,
    ) -> io::Result<PathBuf> {
        let root = self.volume(volume)?;
        let old = fs::read_link(root.join(CURRENT)).ok();
        if old.as_ref().is_some_and(|old| holds(&root.join(old), files)) {
            return Ok(root);
        }
        let serial = |path: &PathBuf| path.to_str()?.strip_prefix("..v")?.parse::<u64>().ok();
        let next = format!("..v{}", old.as_ref().and_then(serial).map_or(0, |last| last + 1));
        write_all(&root.join(&next), files)?;
        let link = root.join("..new");
        remove_if_there(&link)?;
        symlink(&next, &link)?;
        fs::rename(&link, root.join(CURRENT))?;
        link_names(&root, files)?;
        if let Some(old) = old {
            fs::remove_dir_all(root.join(old))?;
        }
        Ok(root)
    }

    fn volume(&self, name: &str) -> io::Result<PathBuf> {
        self.create()?;
        let path = self.0.join("volumes").join(name);
        fs::create_dir_all(&path)?;
        Ok(path)
    }
}

fn holds(directory: &Path, files: &BTreeMap<String, File>) -> bool {
    let same = |(name, file): (&String, &File)| {
        let path = directory.join(name);
        fs::read(&path).is_ok_and(|content| content == file.content)
            && fs::metadata(&path).is_ok_and(|meta| meta.permissions().mode() & 0o777 == file.mode)
    };
    files.iter().all(same) && count(directory).is_ok_and(|count| count == files.len())
}

fn count(directory: &Path) -> io::Result<usize> {
    let mut total = 0;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        total += if entry.file_type()?.is_dir() { count(&entry.path())? } else { 1 };
    }
    Ok(total)
}

fn write_all(directory: &Path, files: &BTreeMap<String, File>) -> io::Result<()> {
    if directory.exists() {
        fs::remove_dir_all(directory)?;
    }
    fs::create_dir_all(directory)?;
    for (name, file) in files {
        let path = directory.join(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(&path, &file.content)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(file.mode))?;
    }
    Ok(())
}

/// Makes the first part of each path a link through the current one, and drops stale links.
fn link_names(root: &Path, files: &BTreeMap<String, File>) -> io::Result<()> {
    let first = |path: &str| path.split('/').next().unwrap_or_default().to_owned();
    let names: BTreeSet<String> = files.keys().map(|path| first(path)).collect();
    for entry in fs::read_dir(root)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if !name.starts_with("..") && !names.contains(&name) {
            remove_if_there(&root.join(name))?;
        }
    }
    for name in names {
        let link = root.join(&name);
        if fs::symlink_metadata(&link).is_err() {
            symlink(Path::new(CURRENT).join(&name), &link)?;
        }
    }
    Ok(())
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}
