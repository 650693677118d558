//! Membership over real sockets: what the paused clock cannot show.

use super::*;
use crate::{Membership, MembershipConfig};

/// A node that takes part in membership on its own runtime.
async fn take_part(nodes: &OverQuic, node: usize, seed: usize) -> Membership {
    let config = MembershipConfig {
        cluster_id: "c1".into(),
        name: format!("h{node}"),
        generation: 1,
        advertise: nodes.address(node),
        seeds: vec![nodes.address(seed)],
        peer_store: None,
    };
    let transport = nodes.transport(node);
    let process = nodes.processes[node].as_ref().unwrap();
    let starting = async move {
        let tasks = TaskTracker::new();
        Membership::start(config, transport, &tasks, CancellationToken::new()).await
    };
    process.runtime.spawn(starting).await.unwrap().unwrap()
}

async fn sees_alive(membership: &Membership, count: usize, within: Duration) {
    let mut members = membership.members();
    let alive = |members: &Arc<Vec<crate::Member>>| members.iter().filter(|m| m.alive).count();
    let seen = timeout(within, members.wait_for(|members| alive(members) == count)).await;
    assert!(seen.is_ok(), "{:?}", membership.members().borrow());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_process_is_seen_dead_and_its_successor_alive() {
    let mut nodes = OverQuic::start(3).await;
    let mut all = Vec::new();
    for node in 0..3 {
        all.push(take_part(&nodes, node, 0).await);
    }
    for membership in &all {
        sees_alive(membership, 3, 2 * SOON).await;
    }
    nodes.kill(2).await;
    for membership in &all[..2] {
        sees_alive(membership, 2, SOON).await;
    }
    nodes.restart(2).await;
    let again = take_part(&nodes, 2, 0).await;
    for membership in all[..2].iter().chain([&again]) {
        sees_alive(membership, 3, 2 * SOON).await;
    }
}

/// Over real sockets a crash costs no more than over simulated ones; the bound is wide because the
/// machine that runs this may be busy, but silence alone would take longer.
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_process_is_known_long_before_its_silence_would_tell() {
    let mut nodes = OverQuic::start(3).await;
    let mut all = Vec::new();
    for node in 0..3 {
        all.push(take_part(&nodes, node, 0).await);
    }
    for membership in &all {
        sees_alive(membership, 3, 2 * SOON).await;
    }
    let killed = Instant::now();
    nodes.kill(2).await;
    for membership in &all[..2] {
        sees_alive(membership, 2, SOON).await;
    }
    let took = killed.elapsed();
    println!("known after {took:?}");
    assert!(took < Duration::from_secs(1), "{took:?}");
    let beliefs = all[0].beliefs();
    let dead = beliefs.iter().find(|belief| belief.id == nodes.id(2)).unwrap();
    assert_eq!(dead.direct, Some(crate::ProbeOutcome::Refused));
}
