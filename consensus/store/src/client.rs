//! What users of the store see of it.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use serde::{Deserialize, Serialize};
use skein_net::NodeId;

use crate::{Epoch, Key, KeyRange, Record, Revision, limits};

/// Names one write so that a retry of it applies once. Random, 128 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RequestId(pub u128);

impl RequestId {
    /// A fresh id.
    pub fn random() -> Self {
        Self(rand::random())
    }
}

/// What must hold of a key for the transaction to apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Precondition {
    /// Nothing.
    Any,
    /// The key has no object.
    Absent,
    /// The key has an object.
    Exists,
    /// The key's object was last modified at exactly this revision.
    Unchanged(Revision),
}

impl Precondition {
    /// Whether it holds of a key whose object was last modified at `current`, `None` if absent.
    pub fn holds(self, current: Option<Revision>) -> bool {
        match self {
            Self::Any => true,
            Self::Absent => current.is_none(),
            Self::Exists => current.is_some(),
            Self::Unchanged(revision) => current == Some(revision),
        }
    }
}

/// One step of a transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Operation {
    /// Writes an object.
    Put {
        /// Where.
        key: Key,
        /// The bytes.
        value: Bytes,
        /// What must hold.
        when: Precondition,
    },
    /// Removes an object; removing an absent one with [`Precondition::Any`] does nothing.
    Delete {
        /// Which.
        key: Key,
        /// What must hold.
        when: Precondition,
    },
    /// Checks without writing.
    Check {
        /// Which.
        key: Key,
        /// What must hold.
        when: Precondition,
    },
}

impl Operation {
    /// The key it is about.
    pub fn key(&self) -> &Key {
        match self {
            Self::Put { key, .. } | Self::Delete { key, .. } | Self::Check { key, .. } => key,
        }
    }

    /// What must hold of its key.
    pub fn when(&self) -> Precondition {
        match self {
            Self::Put { when, .. } | Self::Delete { when, .. } | Self::Check { when, .. } => *when,
        }
    }

    /// Bytes it carries: key and value.
    pub fn size(&self) -> usize {
        let value = match self {
            Self::Put { value, .. } => value.len(),
            Self::Delete { .. } | Self::Check { .. } => 0,
        };
        self.key().size() + value
    }
}

/// Operations that apply all together or not at all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transaction {
    /// The same id applies once, however often it is sent.
    pub id: RequestId,
    /// At least one, over distinct keys.
    pub operations: Vec<Operation>,
}

impl Transaction {
    /// A transaction of `operations` under a fresh request id.
    pub fn new(operations: Vec<Operation>) -> Self {
        Self { id: RequestId::random(), operations }
    }

    /// Bytes it carries: keys and values.
    pub fn size(&self) -> usize {
        self.operations.iter().map(Operation::size).sum()
    }

    /// Refuses what can never apply: nothing to do, too much at once, or one key named twice.
    pub fn validate(&self) -> Result<(), StoreError> {
        let count = self.operations.len();
        if count == 0 {
            return Err(StoreError::Invalid("no operations".to_owned()));
        }
        if count > limits::TRANSACTION_OPERATIONS {
            let limit = limits::TRANSACTION_OPERATIONS;
            return Err(StoreError::Invalid(format!(
                "{count} operations, at most {limit} allowed"
            )));
        }
        let size = self.size();
        if size > limits::TRANSACTION_BYTES {
            let limit = limits::TRANSACTION_BYTES;
            return Err(StoreError::Invalid(format!("{size} bytes, at most {limit} allowed")));
        }
        let mut keys: Vec<&Key> = self.operations.iter().map(Operation::key).collect();
        keys.sort_unstable();
        match keys.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(StoreError::Invalid(format!("{} is named twice", pair[0]))),
            None => Ok(()),
        }
    }
}

/// How fresh a read must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Consistency {
    /// Sees every write acknowledged before the read began.
    Linearizable,
    /// Sees some past state, at least this revision: waits for it when the replica is behind.
    AtLeast(Revision),
    /// Sees whatever the replica at hand has; works without quorum.
    Any,
}

/// Which part of a range to list, and as of when.
#[derive(Clone, Debug, Default)]
pub struct ListOptions {
    /// At most this many records; zero means all.
    pub limit: usize,
    /// Only keys after this one.
    pub after: Option<Key>,
    /// As the range was at this revision, not as it is now. It can be had for as long as a watch
    /// could start from there ([`StoreError::Compacted`]), and of a replica that has come that far:
    /// [`Consistency::AtLeast`] waits until it has, the others fail where it has not
    /// ([`StoreError::Unavailable`]).
    pub at: Option<Revision>,
}

/// A consistent view of a range.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listing {
    /// The records in key order.
    pub records: Vec<Arc<Record>>,
    /// The revision of the store they are of: the one asked for, else that of the replica. A watch
    /// from here misses nothing.
    pub revision: Revision,
    /// How many further records the range holds beyond `limit`.
    pub remaining: usize,
}

/// One change of one object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// The object was made or changed.
    Put {
        /// The object now.
        record: Arc<Record>,
        /// The object before, absent if it was made.
        previous: Option<Arc<Record>>,
    },
    /// The object was removed.
    Delete {
        /// The object as it last was.
        previous: Arc<Record>,
        /// The change that removed it.
        revision: Revision,
    },
}

impl Event {
    /// The key that changed.
    pub fn key(&self) -> &Key {
        match self {
            Self::Put { record, .. } => &record.key,
            Self::Delete { previous, .. } => &previous.key,
        }
    }

    /// The object before the change, absent if the change made it.
    pub fn previous(&self) -> Option<&Arc<Record>> {
        match self {
            Self::Put { previous, .. } => previous.as_ref(),
            Self::Delete { previous, .. } => Some(previous),
        }
    }

    /// The revision of the change.
    pub fn revision(&self) -> Revision {
        match self {
            Self::Put { record, .. } => record.modified,
            Self::Delete { revision, .. } => *revision,
        }
    }

    /// Bytes it holds on to.
    pub fn size(&self) -> usize {
        match self {
            Self::Put { record, previous } => {
                record.size() + previous.as_ref().map_or(0, |previous| previous.size())
            }
            Self::Delete { previous, .. } => previous.size(),
        }
    }
}

/// The changes of a range between two revisions, in order. An empty batch tells progress only.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventBatch {
    /// The changes; may be empty.
    pub events: Vec<Event>,
    /// Every change of the range up to this revision has been delivered.
    pub revision: Revision,
}

/// Batches of changes; an error is the last item.
pub type WatchStream = BoxStream<'static, Result<EventBatch, StoreError>>;

/// Why the store refused or could not answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum StoreError {
    /// A precondition did not hold; nothing was written.
    #[error("operation {index} on {key} failed its precondition")]
    PreconditionFailed {
        /// Which operation, from zero.
        index: usize,
        /// Its key.
        key: Key,
        /// When the object there was last modified; `None` where there is none.
        current: Option<Revision>,
    },
    /// The history no longer reaches back to the revision asked for.
    #[error("revision {requested} has been compacted, the oldest kept is {oldest}")]
    Compacted {
        /// What was asked for.
        requested: Revision,
        /// The oldest revision a watch can start from and a list be of.
        oldest: Revision,
    },
    /// A watcher fell behind by more than the store buffers for it; list again.
    #[error("the watch fell behind and was dropped")]
    WatchLagged,
    /// No leader could be reached in time. The write may or may not have been applied: retry it
    /// with the same request id.
    #[error("the cluster has no reachable leader: {0}")]
    Unavailable(String),
    /// Too many writes are waiting; nothing was written.
    #[error("the store is overloaded")]
    Overloaded,
    /// The transaction is malformed or too large; nothing was written.
    #[error("invalid transaction: {0}")]
    Invalid(String),
    /// The disk refused or its content is damaged.
    #[error("storage failed: {0}")]
    Storage(String),
    /// No majority of the voters answers, so nothing can be written or read for certain; nothing
    /// was written. Names the voters that are missing.
    #[error("the cluster has lost its quorum: {} of its voters do not answer", missing.len())]
    NoQuorum {
        /// The voters that do not answer.
        missing: Vec<NodeId>,
    },
    /// The replica is of another life of the cluster; nothing was written.
    #[error("the replica is of epoch {own}, the cluster of epoch {current}: it must rejoin")]
    Outdated {
        /// The replica's epoch.
        own: Epoch,
        /// The cluster's.
        current: Epoch,
    },
}

/// The replicated store, through a local replica or a peer's.
#[async_trait]
pub trait StoreClient: Send + Sync + 'static {
    /// Applies a transaction once and returns the revision of each operation, in order: the new
    /// revision for a put or an effective delete, the current one for a check or a delete of
    /// nothing. Durable on a majority when it returns.
    async fn write(&self, transaction: Transaction) -> Result<Vec<Revision>, StoreError>;

    /// Reads one object, and the revision of the store it was read at.
    async fn get(
        &self,
        key: &Key,
        consistency: Consistency,
    ) -> Result<(Option<Record>, Revision), StoreError>;

    /// Reads a range, as it is or as it was.
    async fn list(
        &self,
        range: &KeyRange,
        options: ListOptions,
        consistency: Consistency,
    ) -> Result<Listing, StoreError>;

    /// Every change of `range` after `from`, in order, none skipped, none twice. Batches without
    /// events tell progress from time to time, and at once where the store is ahead of `from`.
    async fn watch(&self, range: &KeyRange, from: Revision) -> Result<WatchStream, StoreError>;
}

/// A shared store client.
pub type SharedStore = Arc<dyn StoreClient>;
