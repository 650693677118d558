//! The Raft group, its durable log, and the replicated versioned store with watch.
//!
//! This crate knows keys and bytes, not kinds. Everything above it reads and writes through
//! [`StoreClient`], which looks the same on a node that holds a replica and on one that does not.

mod autopilot;
mod client;
#[cfg(test)]
mod contract;
mod disk;
mod frames;
mod history;
mod key;
mod limits;
mod log_store;
mod memory;
mod network;
mod node_store;
mod owner;
mod published;
mod raft;
mod raft_handler;
mod reads;
mod remote;
mod replica;
mod replica_store;
mod requests;
#[cfg(test)]
mod scenarios;
mod sealed;
mod snapshot;
mod state;
mod state_machine;
mod state_store;
mod status;
mod store_handler;
mod store_protocol;
mod view;
mod writes;

pub use client::{
    Consistency, Event, EventBatch, ListOptions, Listing, Operation, Precondition, RequestId,
    SharedStore, StoreClient, StoreError, Transaction, WatchStream,
};
pub use disk::{Disk, MemoryDisk};
pub use key::{Key, KeyRange, Record, Revision};
pub use memory::MemoryStore;
pub use node_store::NodeStore;
pub use owner::StartError;
pub use remote::RemoteStore;
pub use replica::{FoundError, Replica, ReplicaConfig, Retention, Timing};
pub use status::{PeerState, Peers, RaftStatus, Role};
