//! The versioned store of keys and bytes, as one node holds it: the state machine that a log of
//! transactions drives, its views and watches, and both on disk.
//!
//! Everything here is local and deterministic. Who may append to the log, and when an entry is
//! committed, is decided above, in `skein-consensus`; what the values mean, further above.

mod client;
#[cfg(test)]
mod damage;
mod disk;
mod epoch;
#[cfg(test)]
mod fixtures;
mod history;
mod inspection;
mod key;
pub mod limits;
mod lineage;
mod log_store;
mod owner;
#[cfg(test)]
mod power_cuts;
mod published;
mod raft;
pub mod recovery;
mod requests;
mod rewind;
mod sealed;
mod state;
mod state_machine;
mod state_store;
mod view;

pub use client::{
    Consistency, Event, EventBatch, ListOptions, Listing, Operation, Precondition, RequestId,
    SharedStore, StoreClient, StoreError, Transaction, WatchStream,
};
pub use disk::{Disk, DiskAction, DiskOperation, Fault, MemoryDisk, SECTOR_BYTES};
pub use epoch::Epoch;
pub use inspection::{Inspection, inspect};
pub use key::{Key, KeyRange, Record, Revision};
pub use log_store::{LogStore, Space};
pub use owner::{Owner, StartError};
pub use published::Published;
pub use raft::{
    Answers, Entry, Group, LogId, Proposal, Raft, SnapshotMeta, StoredMembership, Vote,
};
pub use requests::{Capacity, Remembered, RequestMemory, Stamp};
pub use state::{Answer, State};
pub use state_machine::{Machine, Snapshot, StateMachine};
pub use view::View;
