//! Which of the files on a disk are the replica's, and of which epoch they are.
//!
//! A replica that starts anew, in another epoch or because its files were damaged, gets files of
//! a new generation beside the old ones. One small file, `epoch`, says which generation counts;
//! replacing it is the moment the replica changes over, so a power cut leaves either the old
//! replica or the new one.

use std::io;

use serde::{Deserialize, Serialize};

use crate::{
    Epoch,
    disk::Disk,
    owner::StartError,
    sealed::{self, SealError},
};

/// The file's name.
const FILE: &str = "epoch";

/// What the file says; without it, the first generation of the first epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Lineage {
    /// The epoch of the files.
    pub(crate) epoch: Epoch,
    /// How often the replica has started anew.
    pub(crate) generation: u64,
    /// The newer epoch of the cluster, if this replica has heard of one.
    pub(crate) outdated: Option<Epoch>,
}

impl Lineage {
    /// Reads it from `disk`.
    pub(crate) fn read(disk: &Disk) -> Result<Self, StartError> {
        let content = disk.read(FILE).map_err(|source| StartError::Disk { file: FILE, source })?;
        match content {
            Some(content) => sealed::open(&content)
                .map_err(|error: SealError| StartError::damaged(FILE, "its content", &error)),
            None => Ok(Self::default()),
        }
    }

    /// Makes it the one that counts, durably.
    pub(crate) fn write(&self, disk: &Disk) -> io::Result<()> {
        disk.replace(FILE, &sealed::seal(self).map_err(io::Error::other)?)
    }

    /// What a file of this generation is called that is called `stem.extension` in the first.
    pub(crate) fn name(&self, stem: &str, extension: &str) -> String {
        match self.generation {
            0 => format!("{stem}.{extension}"),
            generation => format!("{stem}-{generation}.{extension}"),
        }
    }
}

/// The generation a file of a replica is of; `None` for any other file.
pub(crate) fn generation_of(name: &str) -> Option<u64> {
    let (stem, extension) = name.rsplit('/').next()?.split_once('.')?;
    if extension != "redb" {
        return None;
    }
    match stem.split_once('-') {
        Some(("state" | "log", generation)) => generation.parse().ok(),
        None if matches!(stem, "state" | "log") => Some(0),
        Some(_) | None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::MemoryDisk;

    #[test]
    fn the_name_of_a_file_tells_its_generation() {
        for generation in [0, 1, 17] {
            let lineage = Lineage { generation, ..Lineage::default() };
            for stem in ["state", "log"] {
                let name = lineage.name(stem, "redb");
                assert_eq!(generation_of(&name), Some(generation), "{name}");
                assert_eq!(generation_of(&format!("aside/{name}")), Some(generation));
            }
        }
        for other in ["epoch", "key.pem", "state", "peers.redb", "state-x.redb"] {
            assert_eq!(generation_of(other), None, "{other}");
        }
    }

    #[test]
    fn a_damaged_lineage_is_named() {
        let memory = MemoryDisk::new();
        let disk = Disk::Memory(memory.clone());
        assert_eq!(Lineage::read(&disk).unwrap(), Lineage::default());
        Lineage { generation: 3, ..Lineage::default() }.write(&disk).unwrap();
        assert_eq!(Lineage::read(&disk).unwrap().generation, 3);
        memory.flip(FILE, 5);
        let damaged = Lineage::read(&disk).unwrap_err();
        assert!(matches!(damaged, StartError::Damaged { file: "epoch", .. }));
    }
}
