//! The Raft group, its durable log, and the replicated versioned store with watch.
//!
//! This crate knows keys and bytes, not kinds. Everything above it reads and writes through
//! [`StoreClient`], which looks the same on a node that holds a replica and on one that does not.

mod client;
mod disk;
mod history;
mod key;
mod limits;
mod log_store;
mod memory;
mod owner;
mod published;
mod raft;
mod requests;
mod sealed;
mod state;
mod state_machine;
mod state_store;
mod view;

pub use client::{
    Consistency, Event, EventBatch, ListOptions, Listing, Operation, Precondition, RequestId,
    SharedStore, StoreClient, StoreError, Transaction, WatchStream,
};
pub use disk::{Disk, MemoryDisk};
pub use key::{Key, KeyRange, Record, Revision};
pub use memory::MemoryStore;
pub use owner::StartError;
