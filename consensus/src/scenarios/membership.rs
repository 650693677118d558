//! The group grows with the cluster, survives its leaders and replaces its dead.

use std::{io::ErrorKind, sync::Arc};

use futures::StreamExt;
use skein_net::NodeId;
use tokio::time::Instant;

use super::cluster::{Cluster, end_of, key, put, watch};
use crate::{NodeStore, RaftStatus, Role};
use skein_store::{Consistency, DiskAction, DiskOperation, SharedStore, StoreError};

#[tokio::test(start_paused = true)]
async fn voters_grow_from_one_to_five_as_hosts_join_and_two_stand_by() {
    let mut cluster = Cluster::start(1, 1).await;
    cluster.store(1).write(put("a", "1")).await.unwrap();
    cluster.add(2).await;
    cluster.until(1, "had a standby", |s| s.learners == [NodeId(2)]).await;
    assert_eq!(cluster.status(1).voters.len(), 1);
    cluster.add(3).await;
    cluster.settled(3).await;
    for id in 4..=7 {
        cluster.add(id).await;
    }
    cluster.until(1, "had five voters", |s| s.voters.len() == 5 && s.learners.len() == 2).await;
    cluster.settled(5).await;
    for id in 1..=7 {
        let (record, _) =
            cluster.store(id).get(&key("a"), Consistency::Linearizable).await.unwrap();
        assert_eq!(record.unwrap().value, "1");
    }
}

#[tokio::test(start_paused = true)]
async fn a_killed_leader_is_replaced_within_a_second() {
    let mut cluster = Cluster::with_voters(2, 3, 3).await;
    let leader = cluster.leader().await;
    let other = cluster.running().into_iter().find(|id| *id != leader).unwrap();
    let store = cluster.store(other);
    store.write(put("a", "1")).await.unwrap();
    cluster.crash(leader).await;
    let killed = Instant::now();
    store.write(put("a", "2")).await.unwrap();
    assert!(killed.elapsed().as_millis() < 1_000, "{:?}", killed.elapsed());
    let (record, _) = store.get(&key("a"), Consistency::Linearizable).await.unwrap();
    assert_eq!(record.unwrap().value, "2");
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_stops_hands_over_first() {
    let mut cluster = Cluster::with_voters(3, 3, 3).await;
    let leader = cluster.leader().await;
    let other = cluster.running().into_iter().find(|id| *id != leader).unwrap();
    let store = cluster.store(other);
    cluster.stop(leader).await;
    let stopped = Instant::now();
    store.write(put("a", "1")).await.unwrap();
    assert!(stopped.elapsed().as_millis() < 300, "{:?}", stopped.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_voter_dead_for_long_is_replaced_by_a_standby() {
    let mut cluster = Cluster::with_voters(4, 4, 3).await;
    let leader = cluster.leader().await;
    cluster.until(leader, "had a standby", |s| s.learners.len() == 1).await;
    let status = cluster.status(leader);
    let dead = status.voters.iter().find(|id| id.0 != leader).unwrap().0;
    cluster.crash(dead).await;
    let standby = status.learners[0];
    cluster
        .until(leader, "replaced the dead voter", |s| {
            s.voters.contains(&standby) && !s.voters.contains(&NodeId(dead))
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_voter_whose_replica_has_failed_on_a_living_host_is_replaced() {
    let cluster = Cluster::with_voters(12, 4, 3).await;
    let leader = cluster.leader().await;
    let status = cluster.until(leader, "had a standby", |s| s.learners.len() == 1).await;
    let (failed, standby) = (status.voters.iter().find(|id| id.0 != leader), status.learners[0]);
    let failed = *failed.unwrap();
    cluster.disk(failed.0).set_fault(Some(Arc::new(|operation: &DiskOperation<'_>| {
        matches!(operation.action, DiskAction::Sync).then_some(ErrorKind::Other)
    })));
    cluster.store(leader).write(put("a", "1")).await.unwrap();
    cluster.until(failed.0, "failed", |s| s.failure.is_some()).await;
    cluster
        .until(leader, "replaced the failed voter", |s| {
            s.voters.contains(&standby) && !s.voters.contains(&failed)
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn the_watches_of_a_node_that_lost_its_place_go_elsewhere() {
    // Seven have places, so that one waits for a place.
    let cluster = Cluster::start(6, 8).await;
    let full = |s: &RaftStatus| s.voters.len() == 5 && s.learners.len() == 2;
    let standby = cluster.until(1, "had its members", full).await.learners[0];
    let store: SharedStore = NodeStore::new(cluster.replica(standby.0), cluster.peers());
    cluster.until(standby.0, "followed", |s| s.quorum).await;
    let mut silent = watch(&store).await;
    // Taken for dead and removed, although it lives.
    cluster.tell(standby.0, false);
    tokio::time::sleep(super::cluster::PATIENCE).await;
    cluster.until(1, "removed the standby", |s| !s.learners.contains(&standby)).await;
    assert!(matches!(end_of(&mut silent).await, StoreError::Unavailable(_)));
    let mut moved = watch(&store).await;
    cluster.store(1).write(put("b", "1")).await.unwrap();
    let news = async { while moved.next().await.unwrap().unwrap().events.is_empty() {} };
    tokio::time::timeout(super::cluster::PATIENCE, news).await.expect("no news came");
}

#[tokio::test(start_paused = true)]
async fn the_watches_of_a_node_come_home_once_it_has_a_replica() {
    // Seven have places, so that one waits for a place.
    let cluster = Cluster::start(16, 8).await;
    let full = |s: &RaftStatus| s.voters.len() == 5 && s.learners.len() == 2;
    let status = cluster.until(1, "had its members", full).await;
    let has_place = |id: u64| status.voters.iter().chain(&status.learners).any(|one| one.0 == id);
    let outside = cluster.running().into_iter().find(|id| !has_place(*id));
    let outside = outside.expect("seven places are too few for eight nodes");
    let store: SharedStore = NodeStore::new(cluster.replica(outside), cluster.peers());
    let mut away = watch(&store).await;
    cluster.store(1).write(put("a", "1")).await.unwrap();
    while away.next().await.unwrap().unwrap().events.is_empty() {}
    cluster.tell(status.learners[0].0, false);
    tokio::time::sleep(super::cluster::PATIENCE).await;
    cluster.until(outside, "had the place of the dead", |s| s.initialized && s.quorum).await;
    let end = async {
        while let Some(batch) = away.next().await {
            batch.unwrap();
        }
    };
    tokio::time::timeout(super::cluster::PATIENCE, end).await.expect("it never came home");
    let mut home = watch(&store).await;
    cluster.store(1).write(put("b", "1")).await.unwrap();
    while home.next().await.unwrap().unwrap().events.is_empty() {}
}

#[tokio::test(start_paused = true)]
async fn a_watch_outlives_an_election() {
    let mut cluster = Cluster::with_voters(7, 3, 3).await;
    let leader = cluster.leader().await;
    let other = cluster.running().into_iter().find(|id| *id != leader).unwrap();
    let mut watch = watch(&cluster.store(other)).await;
    cluster.crash(leader).await;
    cluster.store(other).write(put("b", "1")).await.unwrap();
    while watch.next().await.unwrap().unwrap().events.is_empty() {}
}

#[tokio::test(start_paused = true)]
async fn an_isolated_voter_does_not_depose_the_leader_when_it_returns() {
    let cluster = Cluster::with_voters(5, 3, 3).await;
    let leader = cluster.leader().await;
    let term = cluster.status(leader).term;
    let lonely = cluster.running().into_iter().find(|id| *id != leader).unwrap();
    cluster.network.isolate(NodeId(lonely));
    cluster.until(lonely, "noticed its isolation", |s| !s.quorum).await;
    tokio::time::sleep(super::cluster::PATIENCE).await;
    cluster.network.heal_all();
    cluster.until(lonely, "followed again", |s| s.quorum && s.role == Role::Follower).await;
    assert_eq!(cluster.leader().await, leader);
    assert_eq!(cluster.status(leader).term, term);
}

#[tokio::test(start_paused = true)]
async fn a_removed_leader_hands_over_and_is_out_for_good() {
    let cluster = Cluster::with_voters(8, 4, 3).await;
    let leader = cluster.leader().await;
    cluster.until(leader, "had a standby", |s| s.learners.len() == 1).await;
    let mut decisions = cluster.replica(leader).decisions();
    cluster.change(leader, |peer| peer.removed = true);
    let other = cluster.running().into_iter().find(|id| *id != leader).unwrap();
    let gone = NodeId(leader);
    cluster
        .until(other, "let the removed host go", |s| {
            s.voters.len() == 3 && !s.voters.contains(&gone) && !s.learners.contains(&gone)
        })
        .await;
    assert_ne!(cluster.leader().await, leader);
    let told = decisions.recv().await.unwrap();
    assert_eq!((told.node, told.reason), (gone, "LeadershipHandedOver"));
    tokio::time::sleep(super::cluster::PATIENCE).await;
    let status = cluster.status(other);
    assert!(!status.voters.contains(&gone) && !status.learners.contains(&gone), "{status:?}");
}

#[tokio::test(start_paused = true)]
async fn two_hosts_are_warned_and_a_witness_makes_them_three_voters() {
    let mut cluster = Cluster::start(9, 1).await;
    let mut decisions = cluster.replica(1).decisions();
    cluster.add(2).await;
    let warned = async { while decisions.recv().await.unwrap().reason != "TwoHosts" {} };
    tokio::time::timeout(super::cluster::PATIENCE, warned).await.expect("no warning came");
    cluster.add(3).await;
    cluster.change(3, |peer| peer.witness = true);
    cluster.settled(3).await;
    let relieved = async { while decisions.recv().await.unwrap().reason != "EnoughHosts" {} };
    tokio::time::timeout(super::cluster::PATIENCE, relieved).await.expect("nothing was taken back");
    cluster.crash(1).await;
    let leader = cluster.leader().await;
    cluster.store(leader).write(put("a", "1")).await.unwrap();
    cluster.until(2, "led, and not the witness", RaftStatus::is_leader).await;
}

#[tokio::test(start_paused = true)]
async fn a_host_that_comes_back_wiped_is_a_new_host_and_takes_a_place() {
    let mut cluster = Cluster::with_voters(10, 3, 3).await;
    let leader = cluster.leader().await;
    let wiped = cluster.running().into_iter().find(|id| *id != leader).unwrap();
    cluster.crash(wiped).await;
    // A wiped disk has another key, and so another id.
    cluster.add(9).await;
    cluster
        .until(leader, "put the new host in the old one's place", |s| {
            s.voters.contains(&NodeId(9)) && !s.voters.contains(&NodeId(wiped))
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_new_leader_knows_since_when_the_dead_are_dead() {
    let mut cluster = Cluster::with_voters(11, 7, 5).await;
    let leader = cluster.leader().await;
    let dead = cluster.status(leader).voters.iter().find(|id| id.0 != leader).unwrap().0;
    cluster.crash(dead).await;
    let died = Instant::now();
    tokio::time::sleep(tokio::time::Duration::from_secs(20)).await;
    cluster.replica(leader).hand_over().await;
    let heir = cluster.leader().await;
    assert_ne!(heir, leader);
    cluster.until(heir, "replaced the dead", |s| !s.voters.contains(&NodeId(dead))).await;
    assert!(died.elapsed().as_secs() < 35, "{:?}", died.elapsed());
}
