//! Every way to the store keeps the same promises.

use super::cluster::Cluster;
use crate::{MemoryStore, NodeStore, contract::check};
use skein_store::SharedStore;

#[tokio::test(start_paused = true)]
async fn the_memory_store_keeps_the_contract() {
    let store: SharedStore = MemoryStore::new();
    check(&store).await;
}

#[tokio::test(start_paused = true)]
async fn a_leading_replica_keeps_the_contract() {
    let cluster = Cluster::with_voters(11, 3, 3).await;
    let leader = cluster.leader().await;
    check(&cluster.store(leader)).await;
}

#[tokio::test(start_paused = true)]
async fn a_following_replica_keeps_the_contract() {
    let cluster = Cluster::with_voters(12, 3, 3).await;
    let leader = cluster.leader().await;
    let follower = cluster.running().into_iter().find(|id| *id != leader).unwrap();
    check(&cluster.store(follower)).await;
}

#[tokio::test(start_paused = true)]
async fn a_remote_store_keeps_the_contract() {
    let cluster = Cluster::with_voters(13, 3, 3).await;
    check(&cluster.outsider(99)).await;
}

#[tokio::test(start_paused = true)]
async fn the_store_of_a_node_with_a_replica_keeps_the_contract() {
    let cluster = Cluster::with_voters(14, 3, 3).await;
    let store: SharedStore = NodeStore::new(cluster.replica(2), cluster.peers());
    check(&store).await;
}

#[tokio::test(start_paused = true)]
async fn the_store_of_a_node_without_a_replica_keeps_the_contract() {
    let cluster = Cluster::start(15, 8).await;
    cluster
        .until(1, "had its voters and standbys", |status| {
            status.voters.len() == 5 && status.learners.len() == 2
        })
        .await;
    let outside = cluster.running().into_iter().find(|id| !cluster.status(*id).initialized);
    let outside = outside.expect("seven replicas are enough for eight nodes");
    let store: SharedStore = NodeStore::new(cluster.replica(outside), cluster.peers());
    check(&store).await;
}
