//! What nodes ask of each other's stores, over [`skein_net::Protocol::Store`].
//!
//! Enums only ever grow at their end.

use serde::{Deserialize, Serialize};
use skein_net::NodeId;

use skein_store::{
    Consistency, EventBatch, Key, KeyRange, ListOptions, Record, Revision, StoreError, Transaction,
};

/// A request with one answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum StoreRequest {
    /// To a leader only: write this.
    Propose(Transaction),
    /// To a leader only: up to where must a read of now have applied the log?
    ReadIndex,
    /// To any replica: see that this is written.
    Write(Transaction),
    /// To any replica: read this.
    Get(Key, Consistency),
}

/// A request answered by a stream of [`ListPart`] or [`WatchPart`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum StreamRequest {
    List(KeyRange, ListOptions, Consistency),
    Watch(KeyRange, Revision),
}

/// The answer to a [`StoreRequest`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum StoreReply {
    Written(Vec<Revision>),
    ReadIndex(u64),
    Object(Option<Record>, Revision),
}

/// Why a node did not do it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub(crate) enum Refusal {
    /// Ask the leader, if one is known.
    #[error("this node does not lead")]
    NotLeader(Option<NodeId>),
    /// This node has no replica.
    #[error("this node has no replica of the store")]
    NoReplica,
    /// The store's own answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Refusal {
    /// What it says of a write that was attempted before: that attempt may have succeeded, so
    /// "overloaded, nothing was written" would be a lie about the whole.
    pub(crate) fn after_an_attempt(self) -> Self {
        match self {
            Self::Store(error @ StoreError::Overloaded) => {
                Self::Store(StoreError::Unavailable(error.to_string()))
            }
            other => other,
        }
    }
}

/// A piece of a list.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum ListPart {
    Records(Vec<Record>),
    End { revision: Revision, remaining: usize },
    Refused(Refusal),
}

/// A piece of a watch.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum WatchPart {
    /// The watch stands; batches follow.
    Started,
    Batch(EventBatch),
    Refused(Refusal),
}
