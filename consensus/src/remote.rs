//! The store through a peer's replica, for nodes that hold none.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use serde::de::DeserializeOwned;
use skein_net::{BoxedStream, NodeId, Protocol, RpcError, Transport, codec};
use tokio::{
    sync::watch,
    time::{Duration, Instant, sleep},
};

use crate::{
    Peers,
    epochs::Epochs,
    frames, limits,
    parts::{Parts, is_dead},
    store_protocol::{self, ListPart, Refusal, StoreReply, StoreRequest, StreamRequest, WatchPart},
};
use skein_store::{
    Consistency, Key, KeyRange, ListOptions, Listing, Record, Revision, StoreClient, StoreError,
    Transaction, WatchStream,
};

/// A client of whichever peer has a replica and answers.
pub struct RemoteStore {
    transport: Arc<dyn Transport>,
    /// The replica beside it, which may belong to an epoch.
    beside: Option<Parts>,
    peers: watch::Receiver<Peers>,
    /// The peer that served last.
    preferred: Mutex<Option<NodeId>>,
}

/// Why one attempt at one peer failed, and whether another may do better.
enum Failed {
    /// It was refused before anything was done.
    Refused(String),
    /// Whether anything was done is not known.
    Unknown(String),
    /// A replica misses the majority; another may be on the side that has it.
    NoQuorum(StoreError),
    Final(StoreError),
}

impl RemoteStore {
    /// A client of the nodes in `peers`.
    pub fn new(transport: Arc<dyn Transport>, peers: watch::Receiver<Peers>) -> Arc<Self> {
        Arc::new(Self { transport, beside: None, peers, preferred: Mutex::new(None) })
    }

    /// The same on a node with a replica, which deals with its own epoch only.
    pub(crate) fn beside(parts: Parts, peers: watch::Receiver<Peers>) -> Arc<Self> {
        let transport = Arc::clone(&parts.transport);
        Arc::new(Self { transport, beside: Some(parts), peers, preferred: Mutex::new(None) })
    }

    /// The epoch to ask in: none while the replica is empty.
    fn epochs(&self) -> Option<&Epochs> {
        let beside = self.beside.as_ref().filter(|parts| parts.is_initialized());
        beside.map(|parts| parts.epochs.as_ref())
    }

    /// Whom to ask, the most promising first.
    fn candidates(&self) -> Vec<NodeId> {
        let preferred = *self.preferred.lock().unwrap_or_else(PoisonError::into_inner);
        order(&self.peers.borrow(), preferred, self.transport.local_id())
    }

    fn prefer(&self, node: Option<NodeId>) {
        *self.preferred.lock().unwrap_or_else(PoisonError::into_inner) = node;
    }

    /// Runs `attempt` at one peer after the other until one succeeds or time is up.
    async fn try_each<T, F>(
        &self,
        patience: Duration,
        mut attempt: impl FnMut(NodeId) -> F,
    ) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, Failed>>,
    {
        let deadline = Instant::now() + patience;
        let mut last = "no other node is known".to_owned();
        let mut attempted = false;
        loop {
            let (mut no_quorum, mut unknown) = (None, false);
            for node in self.candidates() {
                let outcome = tokio::select! {
                    biased;
                    outcome = attempt(node) => outcome,
                    () = self.dies(node) => Err(Failed::Unknown(format!("node {node} died"))),
                };
                last = match outcome {
                    Ok(value) => {
                        self.prefer(Some(node));
                        return Ok(value);
                    }
                    // Says that nothing was written, which an earlier attempt may belie.
                    Err(Failed::Final(error @ StoreError::Overloaded)) if attempted => {
                        error.to_string()
                    }
                    Err(Failed::Final(error)) => return Err(error),
                    Err(Failed::NoQuorum(error)) => {
                        let reason = error.to_string();
                        no_quorum = Some(error);
                        reason
                    }
                    Err(Failed::Refused(reason)) => reason,
                    Err(Failed::Unknown(reason)) => {
                        (attempted, unknown) = (true, true);
                        reason
                    }
                };
                self.prefer(None);
                if Instant::now() >= deadline {
                    return Err(StoreError::Unavailable(last));
                }
            }
            match no_quorum {
                None => {}
                Some(error) if !attempted => return Err(error),
                // Nobody else is left to ask, and what was attempted may still be applied.
                Some(error) if !unknown => return Err(StoreError::Unavailable(error.to_string())),
                Some(_) => {}
            }
            if Instant::now() + limits::RETRY_PAUSE >= deadline {
                return Err(StoreError::Unavailable(last));
            }
            sleep(limits::RETRY_PAUSE).await;
        }
    }

    /// Returns when membership gives `node` up, which it may do before the attempt's time is up.
    async fn dies(&self, node: NodeId) {
        let mut peers = self.peers.clone();
        if is_dead(&peers.borrow(), node) {
            // Tried all the same, there being nobody else.
            return std::future::pending().await;
        }
        if peers.wait_for(|peers| is_dead(peers, node)).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    async fn ask(&self, node: NodeId, request: &StoreRequest) -> Result<StoreReply, Failed> {
        let transport = self.transport.as_ref();
        let deadline = limits::ATTEMPT_TIMEOUT;
        store_protocol::ask(transport, self.epochs(), node, request, deadline)
            .await
            .map_err(Failed::from)
    }

    async fn open(&self, node: NodeId, request: &StreamRequest) -> Result<BoxedStream, Failed> {
        let header = codec::encode(&(self.epochs().map(Epochs::own), request))
            .map_err(|error| Failed::Final(StoreError::Invalid(error.to_string())))?;
        self.transport
            .open(node, Protocol::Store, header, limits::ATTEMPT_TIMEOUT)
            .await
            .map_err(failed)
    }

    async fn list_from(&self, node: NodeId, request: &StreamRequest) -> Result<Listing, Failed> {
        let mut stream = self.open(node, request).await?;
        let mut records = Vec::new();
        // Until the first part the peer may be waiting for its leader; then it only sends.
        let mut patience = limits::READ_TIMEOUT;
        loop {
            let part = receive(&mut stream, patience).await?;
            patience = limits::STREAM_IDLE;
            match part {
                ListPart::Records(part) => records.extend(part),
                ListPart::End { revision, remaining } => {
                    return Ok(Listing { records, revision, remaining });
                }
                ListPart::Refused(refusal) => return Err(refusal.into()),
            }
        }
    }

    async fn watch_from(
        &self,
        node: NodeId,
        request: &StreamRequest,
    ) -> Result<WatchStream, Failed> {
        let mut stream = self.open(node, request).await?;
        match receive(&mut stream, limits::READ_TIMEOUT).await? {
            WatchPart::Started => {}
            WatchPart::Refused(refusal) => return Err(refusal.into()),
            WatchPart::Batch(_) => {
                return Err(Failed::Unknown(format!("node {node} sent a batch too early")));
            }
        }
        Ok(Box::pin(futures::stream::unfold(Some(stream), |stream| async move {
            let mut stream = stream?;
            let error = match receive(&mut stream, limits::STREAM_IDLE).await {
                Ok(WatchPart::Batch(batch)) => return Some((Ok(batch), Some(stream))),
                Ok(WatchPart::Refused(Refusal::Store(error)))
                | Err(Failed::Final(error) | Failed::NoQuorum(error)) => error,
                Ok(WatchPart::Refused(refusal)) => StoreError::Unavailable(refusal.to_string()),
                Ok(WatchPart::Started) => {
                    StoreError::Unavailable("the watch started twice".to_owned())
                }
                Err(Failed::Refused(reason) | Failed::Unknown(reason)) => {
                    StoreError::Unavailable(reason)
                }
            };
            Some((Err(error), None))
        })))
    }
}

/// Peers in the order to ask them: the one that served last, then the other living ones; the dead
/// only if all are.
fn order(peers: &[crate::PeerState], preferred: Option<NodeId>, own: NodeId) -> Vec<NodeId> {
    let mut others: Vec<_> = peers.iter().filter(|peer| peer.id != own).collect();
    if others.iter().any(|peer| peer.alive) {
        others.retain(|peer| peer.alive);
    }
    others.sort_by_key(|peer| (Some(peer.id) != preferred || !peer.alive, !peer.alive));
    others.into_iter().map(|peer| peer.id).collect()
}

async fn receive<T: DeserializeOwned>(
    stream: &mut BoxedStream,
    patience: Duration,
) -> Result<T, Failed> {
    frames::read(stream, patience).await.map_err(|error| Failed::Unknown(error.to_string()))
}

fn failed(error: RpcError) -> Failed {
    Failed::Unknown(error.to_string())
}

impl From<Refusal> for Failed {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NotLeader(_) | Refusal::NoReplica | Refusal::OtherEpoch(_) => {
                Self::Refused(refusal.to_string())
            }
            Refusal::Store(error @ StoreError::NoQuorum { .. }) => Self::NoQuorum(error),
            // The replica asked was left behind; the others may not be.
            Refusal::Store(error @ StoreError::Outdated { .. }) => Self::Refused(error.to_string()),
            // A replica with a broken disk; the others' are not.
            Refusal::Store(StoreError::Unavailable(reason) | StoreError::Storage(reason)) => {
                Self::Unknown(reason)
            }
            Refusal::Store(error) => Self::Final(error),
        }
    }
}

#[async_trait]
impl StoreClient for RemoteStore {
    async fn write(&self, transaction: Transaction) -> Result<Vec<Revision>, StoreError> {
        transaction.validate()?;
        let request = &StoreRequest::Write(transaction);
        let reply = self.try_each(limits::WRITE_TIMEOUT, |node| self.ask(node, request)).await?;
        match reply {
            StoreReply::Written(revisions) => Ok(revisions),
            other => Err(unexpected(&other)),
        }
    }

    async fn get(
        &self,
        key: &Key,
        consistency: Consistency,
    ) -> Result<(Option<Record>, Revision), StoreError> {
        let request = &StoreRequest::Get(key.clone(), consistency);
        match self.try_each(limits::READ_TIMEOUT, |node| self.ask(node, request)).await? {
            StoreReply::Object(record, revision) => Ok((record, revision)),
            other => Err(unexpected(&other)),
        }
    }

    async fn list(
        &self,
        range: &KeyRange,
        options: ListOptions,
        consistency: Consistency,
    ) -> Result<Listing, StoreError> {
        let request = &StreamRequest::list(range.clone(), options, consistency);
        self.try_each(limits::READ_TIMEOUT, |node| self.list_from(node, request)).await
    }

    async fn watch(&self, range: &KeyRange, from: Revision) -> Result<WatchStream, StoreError> {
        let request = &StreamRequest::Watch(range.clone(), from);
        self.try_each(limits::READ_TIMEOUT, |node| self.watch_from(node, request)).await
    }
}

fn unexpected(reply: &StoreReply) -> StoreError {
    StoreError::Unavailable(store_protocol::unexpected(reply).to_string())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use bytes::Bytes;
    use skein_net::{Handler, MemoryNetwork};

    use super::*;
    use crate::PeerState;
    use skein_store::{Operation, Precondition};

    /// Answers one after the other, and the last again and again.
    struct Script(Vec<Result<StoreReply, Refusal>>, AtomicUsize);

    #[async_trait]
    impl Handler for Script {
        async fn request(&self, _from: NodeId, _body: Bytes) -> Result<Bytes, String> {
            let turn = self.1.fetch_add(1, Ordering::Relaxed).min(self.0.len() - 1);
            codec::encode(&self.0[turn]).map_err(|error| error.to_string())
        }
    }

    /// What a write comes to when the other nodes, asked in turn, give these answers each.
    async fn write_answered(nodes: Vec<Vec<Refusal>>) -> StoreError {
        let network = MemoryNetwork::new(1);
        let near = network.transport(NodeId(1));
        let (mut peers, mut running) = (Vec::new(), Vec::new());
        for (id, answers) in (2..).zip(nodes) {
            let answers = answers.into_iter().map(Err).collect();
            let far = network.transport(NodeId(id));
            far.register(Protocol::Store, Arc::new(Script(answers, AtomicUsize::new(0))));
            running.push(far);
            peers.push(PeerState {
                id: NodeId(id),
                name: format!("h{id}"),
                addr: network.address(NodeId(id)).unwrap(),
                alive: true,
                zone: String::new(),
                witness: false,
                removed: false,
            });
        }
        let (_sender, peers) = watch::channel(Arc::new(peers));
        let put = Operation::Put {
            key: Key::new("pods", "default", "a"),
            value: "1".into(),
            when: Precondition::Any,
        };
        RemoteStore::new(near, peers).write(Transaction::new(vec![put])).await.unwrap_err()
    }

    fn lost() -> Refusal {
        StoreError::Unavailable("lost".to_owned()).into()
    }

    #[tokio::test(start_paused = true)]
    async fn overload_says_that_nothing_was_written_only_of_the_first_attempt() {
        let overloaded = || Refusal::from(StoreError::Overloaded);
        assert_eq!(write_answered(vec![vec![overloaded()]]).await, StoreError::Overloaded);
        let refused = vec![vec![Refusal::NoReplica], vec![overloaded()]];
        assert_eq!(write_answered(refused).await, StoreError::Overloaded);
        let later = write_answered(vec![vec![lost(), overloaded()]]).await;
        assert!(matches!(later, StoreError::Unavailable(_)), "{later}");
        assert!(matches!(
            Refusal::from(StoreError::Overloaded).after_an_attempt(),
            Refusal::Store(StoreError::Unavailable(_))
        ));
    }

    #[tokio::test(start_paused = true)]
    async fn a_lost_quorum_says_that_nothing_was_written_only_if_nothing_was_attempted() {
        let missing = vec![NodeId(3)];
        let no_quorum = || Refusal::from(StoreError::NoQuorum { missing: missing.clone() });
        let refused = vec![vec![no_quorum()], vec![Refusal::NoReplica]];
        let told = write_answered(refused).await;
        assert_eq!(told, StoreError::NoQuorum { missing: missing.clone() });
        // Whichever is asked first, and at once when everybody says so.
        for attempted in
            [vec![vec![lost(), no_quorum()]], vec![vec![no_quorum()], vec![lost(), no_quorum()]]]
        {
            let asked_at = Instant::now();
            let told = write_answered(attempted).await;
            assert!(matches!(told, StoreError::Unavailable(_)), "{told}");
            assert!(asked_at.elapsed() < Duration::from_secs(1), "{:?}", asked_at.elapsed());
        }
    }

    #[test]
    fn the_peer_that_served_last_is_asked_first_unless_it_is_dead() {
        let peer = |id, alive| PeerState {
            id: NodeId(id),
            name: format!("h{id}"),
            addr: ([10, 77, 0, 1], 7600).into(),
            alive,
            zone: String::new(),
            witness: false,
            removed: false,
        };
        let peers = [peer(1, true), peer(2, false), peer(3, true), peer(4, true)];
        let ids = |nodes: Vec<NodeId>| nodes.into_iter().map(|node| node.0).collect::<Vec<_>>();
        assert_eq!(ids(order(&peers, None, NodeId(1))), [3, 4]);
        assert_eq!(ids(order(&peers, Some(NodeId(4)), NodeId(1))), [4, 3]);
        assert_eq!(ids(order(&peers, Some(NodeId(2)), NodeId(1))), [3, 4]);
        assert_eq!(ids(order(&[peer(1, true), peer(2, false)], None, NodeId(1))), [2]);
    }
}
