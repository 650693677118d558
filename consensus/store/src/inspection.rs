//! What a replica that does not run has on its disk: for checks of invariants and for reports.

use openraft::entry::RaftEntry;

use crate::{
    disk::Disk,
    log_store,
    owner::StartError,
    raft::{Entry, LogId, Vote},
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
    let log = log_store::contents(disk)?;
    let checksum = |entry: &Entry| {
        let sealed = sealed::seal(&entry.payload).map(|sealed| crc32fast::hash(&sealed));
        sealed.map(|checksum| (entry.log_id(), checksum))
    };
    let entries: Result<_, _> = log.entries.iter().map(checksum).collect();
    let entries = entries.map_err(|error| StartError::Raft(error.to_string()))?;
    let applied = StateStore::read(disk)?.last;
    Ok(Inspection { vote: log.vote, purged: log.purged, entries, applied })
}
