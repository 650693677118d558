//! One group of changes, one transaction, one fsync.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
};

use openraft::{entry::RaftEntry, storage::IOFlushed};
use redb::Database;
use tokio::sync::oneshot;

use super::{COMMITTED_KEY, LOG, PURGED_KEY, VOTE_KEY, tail::Tail};
use crate::{
    disk::io_error,
    owner::META,
    raft::{Entry, Group, LogId, Vote},
    sealed,
};

/// A change of what is on disk.
#[derive(Debug)]
pub(super) enum Change {
    Append(Vec<Entry>),
    Vote(Vote),
    Truncate { from: u64 },
    Purge(LogId),
}

/// Who hears when a change is on disk.
pub(super) enum Done {
    Flushed(IOFlushed<Group>),
    Answer(oneshot::Sender<io::Result<()>>),
}

/// A change and who waits for it.
pub(super) struct Step {
    pub(super) change: Change,
    pub(super) done: Done,
}

/// Writes groups of changes.
#[derive(Debug)]
pub(super) struct Committer {
    database: Arc<Database>,
    tail: Arc<Mutex<Tail>>,
    committed: Option<LogId>,
}

impl Committer {
    pub(super) fn new(database: Arc<Database>, tail: Arc<Mutex<Tail>>) -> Self {
        Self { database, tail, committed: None }
    }

    /// Tells whoever waits for each step what became of the group, in order.
    pub(super) fn finish(&self, steps: Vec<Step>, result: &io::Result<()>) {
        if let Err(error) = result {
            tracing::error!(%error, "the raft log cannot be written");
        }
        for step in steps {
            if result.is_ok() {
                let mut tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
                match &step.change {
                    Change::Append(entries) => {
                        if let Some(last) = entries.last() {
                            tail.flushed(last.index() + 1);
                        }
                    }
                    // What was cut off may be written anew, and is not on disk then.
                    Change::Truncate { from } => tail.unflushed(*from),
                    Change::Vote(_) | Change::Purge(_) => {}
                }
            }
            let answer = match result {
                Ok(()) => Ok(()),
                Err(error) => Err(io::Error::new(error.kind(), error.to_string())),
            };
            match step.done {
                Done::Flushed(callback) => callback.io_completed(answer),
                // Whoever asked has gone away; the change stands.
                Done::Answer(sender) => drop(sender.send(answer)),
            }
        }
    }

    /// Makes a group of changes durable, whole or not at all.
    pub(super) fn write<'a>(
        &mut self,
        changes: impl IntoIterator<Item = &'a Change>,
    ) -> io::Result<()> {
        let committed = self.tail.lock().unwrap_or_else(PoisonError::into_inner).committed;
        let transaction = self.database.begin_write().map_err(io_error)?;
        {
            let mut log = transaction.open_table(LOG).map_err(io_error)?;
            let mut meta = transaction.open_table(META).map_err(io_error)?;
            for change in changes {
                match change {
                    Change::Append(entries) => {
                        for entry in entries {
                            let value = sealed::seal(entry).map_err(io::Error::other)?;
                            log.insert(entry.index(), value.as_slice()).map_err(io_error)?;
                        }
                    }
                    Change::Vote(vote) => {
                        let value = sealed::seal(vote).map_err(io::Error::other)?;
                        meta.insert(VOTE_KEY, value.as_slice()).map_err(io_error)?;
                    }
                    Change::Truncate { from } => {
                        log.retain_in(*from.., |_, _| false).map_err(io_error)?;
                    }
                    Change::Purge(upto) => {
                        log.retain_in(..=upto.index, |_, _| false).map_err(io_error)?;
                        let value = sealed::seal(upto).map_err(io::Error::other)?;
                        meta.insert(PURGED_KEY, value.as_slice()).map_err(io_error)?;
                    }
                }
            }
            if committed != self.committed {
                let value = sealed::seal(&committed).map_err(io::Error::other)?;
                meta.insert(COMMITTED_KEY, value.as_slice()).map_err(io_error)?;
            }
        }
        transaction.commit().map_err(io_error)?;
        self.committed = committed;
        Ok(())
    }
}
