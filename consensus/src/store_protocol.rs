//! What nodes ask of each other's stores, over [`skein_net::Protocol::Store`].
//!
//! Every request follows the epoch of its sender's replica, if it has one. Enums only ever grow at
//! their end.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use skein_net::{NodeId, Protocol, Transport, codec};
use tokio::time::Duration;

use crate::{epochs::Epochs, recovery::ReplicaReport, writes::Written};
use skein_store::{
    Consistency, Epoch, EventBatch, Key, KeyRange, ListOptions, Record, Revision, StoreError,
    Transaction, recovery::Order,
};

/// A request with one answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum StoreRequest {
    /// To a leader only: write these, each on its own.
    Propose(Vec<Transaction>),
    /// To a leader only: up to where must a read of now have applied the log?
    ReadIndex,
    /// To any replica: see that this is written.
    Write(Transaction),
    /// To any replica: read this.
    Get(Key, Consistency),
    /// To anybody, of whichever epoch: what do you hold?
    Survey,
    /// To a survivor of a lost quorum, of whichever epoch: begin anew like this.
    Order(Order),
    /// To a leader only: see that I am no member, for my replica is damaged.
    Leave,
}

impl StoreRequest {
    /// Whether it is heard across epochs.
    pub(crate) fn concerns_every_epoch(&self) -> bool {
        matches!(self, Self::Survey | Self::Order(_))
    }
}

/// A request answered by a stream of [`ListPart`] or [`WatchPart`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum StreamRequest {
    /// A range as it is.
    List(KeyRange, Page, Consistency),
    Watch(KeyRange, Revision),
    /// A range as it was.
    ListAt(KeyRange, Page, Consistency, Revision),
}

/// Which part of a range a peer lists.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Page {
    limit: usize,
    after: Option<Key>,
}

impl Page {
    /// The options it stands for, as of `at`.
    pub(crate) fn options(self, at: Option<Revision>) -> ListOptions {
        ListOptions { limit: self.limit, after: self.after, at }
    }
}

impl StreamRequest {
    /// The request for a list.
    pub(crate) fn list(range: KeyRange, options: ListOptions, consistency: Consistency) -> Self {
        let ListOptions { limit, after, at } = options;
        let page = Page { limit, after };
        match at {
            None => Self::List(range, page, consistency),
            Some(at) => Self::ListAt(range, page, consistency, at),
        }
    }
}

/// The answer to a [`StoreRequest`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum StoreReply {
    Written(Vec<Revision>),
    ReadIndex(u64),
    Object(Option<Record>, Revision),
    Report(Box<ReplicaReport>),
    /// The order is written down.
    Ordered,
    /// Whether the sender of [`StoreRequest::Leave`] is no member any more, for good, and the
    /// epoch of the group.
    Left {
        left: bool,
        epoch: Epoch,
    },
    /// What became of each proposed transaction.
    Proposed(Vec<Written>),
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
    /// This node's replica is of another epoch than the sender's.
    #[error("the replica asked is of epoch {0}")]
    OtherEpoch(Epoch),
}

impl Refusal {
    /// What it says of a write that was attempted before: that attempt may have succeeded, so
    /// "overloaded, nothing was written" would be a lie about the whole.
    pub(crate) fn after_an_attempt(self) -> Self {
        match self {
            Self::Store(error @ (StoreError::Overloaded | StoreError::NoQuorum { .. })) => {
                Self::Store(StoreError::Unavailable(error.to_string()))
            }
            other => other,
        }
    }
}

/// Asks `node` once, in the name of the replica of `epochs` if there is one.
pub(crate) async fn ask(
    transport: &dyn Transport,
    epochs: Option<&Epochs>,
    node: NodeId,
    request: &StoreRequest,
    deadline: Duration,
) -> Result<StoreReply, Refusal> {
    let unavailable = |reason: String| Refusal::Store(StoreError::Unavailable(reason));
    let body = codec::encode(&(epochs.map(Epochs::own), request))
        .map_err(|error| StoreError::Invalid(error.to_string()))?;
    let answer = transport
        .request(node, Protocol::Store, body, deadline)
        .await
        .map_err(|error| unavailable(error.to_string()))?;
    let reply: Result<StoreReply, Refusal> =
        codec::decode(&answer).map_err(|error| unavailable(error.to_string()))?;
    if let (Err(Refusal::OtherEpoch(other)), Some(epochs)) = (&reply, epochs) {
        epochs.meet(node, *other);
    }
    reply
}

/// What an answer of the wrong kind comes to.
pub(crate) fn unexpected(reply: &StoreReply) -> Refusal {
    Refusal::Store(StoreError::Unavailable(format!("an answer of another kind: {reply:?}")))
}

/// A piece of a list.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum ListPart {
    Records(Vec<Arc<Record>>),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_of_an_earlier_build_are_asked_for_lists_in_their_words() {
        let range = || KeyRange::all("pods");
        let after = || Some(Key::new("pods", "a", "b"));
        let now = ListOptions { limit: 2, after: after(), at: None };
        let request = StreamRequest::list(range(), now, Consistency::Any);
        let expected = b"\x01\x00\x04pods\x00\x02\x01\x04pods\x01a\x01b\x02";
        assert_eq!(codec::encode(&request).unwrap().as_ref(), expected);
        let past = ListOptions { limit: 2, after: after(), at: Some(Revision(9)) };
        let request = StreamRequest::list(range(), past, Consistency::Any);
        let expected = b"\x01\x02\x04pods\x00\x02\x01\x04pods\x01a\x01b\x02\x09";
        assert_eq!(codec::encode(&request).unwrap().as_ref(), expected);
    }
}
