//! How fast leadership moves, in virtual time.

use std::sync::Arc;

use skein_net::NodeId;
use tokio::{
    task::JoinSet,
    time::{Duration, Instant, sleep},
};

use super::cluster::{Cluster, put};
use crate::RaftStatus;
use skein_store::SharedStore;

/// More are measured on real hosts; these only guard the figures.
const TRIALS: u64 = 6;

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// The median and the greatest.
fn summary(mut times: Vec<Duration>) -> (Duration, Duration) {
    times.sort_unstable();
    (times[times.len() / 2], times[times.len() - 1])
}

/// How long after a leader's death the first write through another voter is accepted, when
/// membership knows of the death after `known_after`.
async fn outage(seed: u64, known_after: Option<Duration>) -> Duration {
    let cluster = Cluster::with_voters(seed, 3, 3).await;
    let leader = cluster.leader().await;
    let other = cluster.running().into_iter().find(|id| *id != leader).unwrap();
    let store = cluster.store(other);
    store.write(put("a", "1")).await.unwrap();
    // Somewhere between two heartbeats.
    sleep(ms(seed * 7 % 50)).await;
    cluster.network.crash(NodeId(leader));
    let killed = Instant::now();
    let telling = async {
        match known_after {
            Some(after) => {
                sleep(after).await;
                cluster.tell(leader, false);
            }
            None => std::future::pending().await,
        }
    };
    let writing = store.write(put("a", "2"));
    tokio::pin!(writing);
    let written = tokio::select! {
        written = &mut writing => written,
        () = telling => writing.await,
    };
    written.unwrap();
    let outage = killed.elapsed();
    cluster.end().await;
    outage
}

#[tokio::test(start_paused = true)]
async fn a_killed_leader_costs_a_quarter_of_a_second_known_or_not() {
    let (mut unknown, mut known) = (Vec::new(), Vec::new());
    for seed in 0..TRIALS {
        unknown.push(outage(100 + seed, None).await);
        known.push(outage(200 + seed, Some(ms(100))).await);
    }
    let (unknown, known) = (summary(unknown), summary(known));
    println!("by silence: {unknown:?}, told after 100 ms: {known:?}");
    assert!(unknown.0 <= ms(300) && unknown.1 <= ms(500), "{unknown:?}");
    assert!(known.0 <= ms(200) && known.1 <= ms(300), "{known:?}");
}

/// Writes one after the other until told to stop; the longest any took.
async fn write_on(store: SharedStore, until: Instant) -> Duration {
    let mut longest = Duration::ZERO;
    while Instant::now() < until {
        let began = Instant::now();
        store.write(put("a", "x")).await.unwrap();
        longest = longest.max(began.elapsed());
    }
    longest
}

#[tokio::test(start_paused = true)]
async fn a_planned_hand_over_costs_no_write_and_less_than_fifty_milliseconds() {
    let cluster = Cluster::with_voters(61, 3, 3).await;
    let mut longest = Vec::new();
    for _ in 0..TRIALS {
        let leader = cluster.leader().await;
        let until = Instant::now() + ms(200);
        let mut writers = JoinSet::new();
        for id in cluster.running() {
            writers.spawn(write_on(cluster.store(id), until));
        }
        sleep(ms(20)).await;
        let began = Instant::now();
        cluster.replica(leader).hand_over().await;
        assert!(began.elapsed() <= ms(50), "{:?}", began.elapsed());
        assert!(!cluster.status(cluster.leader().await).voters.is_empty());
        longest.extend(writers.join_all().await);
        cluster.until(leader, "followed", |status| !status.is_leader()).await;
    }
    let (median, greatest) = summary(longest);
    println!("longest write across a hand-over: median {median:?}, greatest {greatest:?}");
    assert!(greatest <= ms(60), "{greatest:?}");
}

#[tokio::test(start_paused = true)]
async fn a_lone_voter_has_nobody_to_hand_over_to_and_goes_on() {
    let cluster = Cluster::start(62, 2).await;
    cluster.until(1, "had a standby", |status| status.learners.len() == 1).await;
    cluster.replica(1).hand_over().await;
    cluster.store(1).write(put("a", "1")).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_heir_that_cannot_win_does_not_leave_the_cluster_without_a_leader() {
    let cluster = Cluster::with_voters(63, 3, 3).await;
    let leader = cluster.leader().await;
    // The way back to the leader is cut: whoever inherits is not heard.
    for id in cluster.running().into_iter().filter(|id| *id != leader) {
        cluster.network.cut_one_way(NodeId(leader), NodeId(id));
    }
    cluster.replica(leader).hand_over().await;
    cluster.network.heal_all();
    let leader = cluster.leader().await;
    cluster.store(leader).write(put("a", "1")).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_false_report_of_the_leaders_death_deposes_nobody_that_others_hear() {
    let cluster = Cluster::with_voters(64, 3, 3).await;
    let leader = cluster.leader().await;
    let status = cluster.status(leader);
    for _ in 0..10 {
        cluster.tell(leader, false);
        sleep(ms(20)).await;
        cluster.tell(leader, true);
        sleep(ms(500)).await;
    }
    assert_eq!(cluster.status(leader).term, status.term);
    assert!(cluster.status(leader).is_leader());
}

#[tokio::test(start_paused = true)]
async fn many_losses_start_no_storm_of_elections() {
    let cluster = Cluster::with_voters(65, 5, 5).await;
    let term = cluster.status(cluster.leader().await).term;
    cluster.network.set_loss(0.1);
    sleep(Duration::from_secs(60)).await;
    cluster.network.set_loss(0.0);
    let after = cluster.status(cluster.leader().await).term;
    assert!(after - term <= 3, "{} elections in a minute", after - term);
}

#[tokio::test(start_paused = true)]
async fn after_the_leader_everybody_agrees_again() {
    let mut cluster = Cluster::with_voters(66, 5, 5).await;
    let stores: Vec<SharedStore> = (1..=5).map(|id| Arc::clone(&cluster.store(id))).collect();
    let first = cluster.leader().await;
    cluster.crash(first).await;
    let second = cluster.leader().await;
    for (id, store) in (1..=5).zip(stores).filter(|(id, _)| *id != first) {
        store.write(put("a", id.to_string())).await.unwrap();
        cluster.until(id, "followed", |s: &RaftStatus| s.leader == Some(NodeId(second))).await;
    }
}
