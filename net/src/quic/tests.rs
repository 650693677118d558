use std::{net::Ipv4Addr, time::SystemTime};

use tokio::runtime::{Builder, Runtime};

use super::*;
use crate::{
    CertificateRequest, ClusterCa, NodeKey, NodeSubject,
    contract::{Echo, Nodes, contract},
};

mod join;
mod trust;

const SOON: Duration = Duration::from_secs(5);
const DAY: Duration = Duration::from_secs(24 * 3600);
const ANY_PORT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

fn ca() -> ClusterCa {
    ClusterCa::generate("test", SystemTime::now() - 30 * DAY).unwrap()
}

fn certificate(ca: &ClusterCa, key: &NodeKey, now: SystemTime) -> String {
    let request = CertificateRequest::parse(&key.certificate_request().unwrap()).unwrap();
    let subject = NodeSubject { name: "h1".into(), ..NodeSubject::default() };
    ca.issue_node(&request, &subject, DAY, now).unwrap()
}

fn identity(ca: &ClusterCa, now: SystemTime) -> Identity {
    let key = NodeKey::generate().unwrap();
    let pem = certificate(ca, &key, now);
    Identity::new(key, &pem, ca.cert_pem()).unwrap()
}

fn bind(identity: &Identity, listen: SocketAddr) -> Arc<QuicTransport> {
    QuicTransport::bind(QuicConfig { listen }, identity).unwrap()
}

/// A node on a runtime of its own: ending that runtime is as abrupt as `kill -9`.
struct Process {
    runtime: Runtime,
    transport: Arc<QuicTransport>,
}

impl Process {
    async fn start(identity: &Identity, listen: SocketAddr) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        // The port of a process just killed is free a moment later.
        let transport = eventually(|| {
            let _inside = runtime.enter();
            QuicTransport::bind(QuicConfig { listen }, identity).ok()
        });
        Self { transport: transport.await, runtime }
    }
}

/// Tries until there is a result, for a while.
async fn eventually<T>(mut attempt: impl FnMut() -> Option<T>) -> T {
    let mut every = tokio::time::interval(Duration::from_millis(10));
    let attempts = async {
        loop {
            every.tick().await;
            if let Some(result) = attempt() {
                return result;
            }
        }
    };
    timeout(SOON, attempts).await.unwrap()
}

struct OverQuic {
    identities: Vec<Identity>,
    addresses: Vec<SocketAddr>,
    processes: Vec<Option<Process>>,
}

impl OverQuic {
    fn quic(&self, node: usize) -> &Arc<QuicTransport> {
        &self.processes[node].as_ref().unwrap().transport
    }
}

impl Drop for OverQuic {
    fn drop(&mut self) {
        for process in self.processes.drain(..).flatten() {
            process.runtime.shutdown_background();
        }
    }
}

#[async_trait]
impl Nodes for OverQuic {
    async fn start(count: usize) -> Self {
        let ca = ca();
        let mut nodes =
            Self { identities: Vec::new(), addresses: Vec::new(), processes: Vec::new() };
        for _ in 0..count {
            let identity = identity(&ca, SystemTime::now());
            let process = Process::start(&identity, ANY_PORT).await;
            nodes.addresses.push(process.transport.local_addr());
            nodes.processes.push(Some(process));
            nodes.identities.push(identity);
        }
        nodes
    }

    fn id(&self, node: usize) -> NodeId {
        self.identities[node].id()
    }

    fn transport(&self, node: usize) -> Arc<dyn Transport> {
        Arc::clone(self.quic(node)) as Arc<dyn Transport>
    }

    fn address(&self, node: usize) -> SocketAddr {
        self.addresses[node]
    }

    async fn kill(&mut self, node: usize) {
        let Process { runtime, transport } = self.processes[node].take().unwrap();
        let killing = move || {
            // The tasks first: with them gone, nothing can say goodbye.
            runtime.shutdown_timeout(SOON);
            drop(transport);
        };
        tokio::task::spawn_blocking(killing).await.unwrap();
    }

    async fn restart(&mut self, node: usize) {
        let process = Process::start(&self.identities[node], self.addresses[node]).await;
        self.processes[node] = Some(process);
    }
}

contract!(OverQuic, (flavor = "multi_thread", worker_threads = 2));

async fn echo_pair() -> OverQuic {
    let nodes = OverQuic::start(2).await;
    for (node, other) in [(0, 1), (1, 0)] {
        nodes.quic(node).register(Protocol::Store, Arc::new(Echo));
        nodes.quic(node).set_address(nodes.id(other), nodes.address(other));
    }
    nodes
}

async fn ask(nodes: &OverQuic, from: usize, to: usize, deadline: Duration) -> Result<(), RpcError> {
    let id = nodes.id(to);
    nodes.quic(from).request(id, Protocol::Store, "x".into(), deadline).await.map(drop)
}

fn connections(nodes: &OverQuic, node: usize) -> usize {
    nodes.quic(node).shared.endpoint.open_connections()
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_at_once_share_one_connection() {
    let nodes = echo_pair().await;
    let asked = (0..50).map(|_| ask(&nodes, 0, 1, SOON));
    assert!(futures::future::join_all(asked).await.iter().all(Result::is_ok));
    assert_eq!((connections(&nodes, 0), connections(&nodes, 1)), (1, 1));
    ask(&nodes, 1, 0, SOON).await.unwrap();
    assert_eq!((connections(&nodes, 0), connections(&nodes, 1)), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_that_dial_each_other_at_once_both_get_their_answers() {
    for _ in 0..5 {
        let nodes = echo_pair().await;
        let (one, other) = tokio::join!(ask(&nodes, 0, 1, SOON), ask(&nodes, 1, 0, SOON));
        one.unwrap();
        other.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_peer_is_noticed_before_the_idle_timeout() {
    let mut nodes = echo_pair().await;
    ask(&nodes, 0, 1, SOON).await.unwrap();
    let stale = match nodes.quic(0).shared.pool.lookup(nodes.id(1)) {
        pool::Lookup::Ready(connection) => connection,
        _ => panic!("no connection"),
    };
    nodes.kill(1).await;
    nodes.restart(1).await;
    let ended = timeout(SOON, stale.closed()).await.unwrap();
    assert!(matches!(ended, quinn::ConnectionError::Reset), "{ended}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_peer_fails_before_a_long_deadline() {
    let nodes = OverQuic::start(1).await;
    let nobody = UdpSocket::bind(ANY_PORT).unwrap();
    let peer = NodeId(7);
    nodes.quic(0).set_address(peer, nobody.local_addr().unwrap());
    let asked = nodes.quic(0).request(peer, Protocol::Store, "x".into(), 10 * SOON);
    let error = timeout(SOON, asked).await.unwrap().unwrap_err();
    assert!(matches!(error, RpcError::Unreachable { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_node_at_the_address_is_not_taken_for_the_peer() {
    let nodes = OverQuic::start(2).await;
    let peer = NodeId(7);
    nodes.quic(0).set_address(peer, nodes.address(1));
    let error = nodes.quic(0).request(peer, Protocol::Store, "x".into(), SOON).await.unwrap_err();
    assert!(matches!(error, RpcError::Unreachable { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_on_the_port_harms_nobody() {
    let nodes = echo_pair().await;
    let sender = UdpSocket::bind(ANY_PORT).unwrap();
    for length in 0..1400 {
        let garbage: Vec<u8> = (0..length).map(|_| rand::random()).collect();
        // A full socket buffer drops the rest, as it may.
        sender.send_to(&garbage, nodes.address(1)).ok();
    }
    ask(&nodes, 0, 1, SOON).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_one_protocol_is_answered_and_leaves_room_for_another() {
    let nodes = echo_pair().await;
    nodes.quic(1).register(Protocol::Raft, Arc::new(Echo));
    let (node, peer) = (nodes.quic(0), nodes.id(1));
    let hang = || node.request(peer, Protocol::Store, "hang".into(), Duration::from_secs(1));
    let limit = crate::limits::MAX_RUNNING_PER_PROTOCOL;
    let flood = futures::future::join_all((0..limit + 10).map(|_| hang()));
    let other = node.request(peer, Protocol::Raft, "x".into(), SOON);
    let (flood, other) = tokio::join!(flood, other);
    other.unwrap();
    let overloaded =
        flood.iter().filter(|answer| matches!(answer, Err(RpcError::Overloaded { .. }))).count();
    assert_eq!(overloaded, 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_transport_tells_its_peers() {
    let nodes = echo_pair().await;
    ask(&nodes, 0, 1, SOON).await.unwrap();
    nodes.quic(1).close().await;
    let error = ask(&nodes, 0, 1, 10 * SOON).await.unwrap_err();
    assert!(matches!(error, RpcError::Unreachable { .. }), "{error}");
}

mod membership;
