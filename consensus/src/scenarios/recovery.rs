//! The majority is lost, the survivors go on, and the lost come back; damaged files.

use skein_net::NodeId;
use tokio::time::{Duration, Instant, sleep};

use super::cluster::{Cluster, key, put};
use crate::{
    RaftStatus,
    recovery::{RecoveryError, plan},
    store_protocol::{self, Refusal, StoreReply, StoreRequest},
};
use skein_store::{Consistency, Epoch, StoreError};

async fn read(cluster: &Cluster, id: u64, name: &str, consistency: Consistency) -> Option<String> {
    let (record, _) = cluster.store(id).get(&key(name), consistency).await.unwrap();
    record.map(|record| String::from_utf8(record.value.to_vec()).unwrap())
}

/// Three voters of which two have crashed; the third and the two.
async fn two_of_three_lost(seed: u64) -> (Cluster, u64, Vec<u64>) {
    let mut cluster = Cluster::with_voters(seed, 3, 3).await;
    let leader = cluster.leader().await;
    cluster.store(leader).write(put("a", "1")).await.unwrap();
    let survivor = cluster.running().into_iter().find(|id| *id != leader).unwrap();
    let last = cluster.status(leader).last_log;
    cluster.until(survivor, "had the write", |status| status.applied >= last).await;
    let lost: Vec<u64> = cluster.running().into_iter().filter(|id| *id != survivor).collect();
    for id in &lost {
        cluster.crash(*id).await;
    }
    cluster.until(survivor, "knew that the quorum is lost", |status| status.quorum_lost).await;
    (cluster, survivor, lost)
}

/// Recovers the cluster from `survivor` and restarts whoever was ordered.
async fn recover(cluster: &mut Cluster, survivor: u64) -> Epoch {
    let plan = plan(&cluster.replica(survivor).survey().await).unwrap();
    let ordered = cluster.replica(survivor).recover(&plan).await;
    for one in ordered {
        assert_eq!(one.outcome, Ok(()), "{}", one.node);
        if one.node != plan.lead {
            // What it acknowledged now it would forget.
            cluster.until(one.node.0, "was out", |s| s.outdated == Some(plan.epoch)).await;
        }
        cluster.restarted(one.node.0).await;
    }
    plan.epoch
}

#[tokio::test(start_paused = true)]
async fn without_a_quorum_writes_fail_at_once_and_name_the_missing() {
    let (cluster, survivor, lost) = two_of_three_lost(41).await;
    let store = cluster.store(survivor);
    let asked = Instant::now();
    let written = store.write(put("a", "2")).await;
    let read_back = store.get(&key("a"), Consistency::Linearizable).await.map(drop);
    let missing: Vec<NodeId> = lost.iter().copied().map(NodeId).collect();
    assert_eq!(written.unwrap_err(), StoreError::NoQuorum { missing: missing.clone() });
    assert_eq!(read_back.unwrap_err(), StoreError::NoQuorum { missing });
    assert!(asked.elapsed() < Duration::from_millis(10), "{:?}", asked.elapsed());
    assert_eq!(read(&cluster, survivor, "a", Consistency::Any).await.as_deref(), Some("1"));
    let asked = Instant::now();
    let outsider = cluster.outsider(99).write(put("a", "2")).await.unwrap_err();
    assert!(matches!(outsider, StoreError::NoQuorum { .. }), "{outsider}");
    assert!(asked.elapsed() < Duration::from_millis(100), "{:?}", asked.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_leader_cut_off_from_its_followers_refuses_within_a_second_and_resumes() {
    let mut cluster = Cluster::with_voters(42, 3, 3).await;
    let leader = cluster.leader().await;
    let others: Vec<u64> = cluster.running().into_iter().filter(|id| *id != leader).collect();
    for id in &others {
        cluster.crash(*id).await;
    }
    let crashed = Instant::now();
    cluster.until(leader, "missed its followers", |status| status.quorum_lost).await;
    assert!(crashed.elapsed() < Duration::from_secs(1), "{:?}", crashed.elapsed());
    for id in others {
        cluster.add(id).await;
    }
    cluster.until(leader, "had its quorum again", |status| status.quorum).await;
    cluster.store(leader).write(put("a", "2")).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_quorum_is_not_called_lost_while_everybody_starts() {
    let mut cluster = Cluster::with_voters(50, 3, 3).await;
    for id in 1..=3 {
        cluster.crash(id).await;
    }
    cluster.add(1).await;
    let store = cluster.store(1);
    // Membership knows nobody yet, and takes them for dead.
    let write = store.write(put("a", "1"));
    let others = async {
        sleep(Duration::from_secs(1)).await;
        cluster.add(2).await;
        cluster.add(3).await;
    };
    let (written, ()) = tokio::join!(write, others);
    written.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_survivor_of_three_goes_on_and_the_old_hosts_rejoin_by_order() {
    let (mut cluster, survivor, lost) = two_of_three_lost(43).await;
    let revision = cluster.store(survivor).write(put("x", "1")).await;
    assert!(revision.is_err());
    let epoch = recover(&mut cluster, survivor).await;
    assert_eq!(epoch, Epoch { number: 2, founder: NodeId(survivor) });
    cluster.until(survivor, "led", RaftStatus::is_leader).await;
    assert_eq!(read(&cluster, survivor, "a", Consistency::Linearizable).await.unwrap(), "1");
    let written = cluster.store(survivor).write(put("a", "2")).await.unwrap();
    assert!(written[0].0 > 1 << 32, "{written:?}");

    for id in &lost {
        cluster.add(*id).await;
    }
    for id in &lost {
        let left = cluster.until(*id, "was told", |status| status.outdated.is_some()).await;
        assert_eq!(left.outdated, Some(epoch));
        let refused = cluster.store(*id).write(put("a", "old")).await.unwrap_err();
        assert_eq!(refused, StoreError::Outdated { own: Epoch::FIRST, current: epoch });
        // Reads that may be stale go on, with what it had.
        drop(read(&cluster, *id, "a", Consistency::Any).await);
    }
    // It does not forget by being started again, nor does the old majority elect anybody.
    cluster.crash(lost[0]).await;
    cluster.add(lost[0]).await;
    assert_eq!(cluster.status(lost[0]).outdated, Some(epoch));
    for id in &lost {
        cluster.replica(*id).rejoin().await.unwrap();
        cluster.restarted(*id).await;
    }
    cluster.settled(3).await;
    for id in lost {
        assert_eq!(read(&cluster, id, "a", Consistency::Linearizable).await.unwrap(), "2");
        assert_eq!(cluster.status(id).epoch, epoch);
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_host_enters_the_epoch_by_itself() {
    let (mut cluster, survivor, _) = two_of_three_lost(44).await;
    let epoch = recover(&mut cluster, survivor).await;
    cluster.add(7).await;
    cluster.restarted(7).await;
    cluster.until(7, "followed", |status| status.quorum).await;
    assert_eq!(cluster.status(7).epoch, epoch);
    assert_eq!(read(&cluster, 7, "a", Consistency::Linearizable).await.unwrap(), "1");
}

#[tokio::test(start_paused = true)]
async fn of_two_survivors_the_fresher_leads_and_the_other_follows_it() {
    let mut cluster = Cluster::with_voters(45, 7, 5).await;
    let leader = cluster.leader().await;
    let voters: Vec<u64> = cluster.status(leader).voters.iter().map(|id| id.0).collect();
    let [stale, fresh] = voters.iter().copied().filter(|id| *id != leader).collect::<Vec<_>>()[..2]
    else {
        panic!("too few voters")
    };
    cluster.network.isolate(NodeId(stale));
    cluster.store(leader).write(put("a", "1")).await.unwrap();
    let last = cluster.status(leader).last_log;
    cluster.until(fresh, "had the write", |status| status.last_log >= last).await;
    for id in cluster.running() {
        if id != stale && id != fresh {
            cluster.crash(id).await;
        }
    }
    cluster.network.heal_all();
    cluster.until(stale, "knew that the quorum is lost", |status| status.quorum_lost).await;
    let epoch = recover(&mut cluster, stale).await;
    assert_eq!(epoch.founder, NodeId(fresh));
    cluster.until(stale, "followed", |status| status.quorum).await;
    assert_eq!(read(&cluster, stale, "a", Consistency::Linearizable).await.unwrap(), "1");
}

#[tokio::test(start_paused = true)]
async fn two_sides_that_recover_by_themselves_refuse_each_other_until_one_rejoins() {
    let mut cluster = Cluster::with_voters(46, 3, 3).await;
    let leader = cluster.leader().await;
    let others: Vec<u64> = cluster.running().into_iter().filter(|id| *id != leader).collect();
    let [one, other] = others[..] else { panic!("{others:?}") };
    cluster.crash(leader).await;
    cluster.network.cut(NodeId(one), NodeId(other));
    let mut epochs = Vec::new();
    for (id, away) in [(one, other), (other, one)] {
        cluster.tell(away, false);
        cluster.until(id, "was alone", |status| status.quorum_lost).await;
        epochs.push(recover(&mut cluster, id).await);
        cluster.until(id, "led", RaftStatus::is_leader).await;
        cluster.tell(away, true);
    }
    assert_eq!(epochs[0].number, epochs[1].number);
    assert_ne!(epochs[0], epochs[1]);
    cluster.network.heal_all();
    sleep(Duration::from_secs(10)).await;
    for id in [one, other] {
        let status = cluster.status(id);
        assert!(status.is_leader() && status.voters == [NodeId(id)], "{status:?}");
    }
    let refused = plan(&cluster.replica(one).survey().await).unwrap_err();
    assert!(matches!(refused, RecoveryError::TwoEpochs { .. }), "{refused}");
    cluster.store(other).write(put("a", "2")).await.unwrap();
    cluster.replica(one).rejoin().await.unwrap();
    cluster.restarted(one).await;
    cluster.until(one, "followed the other side", |status| status.quorum).await;
    assert_eq!(read(&cluster, one, "a", Consistency::Linearizable).await.unwrap(), "2");
}

#[tokio::test(start_paused = true)]
async fn a_cluster_with_a_quorum_is_not_recovered() {
    let cluster = Cluster::with_voters(47, 3, 3).await;
    let refused = plan(&cluster.replica(1).survey().await).unwrap_err();
    assert!(matches!(refused, RecoveryError::Led { .. }), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn a_voter_with_damaged_files_leaves_and_is_filled_anew() {
    let mut cluster = Cluster::with_voters(48, 3, 3).await;
    let leader = cluster.leader().await;
    let damaged = cluster.running().into_iter().find(|id| *id != leader).unwrap();
    for index in 0..100 {
        cluster.store(leader).write(put(format!("n{index}"), "x")).await.unwrap();
    }
    cluster.stop(damaged).await;
    cluster.damage(damaged);
    cluster.add(damaged).await;
    let failure = cluster.status(damaged).failure.unwrap();
    assert!(failure.contains("damaged"), "{failure}");
    cluster.restarted(damaged).await;
    assert_eq!(cluster.status(damaged).failure, None);
    cluster.settled(3).await;
    assert_eq!(read(&cluster, damaged, "n99", Consistency::Linearizable).await.unwrap(), "x");
}

#[tokio::test(start_paused = true)]
async fn damage_noticed_while_running_ends_as_damage_found_at_the_start() {
    let mut cluster = Cluster::with_voters(51, 3, 3).await;
    let leader = cluster.leader().await;
    let [behind, other] =
        cluster.running().into_iter().filter(|id| *id != leader).collect::<Vec<_>>()[..]
    else {
        panic!("no three voters")
    };
    cluster.network.isolate(NodeId(behind));
    // More than is kept of the log in memory.
    for index in 0..10 {
        let value = format!("needle {index} {}", "x".repeat(600_000));
        cluster.store(leader).write(put(format!("n{index}"), value)).await.unwrap();
    }
    let disk = cluster.disk(leader);
    let logs = disk.names().into_iter().filter(|name| name.contains("log-"));
    let found = logs.filter_map(|name| Some((disk.find(&name, b"needle 0")?, name))).next();
    let (offset, name) = found.expect("the entry is in no file of the log");
    assert!(disk.flip(&name, offset));
    cluster.network.heal_all();
    let failed = cluster.until(leader, "noticed", |status| status.failure.is_some()).await;
    assert!(failed.failure.as_ref().unwrap().contains("is damaged"), "{failed:?}");
    cluster.restarted(leader).await;
    let failure = cluster.status(leader).failure.unwrap();
    assert!(failure.contains("is damaged"), "{failure}");
    cluster.restarted(leader).await;
    assert_eq!(cluster.status(leader).failure, None);
    cluster.settled(3).await;
    assert!(read(&cluster, other, "n9", Consistency::Linearizable).await.is_some());
    assert!(read(&cluster, leader, "n9", Consistency::Linearizable).await.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_was_deposed_unawares_lets_no_damaged_replica_begin_anew() {
    let cluster = Cluster::with_voters(52, 3, 3).await;
    let leader = cluster.leader().await;
    for id in cluster.running().into_iter().filter(|id| *id != leader) {
        cluster.network.cut(NodeId(leader), NodeId(id));
    }
    let stranger = cluster.network.transport(NodeId(99));
    let request = &StoreRequest::Leave;
    let deadline = Duration::from_secs(10);
    let asked = store_protocol::ask(&*stranger, None, NodeId(leader), request, deadline).await;
    assert!(cluster.status(leader).is_leader());
    let unconfirmed = |asked: &Result<_, Refusal>| {
        matches!(asked, Err(Refusal::Store(StoreError::Unavailable(_))))
    };
    assert!(unconfirmed(&asked), "{asked:?}");
    cluster.network.heal_all();
    cluster.until(leader, "followed", |status| !status.is_leader() && status.quorum).await;
    let leader = cluster.leader().await;
    let asked = store_protocol::ask(&*stranger, None, NodeId(leader), request, deadline).await;
    assert!(matches!(asked, Ok(StoreReply::Left { left: true, .. })), "{asked:?}");
}

#[tokio::test(start_paused = true)]
async fn the_only_voter_with_damaged_files_stays_down_and_says_so() {
    let mut cluster = Cluster::start(49, 1).await;
    // More than is kept of the log, so that the state alone has all of it.
    for index in 0..200 {
        cluster.store(1).write(put(format!("n{index}"), "x")).await.unwrap();
    }
    cluster.stop(1).await;
    cluster.damage(1);
    cluster.add(1).await;
    sleep(Duration::from_secs(30)).await;
    assert!(cluster.status(1).failure.is_some());
    assert!(!cluster.replica(1).restart_requested().is_cancelled());
    assert!(cluster.replica(1).initialize().await.is_err(), "it founded another cluster");
}
