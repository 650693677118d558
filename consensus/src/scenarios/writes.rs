//! Writes in line, and what becomes of those nobody waits for any more.

use futures::future::join_all;
use skein_net::{NodeId, Protocol};
use tokio::time::{Duration, Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::cluster::{Cluster, key, put};
use crate::{
    limits,
    store_protocol::{self, StoreRequest},
    writes::{self, Writes},
};
use skein_store::{Consistency, Operation, Precondition, StoreError, Transaction};

#[tokio::test(start_paused = true)]
async fn a_write_that_its_caller_gave_up_in_the_line_is_not_proposed() {
    let cluster = Cluster::start(71, 1).await;
    cluster.leader().await;
    let (writes, line) = Writes::new();
    let mut given_up = Box::pin(writes.submit(put("a", "1")));
    assert!(futures::poll!(&mut given_up).is_pending());
    drop(given_up);
    let raft = cluster.replica(1).store().parts.raft;
    let end = CancellationToken::new();
    let proposing = async {
        writes.submit(put("b", "1")).await.unwrap();
        end.cancel();
    };
    tokio::join!(proposing, writes::propose_all(raft, line, end.clone()));
    let store = cluster.store(1);
    let (given_up, _) = store.get(&key("a"), Consistency::Linearizable).await.unwrap();
    let (waited_for, _) = store.get(&key("b"), Consistency::Linearizable).await.unwrap();
    assert!(given_up.is_none() && waited_for.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_replica_works_no_longer_at_a_peers_write_than_the_peer_waits() {
    let cluster = Cluster::with_voters(72, 3, 3).await;
    let leader = cluster.leader().await;
    let follower = cluster.running().into_iter().find(|id| *id != leader).unwrap();
    cluster.network.cut(NodeId(leader), NodeId(follower));
    let outsider = cluster.network.transport(NodeId(99));
    let (asked_at, request) = (Instant::now(), StoreRequest::Write(put("a", "1")));
    let patience = Duration::from_secs(60);
    let asked = store_protocol::ask(&*outsider, None, NodeId(follower), &request, patience).await;
    assert!(asked.is_err(), "{asked:?}");
    assert!(asked_at.elapsed() < limits::ATTEMPT_TIMEOUT * 2, "{:?}", asked_at.elapsed());
}

#[tokio::test(start_paused = true)]
async fn what_waits_at_a_follower_goes_to_the_leader_in_one_message() {
    let cluster = Cluster::with_voters(73, 3, 3).await;
    let leader = cluster.leader().await;
    let follower = cluster.running().into_iter().find(|id| *id != leader).unwrap();
    let store = cluster.store(follower);
    let sent = || cluster.network.sent(NodeId(follower), Protocol::Store).messages;
    let before = sent();
    let writes = (0..100).map(|name| store.write(put(name.to_string(), "1")));
    for written in join_all(writes).await {
        written.unwrap();
    }
    assert_eq!(sent() - before, 1);
    // Each is judged on its own.
    let again = Transaction::new(vec![Operation::Put {
        key: key("0"),
        value: "2".into(),
        when: Precondition::Absent,
    }]);
    let (refused, written) = tokio::join!(store.write(again), store.write(put("1", "2")));
    assert!(matches!(refused, Err(StoreError::PreconditionFailed { .. })), "{refused:?}");
    written.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_message_to_the_leader_that_nobody_waits_for_gives_its_place_back() {
    let cluster = Cluster::with_voters(74, 3, 3).await;
    let leader = cluster.leader().await;
    let follower = cluster.running().into_iter().find(|id| *id != leader).unwrap();
    let forwards = cluster.replica(follower).store().forwards;
    cluster.network.cut(NodeId(follower), NodeId(leader));
    for name in 0..limits::FORWARDS_IN_FLIGHT {
        let given_up = forwards.submit(put(name.to_string(), "1"));
        timeout(Duration::from_millis(1), given_up).await.unwrap_err();
    }
    cluster.network.heal(NodeId(follower), NodeId(leader));
    let asked_at = Instant::now();
    forwards.submit(put("waited for", "1")).await.unwrap();
    assert!(asked_at.elapsed() < limits::ATTEMPT_TIMEOUT / 2, "{:?}", asked_at.elapsed());
}
