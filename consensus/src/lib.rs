//! The Raft group over each node's copy of the store (`skein-store`): replication, elections, who
//! votes, and reads and writes from any node.
//!
//! It knows keys and bytes, not kinds. Everything above it reads and writes through
//! [`StoreClient`], which looks the same on a node that holds a replica and on one that does not.

mod autopilot;
mod config;
#[cfg(test)]
mod contract;
mod decisions;
mod elections;
mod epochs;
mod frames;
#[doc(hidden)]
pub mod fuzzing;
mod handover;
mod limits;
mod memory;
mod network;
mod node_store;
mod parts;
mod raft_handler;
mod reads;
pub mod recovery;
mod remote;
mod replica;
mod replica_store;
#[cfg(test)]
mod scenarios;
mod snapshot;
mod status;
mod status_feed;
mod store_handler;
mod store_protocol;
mod writes;

pub use config::{ReplicaConfig, Retention, Timing};
pub use decisions::Decision;
pub use memory::MemoryStore;
pub use node_store::NodeStore;
pub use remote::RemoteStore;
pub use replica::{FoundError, Replica};
pub use skein_store::{
    Consistency, Disk, Epoch, Event, EventBatch, Key, KeyRange, ListOptions, Listing, MemoryDisk,
    Operation, Precondition, Record, RequestId, Revision, SharedStore, StartError, StoreClient,
    StoreError, Transaction, WatchStream,
};
pub use status::{PeerState, Peers, RaftStatus, Role};
