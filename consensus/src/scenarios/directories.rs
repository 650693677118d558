//! Real files, real threads and the real clock.

use std::{collections::BTreeMap, sync::Arc};

use skein_net::{MemoryNetwork, NodeId};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Duration, Instant, timeout},
};

use super::cluster::{key, put};
use crate::{PeerState, Peers, RaftStatus, Replica, ReplicaConfig};
use skein_store::{Consistency, Disk, StartError};

const CLIENTS: usize = 32;
const WRITES: usize = 20;

struct Hosts {
    network: MemoryNetwork,
    directory: tempfile::TempDir,
    peers: watch::Sender<Peers>,
    replicas: BTreeMap<u64, Replica>,
}

impl Hosts {
    fn new() -> Self {
        let (network, peers) = (MemoryNetwork::new(1), watch::Sender::default());
        let directory = tempfile::tempdir().unwrap();
        Self { network, directory, peers, replicas: BTreeMap::new() }
    }

    async fn open(&self, id: u64, cluster: &str) -> Result<Replica, StartError> {
        let disk = Disk::Directory(self.directory.path().join(id.to_string()));
        let config = ReplicaConfig::new(disk, cluster);
        Replica::start(config, self.network.transport(NodeId(id)), self.peers.subscribe()).await
    }

    async fn start(&mut self, id: u64) {
        let replica = self.open(id, "test").await.unwrap();
        self.replicas.insert(id, replica);
        let addr = self.network.address(NodeId(id)).unwrap();
        self.peers.send_modify(|peers| {
            let mut list: Vec<PeerState> = peers.to_vec();
            list.retain(|peer| peer.id != NodeId(id));
            list.push(PeerState {
                id: NodeId(id),
                name: format!("h{id}"),
                addr,
                alive: true,
                zone: String::new(),
                witness: false,
                removed: false,
            });
            *peers = Arc::new(list);
        });
    }

    async fn until(&self, id: u64, wanted: impl Fn(&RaftStatus) -> bool) {
        let mut status = self.replicas[&id].status();
        let reached = status.wait_for(|now| wanted(now));
        timeout(Duration::from_secs(60), reached).await.unwrap().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hosts_write_together_stop_and_come_back_with_everything() {
    let mut hosts = Hosts::new();
    for id in 1..=3 {
        hosts.start(id).await;
        if id == 1 {
            hosts.replicas[&1].initialize().await.unwrap();
        }
    }
    hosts.until(3, |status| status.voters.len() == 3 && !status.changing).await;

    let (mut clients, began) = (JoinSet::new(), Instant::now());
    for client in 0..CLIENTS {
        let store = hosts.replicas[&(client as u64 % 3 + 1)].client();
        clients.spawn(async move {
            for index in 0..WRITES {
                store.write(put(format!("c{client}-{index}"), vec![b'x'; 512])).await.unwrap();
            }
        });
    }
    clients.join_all().await;
    println!("{} durable writes in {:?}", CLIENTS * WRITES, began.elapsed());

    for (_, replica) in std::mem::take(&mut hosts.replicas) {
        replica.shutdown().await;
    }
    let refused = hosts.open(1, "another").await.err().unwrap();
    assert!(matches!(refused, StartError::OtherCluster { .. }), "{refused}");
    for id in 1..=3 {
        hosts.start(id).await;
    }
    for id in 1..=3 {
        let store = hosts.replicas[&id].client();
        for client in 0..CLIENTS {
            let last = key(format!("c{client}-{}", WRITES - 1));
            let (record, _) = store.get(&last, Consistency::Linearizable).await.unwrap();
            assert!(record.is_some(), "{last} on {id}");
        }
    }
    for (_, replica) in std::mem::take(&mut hosts.replicas) {
        replica.shutdown().await;
    }
}

#[tokio::test]
async fn a_lone_voter_leads_again_after_a_restart() {
    let mut hosts = Hosts::new();
    hosts.start(1).await;
    hosts.replicas[&1].initialize().await.unwrap();
    hosts.until(1, RaftStatus::is_leader).await;
    hosts.replicas.remove(&1).unwrap().shutdown().await;
    hosts.start(1).await;
    hosts.until(1, RaftStatus::is_leader).await;
    hosts.replicas[&1].client().write(put("a", "1")).await.unwrap();
}
