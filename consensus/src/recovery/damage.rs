//! Damage noticed while the replica runs.
//!
//! It ends as damage found at the start does: the replica asks to be started again, the opening
//! of its files names what is wrong, and it leaves the group to be filled anew
//! ([`repair`](super::repair)).

use std::io::{self, ErrorKind};

use openraft::{
    async_runtime::WatchReceiver,
    errors::Fatal,
    storage::{RaftLogReader, RaftLogStorage},
};
use skein_store::{LogStore, StartError};

use super::respond::Responder;

/// Waits until Raft gives its files up, and has the replica started again if they are damaged. A
/// disk that merely refuses is left to the operator: another start would not help.
pub(crate) async fn watch(responder: Responder) {
    let mut metrics = responder.parts.raft.metrics();
    let watching = async {
        loop {
            let ended = metrics.borrow_watched().running_state.clone();
            match ended {
                Err(Fatal::StorageError(error)) => {
                    tracing::error!(%error, "raft has given its files up");
                    if let Err(damage) = read(&responder.log).await
                        && is_damage(&damage)
                    {
                        tracing::error!(%damage, "the replica is started again to be repaired");
                        responder.restart_soon();
                    }
                    return;
                }
                Err(Fatal::Panicked | Fatal::Stopped) => return,
                Ok(()) => {
                    if metrics.changed().await.is_err() {
                        return;
                    }
                }
            }
        }
    };
    responder.parts.cancel.run_until_cancelled(watching).await;
}

/// Reads every entry of the log, each of which is checked.
pub(super) async fn read(log: &LogStore) -> io::Result<()> {
    let mut log = log.clone();
    let state = log.get_log_state().await?;
    let mut next = state.last_purged_log_id.map_or(0, |purged| purged.index + 1);
    let end = state.last_log_id.map_or(0, |last| last.index + 1);
    while next < end {
        match log.limited_get_log_entries(next, end).await?.len() {
            // What is missing was purged meanwhile.
            0 => break,
            read => next += read as u64,
        }
    }
    Ok(())
}

/// Whether the disk returned other bytes than were written, and did not just refuse.
pub(crate) fn is_damage(error: &io::Error) -> bool {
    let opened = error.get_ref().and_then(|source| source.downcast_ref::<StartError>());
    matches!(opened, Some(StartError::Damaged { .. }))
        || matches!(error.kind(), ErrorKind::InvalidData | ErrorKind::UnexpectedEof)
}
