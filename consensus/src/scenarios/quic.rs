//! Three replicas over real QUIC on the loopback, with real disks and the real clock.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::SystemTime,
};

use skein_net::{
    CertificateRequest, ClusterCa, Identity, NodeKey, NodeSubject, QuicConfig, QuicTransport,
    Transport,
};
use tokio::{
    sync::watch,
    time::{Duration, Instant, timeout},
};

use super::cluster::put;
use crate::{PeerState, Peers, RaftStatus, Replica, ReplicaConfig};
use skein_store::Disk;

const PATIENCE: Duration = Duration::from_secs(60);
const ANY_PORT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
const LIFETIME: Duration = Duration::from_secs(24 * 3_600);

struct Host {
    replica: Replica,
    transport: Arc<QuicTransport>,
}

struct Hosts {
    hosts: Vec<Host>,
    /// Told once: what the replicas see of a death is silence.
    _peers: watch::Sender<Peers>,
    _directory: tempfile::TempDir,
}

fn bind(ca: &ClusterCa, name: &str) -> Arc<QuicTransport> {
    let key = NodeKey::generate().unwrap();
    let request = CertificateRequest::parse(&key.certificate_request().unwrap()).unwrap();
    let subject = NodeSubject { name: name.to_owned(), ..NodeSubject::default() };
    let certificate = ca.issue_node(&request, &subject, LIFETIME, SystemTime::now()).unwrap();
    let identity = Identity::new(key, &certificate, ca.cert_pem()).unwrap();
    QuicTransport::bind(QuicConfig { listen: ANY_PORT }, &identity).unwrap()
}

async fn until(host: &Host, wanted: impl Fn(&RaftStatus) -> bool) {
    let mut status = host.replica.status();
    timeout(PATIENCE, status.wait_for(|now| wanted(now))).await.unwrap().unwrap();
}

impl Hosts {
    async fn start() -> Self {
        let ca = ClusterCa::generate("test", SystemTime::now()).unwrap();
        let transports: Vec<_> = (1..=3).map(|number| bind(&ca, &format!("h{number}"))).collect();
        for (from, to) in
            transports.iter().flat_map(|from| transports.iter().map(move |to| (from, to)))
        {
            from.set_address(to.local_id(), to.local_addr());
        }
        let peers = transports.iter().map(|transport| PeerState {
            id: transport.local_id(),
            name: transport.local_id().to_string(),
            addr: transport.local_addr(),
            alive: true,
            zone: String::new(),
            witness: false,
            removed: false,
        });
        let peers = watch::Sender::new(Arc::new(peers.collect::<Vec<_>>()));
        let directory = tempfile::tempdir().unwrap();
        let mut hosts = Vec::new();
        for transport in transports {
            let disk = Disk::Directory(directory.path().join(transport.local_id().to_string()));
            let config = ReplicaConfig::new(disk, "test");
            let shared: Arc<dyn Transport> = Arc::clone(&transport) as _;
            let replica = Replica::start(config, shared, peers.subscribe()).await.unwrap();
            if hosts.is_empty() {
                replica.initialize().await.unwrap();
            }
            hosts.push(Host { replica, transport });
        }
        for host in &hosts {
            until(host, |status| status.voters.len() == 3 && !status.changing).await;
        }
        Self { hosts, _peers: peers, _directory: directory }
    }

    fn leader(&self) -> usize {
        let leads = |host: &Host| host.replica.status().borrow().is_leader();
        self.hosts.iter().position(leads).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leadership_is_handed_over_and_taken_over_fast_on_real_sockets_and_disks() {
    let mut hosts = Hosts::start().await;
    let mut handed_over = Vec::new();
    for _ in 0..10 {
        let leader = hosts.leader();
        let other = hosts.hosts[(leader + 1) % 3].replica.client();
        other.write(put("a", "1")).await.unwrap();
        let began = Instant::now();
        hosts.hosts[leader].replica.hand_over().await;
        other.write(put("a", "2")).await.unwrap();
        handed_over.push(began.elapsed());
        until(&hosts.hosts[leader], |status| status.leader.is_some() && !status.is_leader()).await;
        for host in &hosts.hosts {
            until(host, |status| status.leader.is_some()).await;
        }
    }
    handed_over.sort_unstable();
    let dead = hosts.hosts.remove(hosts.leader());
    let other = hosts.hosts[0].replica.client();
    other.write(put("a", "3")).await.unwrap();
    dead.transport.close().await;
    let killed = Instant::now();
    other.write(put("a", "4")).await.unwrap();
    let taken_over = killed.elapsed();
    println!("handed over: {handed_over:?}; taken over: {taken_over:?}");
    // Generous: a loaded machine may stall for long. What is usual is in the docs.
    assert!(handed_over[handed_over.len() / 2] < Duration::from_millis(500), "{handed_over:?}");
    assert!(taken_over < Duration::from_secs(3), "{taken_over:?}");
    dead.replica.abort().await;
    for host in hosts.hosts {
        host.replica.abort().await;
        host.transport.close().await;
    }
}
