//! What the Raft group replicates, as openraft is told it.
//!
//! A log entry carries the encoded transactions of many callers. They are encoded once, by the
//! leader; every other step moves the same bytes.

use std::{
    fmt, io,
    time::{SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use openraft::{EmptyNode, type_config::alias};
use serde::{Deserialize, Serialize};
use skein_net::codec;

use crate::{Transaction, requests::Stamp, state::Answer};

openraft::declare_raft_types!(
    /// The Raft group. Members are node ids; where they are is the transport's business.
    pub Group:
        D = Proposal,
        R = Answers,
        NodeId = u64,
        Node = EmptyNode,
        // One leader in a term, as in Raft's paper: log ids compare by term and index alone.
        LeaderId = openraft::impls::leader_id_std::LeaderId<u64, u64>,
);

/// A log entry.
pub type Entry = alias::EntryOf<Group>;
/// A term, the leader of it, and whether a quorum granted it.
pub type Vote = alias::VoteOf<Group>;
/// The place of an entry in the log and the leader that put it there.
pub type LogId = alias::LogIdOf<Group>;
/// A membership and the entry that set it.
pub type StoredMembership = alias::StoredMembershipOf<Group>;
/// What a snapshot covers.
pub type SnapshotMeta = alias::SnapshotMetaOf<Group>;
/// The Raft node itself.
pub type Raft = openraft::Raft<Group, crate::state_machine::StateMachine>;

/// The encoded transactions of one log entry, and when they were proposed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposal(Bytes);

impl Proposal {
    /// Encodes `transactions`, proposed now.
    pub fn encode(transactions: &[Transaction]) -> Result<Self, codec::CodecError> {
        // A clock before 1970 stamps like one at 1970: stamps never go back anyway.
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self::stamped(transactions, Stamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX)))
    }

    /// Encodes `transactions`, proposed at `stamp`.
    pub fn stamped(transactions: &[Transaction], stamp: Stamp) -> Result<Self, codec::CodecError> {
        codec::encode(&(stamp, transactions)).map(Self)
    }

    /// When they were proposed, and the transactions. An entry this build cannot read stops the replica: skipping it would
    /// make its state differ from the others'.
    pub fn decode(&self) -> io::Result<(Stamp, Vec<Transaction>)> {
        codec::decode(&self.0).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }

    /// Encoded bytes.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

impl fmt::Debug for Proposal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Proposal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes of transactions", self.0.len())
    }
}

/// The answer to each transaction of one log entry; none for entries of Raft itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answers(pub Vec<Answer>);
