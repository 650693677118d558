//! What becomes of writes nobody waits for any more.

use skein_net::NodeId;
use tokio::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

use super::cluster::{Cluster, key, put};
use crate::{
    limits,
    store_protocol::{self, StoreRequest},
    writes::{self, Writes},
};
use skein_store::Consistency;

#[tokio::test(start_paused = true)]
async fn a_write_that_its_caller_gave_up_in_the_line_is_not_proposed() {
    let cluster = Cluster::start(71, 1).await;
    cluster.leader().await;
    let (writes, line) = Writes::new();
    let mut given_up = Box::pin(writes.propose(put("a", "1")));
    assert!(futures::poll!(&mut given_up).is_pending());
    drop(given_up);
    let raft = cluster.replica(1).store().parts.raft;
    let end = CancellationToken::new();
    let proposing = async {
        writes.propose(put("b", "1")).await.unwrap();
        end.cancel();
    };
    tokio::join!(proposing, writes::run(raft, line, end.clone()));
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
