use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::time::Instant;

use super::*;
use crate::{
    Handler, Protocol, RpcError, Transport,
    contract::{Nodes, contract},
};

struct InMemory {
    network: MemoryNetwork,
    transports: Vec<Arc<MemoryTransport>>,
}

#[async_trait]
impl Nodes for InMemory {
    async fn start(count: usize) -> Self {
        let network = MemoryNetwork::new(1);
        network.set_delay(Duration::from_millis(1), Duration::from_millis(3));
        let transports = (1..=count as u64).map(|id| network.transport(NodeId(id))).collect();
        Self { network, transports }
    }

    fn id(&self, node: usize) -> NodeId {
        NodeId(node as u64 + 1)
    }

    fn transport(&self, node: usize) -> Arc<dyn Transport> {
        Arc::clone(&self.transports[node]) as Arc<dyn Transport>
    }

    fn address(&self, node: usize) -> SocketAddr {
        self.network.address(self.id(node)).unwrap()
    }

    async fn kill(&mut self, node: usize) {
        self.network.crash(self.id(node));
    }

    async fn restart(&mut self, node: usize) {
        self.transports[node] = self.network.transport(self.id(node));
    }
}

contract!(InMemory, (start_paused = true));

const A: NodeId = NodeId(1);
const B: NodeId = NodeId(2);
const DEADLINE: Duration = Duration::from_secs(1);

/// Counts the requests that reach it.
#[derive(Default)]
struct Counter(AtomicUsize);

#[async_trait]
impl Handler for Counter {
    async fn request(&self, _from: NodeId, body: Bytes) -> Result<Bytes, String> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Ok(body)
    }
}

struct Pair {
    network: MemoryNetwork,
    a: Arc<MemoryTransport>,
    served: Arc<Counter>,
    _b: Arc<MemoryTransport>,
}

impl Pair {
    fn new(seed: u64) -> Self {
        let network = MemoryNetwork::new(seed);
        let (a, b) = (network.transport(A), network.transport(B));
        let served = Arc::new(Counter::default());
        b.register(Protocol::Raft, Arc::clone(&served) as Arc<dyn Handler>);
        Self { network, a, served, _b: b }
    }

    async fn ask(&self) -> Result<Bytes, RpcError> {
        self.a.request(B, Protocol::Raft, "x".into(), DEADLINE).await
    }

    fn served(&self) -> usize {
        self.served.0.load(Ordering::SeqCst)
    }
}

#[tokio::test(start_paused = true)]
async fn delay_is_paid_both_ways() {
    let pair = Pair::new(1);
    pair.network.set_delay(Duration::from_millis(50), Duration::from_millis(50));
    let start = Instant::now();
    pair.ask().await.unwrap();
    assert_eq!(start.elapsed(), Duration::from_millis(100));
}

#[tokio::test(start_paused = true)]
async fn a_cut_link_swallows_requests_until_it_is_healed() {
    let pair = Pair::new(1);
    pair.network.cut(A, B);
    assert!(matches!(pair.ask().await, Err(RpcError::DeadlineExceeded { .. })));
    assert_eq!(pair.served(), 0);
    pair.network.heal(A, B);
    pair.ask().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_one_way_cut_lets_the_request_through_but_not_its_answer() {
    let pair = Pair::new(1);
    pair.network.cut_one_way(B, A);
    assert!(matches!(pair.ask().await, Err(RpcError::DeadlineExceeded { .. })));
    assert_eq!(pair.served(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_isolated_node_is_reached_again_when_all_is_healed() {
    let pair = Pair::new(1);
    pair.network.isolate(B);
    assert!(pair.ask().await.is_err());
    pair.network.heal_all();
    pair.ask().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_message_under_way_is_lost_when_the_link_is_cut() {
    let pair = Pair::new(1);
    pair.network.set_delay(Duration::from_millis(100), Duration::from_millis(100));
    let cut = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        pair.network.cut(A, B);
    };
    let (answer, ()) = tokio::join!(pair.ask(), cut);
    assert!(answer.is_err());
    assert_eq!(pair.served(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_repeated_request_arrives_twice_and_is_answered_once() {
    let pair = Pair::new(1);
    pair.network.set_duplication(1.0);
    pair.ask().await.unwrap();
    tokio::time::sleep(DEADLINE).await;
    assert_eq!(pair.served(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_is_said_to_a_stalled_node_waits_and_is_not_lost() {
    for stalled in [A, B] {
        let pair = Pair::new(1);
        pair.network.stall(stalled, Duration::from_millis(700));
        let start = Instant::now();
        pair.ask().await.unwrap();
        assert_eq!(start.elapsed(), Duration::from_millis(700), "{stalled}");
        pair.ask().await.unwrap();
        assert_eq!(start.elapsed(), Duration::from_millis(700), "{stalled}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_each_node_sends_is_counted() {
    let pair = Pair::new(1);
    let body = Bytes::from_static(&[0; 100]);
    pair.a.request(B, Protocol::Raft, body, DEADLINE).await.unwrap();
    let one = Traffic { messages: 1, bytes: 100 };
    assert_eq!(pair.network.sent(A, Protocol::Raft), one);
    assert_eq!(pair.network.sent(B, Protocol::Raft), one, "the answer");
    assert_eq!(pair.network.sent(A, Protocol::Gossip), Traffic::default());
    assert_eq!(pair.network.sent_between(A, B), one);
}

#[tokio::test(start_paused = true)]
async fn a_crashed_node_can_do_nothing_any_more() {
    let pair = Pair::new(1);
    pair.network.crash(A);
    assert!(matches!(pair.ask().await, Err(RpcError::Unreachable { .. })));
    assert_eq!(pair.served(), 0);
    pair.network.transport(A).request(B, Protocol::Raft, "x".into(), DEADLINE).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_gives_the_same_run() {
    async fn run(seed: u64) -> Vec<(bool, Duration)> {
        let pair = Pair::new(seed);
        pair.network.set_delay(Duration::from_millis(1), Duration::from_millis(90));
        pair.network.set_loss(0.2);
        let start = Instant::now();
        let mut trace = Vec::new();
        for _ in 0..50 {
            trace.push((pair.ask().await.is_ok(), start.elapsed()));
        }
        trace
    }
    let trace = run(7).await;
    assert_eq!(run(7).await, trace);
    assert_ne!(run(8).await, trace);
    assert!(trace.iter().any(|(answered, _)| !answered), "some are lost");
}
