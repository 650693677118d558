//! Three voters in one process.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use anyhow::{Context, Result};
use skein_consensus::{Disk, PeerState, Peers, Replica, ReplicaConfig, SharedStore};
use skein_net::{
    CertificateRequest, ClusterCa, Identity, NodeKey, NodeSubject, QuicConfig, QuicTransport,
    Transport,
};
use tokio::{sync::watch, time::timeout};

const VOTERS: usize = 3;
/// How long the group may take to have its three voters.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long the certificates are valid: longer than any measurement.
const LIFETIME: Duration = Duration::from_secs(24 * 3_600);
const ANY_PORT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

struct Node {
    replica: Replica,
    transport: Arc<QuicTransport>,
}

/// Three replicas that vote, and nothing else of a node.
pub(crate) struct Group {
    nodes: Vec<Node>,
    /// Told once; dropping it would tell the replicas that nobody knows their peers any more.
    _peers: watch::Sender<Peers>,
}

impl Group {
    /// Founds a group below `directory` and waits until all three vote.
    pub(crate) async fn start(directory: &Path) -> Result<Self> {
        let ca = ClusterCa::generate("measure", SystemTime::now())?;
        let transports =
            (0..VOTERS).map(|index| bind(&ca, &name(index))).collect::<Result<Vec<_>>>()?;
        for (from, to) in
            transports.iter().flat_map(|from| transports.iter().map(move |to| (from, to)))
        {
            from.set_address(to.local_id(), to.local_addr());
        }
        let peers = transports.iter().enumerate().map(|(index, transport)| PeerState {
            id: transport.local_id(),
            name: name(index),
            addr: transport.local_addr(),
            alive: true,
            zone: String::new(),
            witness: false,
            removed: false,
        });
        let peers = watch::Sender::new(Arc::new(peers.collect::<Vec<_>>()));
        let mut nodes = Vec::new();
        for (index, transport) in transports.into_iter().enumerate() {
            let disk = Disk::Directory(directory.join(name(index)));
            let shared: Arc<dyn Transport> = Arc::clone(&transport) as _;
            let config = ReplicaConfig::new(disk, "measure");
            let replica = Replica::start(config, shared, peers.subscribe()).await?;
            if index == 0 {
                replica.initialize().await?;
            }
            nodes.push(Node { replica, transport });
        }
        let group = Self { nodes, _peers: peers };
        group.complete().await?;
        Ok(group)
    }

    /// Waits until every node knows three voters.
    async fn complete(&self) -> Result<()> {
        for node in &self.nodes {
            let mut status = node.replica.status();
            let known = status.wait_for(|now| now.voters.len() == VOTERS && !now.changing);
            timeout(PATIENCE, known)
                .await
                .context("the three nodes did not all become voters")?
                .context("a replica stopped")?;
        }
        Ok(())
    }

    /// The store through each of the nodes.
    pub(crate) fn stores(&self) -> Vec<SharedStore> {
        self.nodes.iter().map(|node| node.replica.client()).collect()
    }

    /// The store through the node that leads.
    pub(crate) fn leader_store(&self) -> Result<SharedStore> {
        let leads = |node: &&Node| node.replica.status().borrow().is_leader();
        let leader = self.nodes.iter().find(leads).context("no node leads")?;
        Ok(leader.replica.client())
    }

    /// Ends all three.
    pub(crate) async fn stop(self) {
        for node in self.nodes {
            node.replica.shutdown().await;
            node.transport.close().await;
        }
    }
}

fn name(index: usize) -> String {
    format!("h{}", index + 1)
}

/// The transport of a node that `ca` knows under `name`.
fn bind(ca: &ClusterCa, name: &str) -> Result<Arc<QuicTransport>> {
    let key = NodeKey::generate()?;
    let request = CertificateRequest::parse(&key.certificate_request()?)?;
    let subject = NodeSubject { name: name.to_owned(), ..NodeSubject::default() };
    let certificate = ca.issue_node(&request, &subject, LIFETIME, SystemTime::now())?;
    let identity = Identity::new(key, &certificate, ca.cert_pem())?;
    Ok(QuicTransport::bind(QuicConfig { listen: ANY_PORT }, &identity)?)
}
