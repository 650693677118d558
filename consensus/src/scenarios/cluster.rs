//! A cluster in memory that can be broken in every way and looked into.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use futures::StreamExt;
use rand::{Rng, SeedableRng, rngs::StdRng};
use skein_net::{MemoryNetwork, NodeId, Transport};
use tokio::{
    sync::watch,
    time::{Duration, timeout},
};

use crate::{PeerState, Peers, RaftStatus, RemoteStore, Replica, ReplicaConfig, Retention};
use skein_store::{
    Consistency, Disk, Key, KeyRange, MemoryDisk, Operation, Precondition, SharedStore, StartError,
    StoreError, Transaction, WatchStream,
};

/// Nothing in a healthy cluster takes this long.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

pub(super) struct Cluster {
    pub(super) network: MemoryNetwork,
    pub(super) luck: StdRng,
    nodes: BTreeMap<u64, Node>,
    peers: watch::Sender<Peers>,
    retention: Retention,
}

struct Node {
    disk: MemoryDisk,
    replica: Option<Replica>,
}

pub(super) fn key(name: impl AsRef<str>) -> Key {
    Key::new("pods", "default", name.as_ref())
}

pub(super) fn put(name: impl AsRef<str>, value: impl Into<Bytes>) -> Transaction {
    let operation = Operation::Put { key: key(name), value: value.into(), when: Precondition::Any };
    Transaction::new(vec![operation])
}

/// A watch of everything from now on.
pub(super) async fn watch(store: &SharedStore) -> WatchStream {
    let (_, now) = store.get(&key("a"), Consistency::Any).await.unwrap();
    store.watch(&KeyRange::all("pods"), now).await.unwrap()
}

/// Waits for the error that ends a watch.
pub(super) async fn end_of(watch: &mut WatchStream) -> StoreError {
    let ending = async {
        loop {
            match watch.next().await {
                Some(Ok(_)) => {}
                Some(Err(error)) => return error,
                None => panic!("the watch ended without an error"),
            }
        }
    };
    timeout(2 * PATIENCE, ending).await.expect("the watch goes on")
}

impl Cluster {
    /// `count` nodes of which the first has founded the group.
    pub(super) async fn start(seed: u64, count: u64) -> Self {
        let network = MemoryNetwork::new(seed);
        network.set_delay(Duration::from_micros(200), Duration::from_millis(2));
        let (peers, _) = watch::channel(Peers::default());
        let luck = StdRng::seed_from_u64(seed);
        let mut cluster = Self {
            network,
            luck,
            nodes: BTreeMap::new(),
            peers,
            retention: Retention { snapshot_entries: 40, keep_entries: 20 },
        };
        for id in 1..=count {
            cluster.add(id).await;
        }
        cluster.replica(1).initialize().await.unwrap();
        cluster
    }

    /// A cluster whose autopilot has made `voters` nodes vote.
    pub(super) async fn with_voters(seed: u64, count: u64, voters: usize) -> Self {
        let cluster = Self::start(seed, count).await;
        cluster.settled(voters).await;
        cluster
    }

    /// Adds a node with an empty disk, or starts one again that is down.
    pub(super) async fn add(&mut self, id: u64) {
        let disk = match self.nodes.get(&id) {
            Some(node) => node.disk.clone(),
            None => MemoryDisk::new(),
        };
        let replica = self.open(id, &disk).await.unwrap();
        self.nodes.insert(id, Node { disk, replica: Some(replica) });
    }

    /// Ends everything, so that it takes no time beside what comes next.
    pub(super) async fn end(mut self) {
        for node in self.nodes.values_mut() {
            if let Some(replica) = node.replica.take() {
                replica.abort().await;
            }
        }
    }

    /// Waits until a node asks to be started again, and does so.
    pub(super) async fn restarted(&mut self, id: u64) {
        let requested = self.replica(id).restart_requested();
        if timeout(PATIENCE, requested.cancelled()).await.is_err() {
            panic!("node {id} did not ask to be started again; it is {:?}", self.status(id));
        }
        self.replace(id).await;
    }

    /// Stops a node in order and starts it again, without anybody taking it for dead.
    pub(super) async fn replace(&mut self, id: u64) {
        let replica = self.nodes.get_mut(&id).unwrap().replica.take().unwrap();
        replica.shutdown().await;
        self.add(id).await;
    }

    async fn open(&self, id: u64, disk: &MemoryDisk) -> Result<Replica, StartError> {
        let transport = self.network.transport(NodeId(id));
        self.tell(id, true);
        let mut config = ReplicaConfig::new(Disk::Memory(disk.clone()), "test");
        config.retention = self.retention;
        Replica::start(config, transport, self.peers.subscribe()).await
    }

    /// Tells everybody that a node is alive or dead.
    pub(super) fn tell(&self, id: u64, alive: bool) {
        let address = self.network.address(NodeId(id)).unwrap();
        self.peers.send_modify(|peers| {
            let mut list: Vec<PeerState> = peers.to_vec();
            list.retain(|peer| peer.id != NodeId(id));
            list.push(PeerState {
                id: NodeId(id),
                name: format!("h{id}"),
                addr: address,
                alive,
                zone: String::new(),
                witness: false,
                removed: false,
            });
            *peers = Arc::new(list);
        });
    }

    /// Tells everybody something else about a node.
    pub(super) fn change(&self, id: u64, change: impl FnOnce(&mut PeerState)) {
        self.peers.send_modify(|peers| {
            let mut list: Vec<PeerState> = peers.to_vec();
            let peer = list.iter_mut().find(|peer| peer.id == NodeId(id)).unwrap();
            change(peer);
            *peers = Arc::new(list);
        });
    }

    /// Kills a node and cuts the power of its disk.
    pub(super) async fn crash(&mut self, id: u64) {
        self.network.crash(NodeId(id));
        let node = self.nodes.get_mut(&id).unwrap();
        let luck = &mut self.luck;
        node.disk.crash(|bytes| luck.random_range(0..=bytes));
        if let Some(replica) = node.replica.take() {
            replica.abort().await;
        }
        self.tell(id, false);
    }

    /// Stops a node in order.
    pub(super) async fn stop(&mut self, id: u64) {
        let replica = self.nodes.get_mut(&id).unwrap().replica.take().unwrap();
        replica.shutdown().await;
        self.network.crash(NodeId(id));
        self.tell(id, false);
    }

    /// Damages the state a stopped node has on disk.
    pub(super) fn damage(&self, id: u64) {
        let disk = self.disk(id);
        let names = disk.names();
        let state = names.iter().find(|name| name.contains("state")).unwrap();
        disk.truncate(state, 0);
    }

    pub(super) fn replica(&self, id: u64) -> &Replica {
        self.nodes[&id].replica.as_ref().unwrap()
    }

    pub(super) fn disk(&self, id: u64) -> &MemoryDisk {
        &self.nodes[&id].disk
    }

    pub(super) fn store(&self, id: u64) -> SharedStore {
        self.replica(id).client()
    }

    pub(super) fn peers(&self) -> watch::Receiver<Peers> {
        self.peers.subscribe()
    }

    /// A client without a replica of its own, on a node of its own.
    pub(super) fn outsider(&self, id: u64) -> SharedStore {
        let transport: Arc<dyn Transport> = self.network.transport(NodeId(id));
        RemoteStore::new(transport, self.peers.subscribe())
    }

    pub(super) fn running(&self) -> Vec<u64> {
        let running = self.nodes.iter().filter(|(_, node)| node.replica.is_some());
        running.map(|(id, _)| *id).collect()
    }

    pub(super) fn status(&self, id: u64) -> RaftStatus {
        self.replica(id).status().borrow().clone()
    }

    /// Waits until a node's status is as wanted.
    pub(super) async fn until(
        &self,
        id: u64,
        what: &str,
        wanted: impl Fn(&RaftStatus) -> bool,
    ) -> RaftStatus {
        let mut status = self.replica(id).status();
        match timeout(PATIENCE, status.wait_for(|now| wanted(now))).await {
            Ok(now) => now.unwrap().clone(),
            Err(_) => panic!("node {id} never: {what}; it is {:?}", self.status(id)),
        }
    }

    /// Waits for a leader among the running nodes that a majority agrees on.
    pub(super) async fn leader(&self) -> u64 {
        let search = async {
            loop {
                let running = self.running();
                let leads = |id: &u64| {
                    let status = self.status(*id);
                    let followers = running
                        .iter()
                        .filter(|other| {
                            let other = self.status(**other);
                            other.leader == Some(NodeId(*id)) && other.term == status.term
                        })
                        .count();
                    status.is_leader() && followers * 2 > status.voters.len()
                };
                if let Some(id) = running.iter().copied().find(leads) {
                    return id;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(PATIENCE, search).await.expect("no leader was elected")
    }

    /// Waits until every running node knows `voters` voters and no change is under way.
    pub(super) async fn settled(&self, voters: usize) {
        for id in self.running() {
            self.until(id, &format!("knew {voters} voters"), |s| {
                s.voters.len() == voters && !s.changing
            })
            .await;
        }
    }
}
