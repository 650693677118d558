//! What a replica that does not run has on its disk: for checks of invariants and for reports.

use openraft::entry::RaftEntry;

use crate::{
    disk::Disk,
    lineage::Lineage,
    log_store,
    owner::StartError,
    raft::{LogId, Vote},
    sealed,
    state_store::StateStore,
};

/// The files of a replica, read without changing what they mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspection {
    /// The last vote saved.
    pub vote: Option<Vote>,
    /// The last log entry purged.
    pub purged: Option<LogId>,
    /// The log entries, oldest first, each with the checksum of its content.
    pub entries: Vec<(LogId, u32)>,
    /// The last log entry that the stored state reflects.
    pub applied: Option<LogId>,
}

/// Reads the files on `disk`. They must not be open: of a running replica on a memory disk,
/// inspect a fork.
pub fn inspect(disk: &Disk) -> Result<Inspection, StartError> {
    let lineage = Lineage::read(disk)?;
    let mut entries = Vec::new();
    let log = log_store::read_all(disk, &lineage, None, |entry| {
        let sealed = sealed::seal(&entry.payload);
        let sealed = sealed.map_err(|error| StartError::Raft(error.to_string()))?;
        entries.push((entry.log_id(), crc32fast::hash(&sealed)));
        Ok(())
    })?;
    let applied = StateStore::read(disk, &lineage, None)?.last;
    Ok(Inspection { vote: log.vote, purged: log.purged, entries, applied })
}
