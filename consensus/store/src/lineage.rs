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

    /// What the file of the state is called.
    pub(crate) fn state_name(&self) -> String {
        format!("state-{}.redb", self.generation)
    }

    /// What a segment of the log is called.
    pub(crate) fn segment_name(&self, sequence: u64) -> String {
        format!("log-{}-{sequence:010}.raft", self.generation)
    }

    /// The sequence number of a segment of the log, if `name` is one's of this generation.
    pub(crate) fn sequence_of(&self, name: &str) -> Option<u64> {
        let rest = name.strip_prefix(&format!("log-{}-", self.generation))?;
        rest.strip_suffix(".raft")?.parse().ok()
    }
}

/// The generation a file of a replica is of; `None` for any other file.
pub(crate) fn generation_of(name: &str) -> Option<u64> {
    let name = name.rsplit('/').next()?;
    if let Some(rest) = name.strip_prefix("state-") {
        return rest.strip_suffix(".redb")?.parse().ok();
    }
    let (generation, sequence) = name.strip_prefix("log-")?.split_once('-')?;
    sequence.strip_suffix(".raft")?.parse::<u64>().ok()?;
    generation.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::MemoryDisk;

    #[test]
    fn the_name_of_a_file_tells_its_generation() {
        for generation in [0, 1, 17] {
            let lineage = Lineage { generation, ..Lineage::default() };
            for name in [lineage.state_name(), lineage.segment_name(12)] {
                assert_eq!(generation_of(&name), Some(generation), "{name}");
                assert_eq!(generation_of(&format!("aside/{name}")), Some(generation));
            }
            assert_eq!(lineage.sequence_of(&lineage.segment_name(12)), Some(12));
            assert_eq!(lineage.sequence_of("log-9-0000000012.raft"), None);
        }
        for other in ["epoch", "key.pem", "state", "state-x.redb", "log-1.raft", "log-1-x.raft"] {
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
