//! Restarts from disk, full disks, and nodes so far behind that they need a snapshot.

use std::{io::ErrorKind, sync::Arc};

use skein_net::NodeId;
use tokio::time::{Duration, timeout};

use super::cluster::{Cluster, PATIENCE, end_of, key, put, watch};
use skein_store::{Consistency, DiskAction, DiskOperation, KeyRange, Revision, StoreError};

#[tokio::test(start_paused = true)]
async fn everything_acknowledged_is_there_after_all_hosts_lost_power() {
    let mut cluster = Cluster::with_voters(21, 3, 3).await;
    let store = cluster.store(1);
    for index in 0..100 {
        store.write(put(format!("n{index}"), index.to_string())).await.unwrap();
    }
    for id in 1..=3 {
        cluster.crash(id).await;
    }
    for id in 1..=3 {
        cluster.add(id).await;
    }
    cluster.leader().await;
    for id in 1..=3 {
        let store = cluster.store(id);
        for index in 0..100 {
            let name = format!("n{index}");
            let (record, _) = store.get(&key(name), Consistency::Linearizable).await.unwrap();
            assert_eq!(record.unwrap().value, index.to_string());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_follower_that_was_away_for_long_gets_a_snapshot() {
    let cluster = Cluster::with_voters(22, 3, 3).await;
    let leader = cluster.leader().await;
    let away = cluster.running().into_iter().find(|id| *id != leader).unwrap();
    cluster.network.isolate(NodeId(away));
    let store = cluster.store(leader);
    for index in 0..300 {
        store.write(put(format!("n{index}"), "x")).await.unwrap();
    }
    let behind = cluster.status(away).last_log;
    cluster.network.heal_all();
    let target = cluster.status(leader).last_log;
    assert!(target > behind + 200);
    cluster.until(away, "caught up", |status| status.applied >= target).await;
    let (record, _) = cluster.store(away).get(&key("n299"), Consistency::Any).await.unwrap();
    assert_eq!(record.unwrap().value, "x");
}

#[tokio::test(start_paused = true)]
async fn a_leader_with_a_full_disk_says_so_hands_over_and_follows_again_without_a_restart() {
    let cluster = Cluster::with_voters(23, 3, 3).await;
    let leader = cluster.leader().await;
    let other = cluster.running().into_iter().find(|id| *id != leader).unwrap();
    cluster.disk(leader).set_full(true);
    let large = "2".repeat(100_000);
    let written = async {
        let mut index = 0;
        while !cluster.status(leader).disk_full {
            cluster.store(other).write(put(format!("n{index}"), large.clone())).await.unwrap();
            index += 1;
        }
        cluster.store(other).write(put("a", "1")).await.unwrap();
    };
    timeout(PATIENCE, written).await.expect("the disk is not full");
    let status = cluster.until(leader, "handed over", |status| !status.is_leader()).await;
    assert!(status.failure.unwrap().contains("full"));
    let stale = cluster.store(leader).get(&key("n0"), Consistency::Any).await.unwrap();
    assert!(stale.0.is_some());
    cluster.disk(leader).set_full(false);
    cluster.until(leader, "had room again", |status| status.failure.is_none()).await;
    let (record, _) =
        cluster.store(leader).get(&key("a"), Consistency::Linearizable).await.unwrap();
    assert_eq!(record.unwrap().value, "1");
}

#[tokio::test(start_paused = true)]
async fn a_node_whose_log_is_broken_says_so_and_the_others_go_on() {
    let mut cluster = Cluster::with_voters(26, 3, 3).await;
    let leader = cluster.leader().await;
    let other = cluster.running().into_iter().find(|id| *id != leader).unwrap();
    cluster.store(other).write(put("a", "1")).await.unwrap();
    let mut watch = watch(&cluster.store(leader)).await;
    cluster.disk(leader).set_fault(Some(Arc::new(|operation: &DiskOperation<'_>| {
        matches!(operation.action, DiskAction::Sync).then_some(ErrorKind::Other)
    })));
    cluster.store(other).write(put("a", "2")).await.unwrap();
    let status = cluster.until(leader, "told of the failure", |s| s.failure.is_some()).await;
    assert!(!status.is_leader() && !status.disk_full);
    assert!(matches!(end_of(&mut watch).await, StoreError::Unavailable(_)));
    let again = cluster.store(leader).watch(&KeyRange::all("pods"), Revision(0)).await;
    assert!(matches!(again, Err(StoreError::Unavailable(_))));
    cluster.disk(leader).set_fault(None);
    cluster.crash(leader).await;
    cluster.add(leader).await;
    cluster.until(leader, "followed again", |s| s.failure.is_none() && s.quorum).await;
    let (record, _) =
        cluster.store(leader).get(&key("a"), Consistency::Linearizable).await.unwrap();
    assert_eq!(record.unwrap().value, "2");
}

#[tokio::test(start_paused = true)]
async fn a_follower_with_a_stalled_disk_answers_heartbeats_and_no_election_starts() {
    let cluster = Cluster::with_voters(27, 3, 3).await;
    let leader = cluster.leader().await;
    let term = cluster.status(leader).term;
    for id in cluster.running().into_iter().filter(|id| *id != leader) {
        cluster.disk(id).set_sync_latency(Duration::from_secs(1));
    }
    for index in 0..10 {
        cluster.store(leader).write(put(format!("n{index}"), "x")).await.unwrap();
        let status = cluster.status(leader);
        assert!(status.is_leader() && status.missing.is_empty(), "{status:?}");
    }
    assert_eq!(cluster.status(leader).term, term);
}

#[tokio::test(start_paused = true)]
async fn a_leader_whose_disk_stalls_for_long_hands_over() {
    let cluster = Cluster::with_voters(28, 3, 3).await;
    let leader = cluster.leader().await;
    let other = cluster.running().into_iter().find(|id| *id != leader).unwrap();
    cluster.disk(leader).set_sync_latency(Duration::from_secs(20));
    cluster.store(other).write(put("a", "1")).await.unwrap();
    cluster.until(other, "saw another lead", |s| s.leader.is_some_and(|id| id.0 != leader)).await;
    cluster.store(other).write(put("a", "2")).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_lost_one_of_its_two_files_names_it_and_takes_part_in_nothing() {
    for (lost, label, kept) in
        [("log-", "the raft log", "state.redb"), ("state-", "state.redb", "the raft log")]
    {
        let mut cluster = Cluster::start(25, 1).await;
        // More than is kept of the log, so that the state alone has all of it.
        for index in 0..200 {
            cluster.store(1).write(put(format!("n{index}"), "x")).await.unwrap();
        }
        cluster.stop(1).await;
        for name in cluster.disk(1).names().iter().filter(|name| name.starts_with(lost)) {
            cluster.disk(1).truncate(name, 0);
        }
        // Again: the attempt itself must not make the new file look like the old one.
        for _ in 0..2 {
            cluster.add(1).await;
            let failure = cluster.status(1).failure.unwrap();
            assert!(failure.starts_with(label) && failure.contains(kept), "{failure}");
            assert_eq!(cluster.status(1).leader, None);
            cluster.stop(1).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn stale_reads_and_watches_go_on_without_quorum() {
    let mut cluster = Cluster::with_voters(24, 3, 3).await;
    cluster.store(1).write(put("a", "1")).await.unwrap();
    let leader = cluster.leader().await;
    let survivor = cluster.running().into_iter().find(|id| *id != leader).unwrap();
    let caught_up = cluster.status(leader).last_log;
    cluster.until(survivor, "applied the write", |s| s.applied >= caught_up).await;
    for id in cluster.running() {
        if id != survivor {
            cluster.crash(id).await;
        }
    }
    let store = cluster.store(survivor);
    let (record, _) = store.get(&key("a"), Consistency::Any).await.unwrap();
    assert_eq!(record.unwrap().value, "1");
    assert!(store.get(&key("a"), Consistency::Linearizable).await.is_err());
    assert!(store.write(put("a", "2")).await.is_err());
    cluster.until(survivor, "knew that it has no quorum", |s| !s.quorum).await;
}
