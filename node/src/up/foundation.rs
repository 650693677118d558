//! A node with an identity of its own: its data directory, certificates and QUIC, and the core on
//! top of them.

use std::{net::SocketAddr, sync::Arc, time::SystemTime};

use anyhow::Result;
use skein_cli::UpOptions;
use skein_consensus::{Disk, ReplicaConfig};
use skein_net::{
    Identity, MembershipConfig, PeerAddress, PeerStore, QuicConfig, QuicTransport, Transport,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    authority::{Admission, ClosedDoor, Founding},
    bootstrap::{Start, bootstrap},
    certificates::Certificates,
    cluster_view::API_ADDRESS_KEY,
    core::{Core, CoreConfig, Opened, generation},
    data_dir::DataDir,
};

/// What a process has of its node for as long as it lives: the data directory, the identity in it,
/// and the port where peers find it.
pub(super) struct Ground {
    data: Arc<DataDir>,
    identity: Arc<Identity>,
    transport: Arc<QuicTransport>,
    cluster_id: String,
    advertise: SocketAddr,
    seeds: Vec<SocketAddr>,
    peers: Vec<PeerAddress>,
}

impl Ground {
    /// Comes to the node's identity and binds its port.
    pub(super) async fn take(options: &UpOptions) -> Result<Self> {
        let data = Arc::new(DataDir::open(&options.data_dir)?);
        let start = bootstrap(&data, options).await?;
        let Start { identity, cluster_id, advertise, seeds, peers } = start;
        let identity = Arc::new(identity);
        let listen = QuicConfig { listen: options.listen };
        let transport = QuicTransport::bind(listen, &identity)?;
        for peer in &peers {
            transport.set_address(peer.id, peer.addr);
        }
        Ok(Self { data, identity, transport, cluster_id, advertise, seeds, peers })
    }

    /// Closes the port.
    pub(super) async fn leave(self) {
        self.transport.close().await;
    }

    fn contacts(&self, remembered: &PeerStore) -> Vec<SocketAddr> {
        contacts(&self.seeds, &self.peers, remembered)
    }

    fn core_config(&self, options: &UpOptions, known: PeerStore) -> CoreConfig {
        let disk = Disk::Directory(self.data.join("raft"));
        CoreConfig {
            transport: self.transport.clone(),
            replica: ReplicaConfig::new(disk, self.cluster_id.as_str()),
            membership: MembershipConfig {
                cluster_id: self.cluster_id.clone(),
                name: options.name.clone(),
                generation: generation(SystemTime::now()),
                advertise: self.advertise,
                seeds: self.contacts(&known),
                peer_store: Some(known),
            },
            labels: options.labels.clone(),
            witness: options.witness,
        }
    }
}

/// A member of its cluster that others can reach.
pub(super) struct Foundation {
    pub(super) core: Core,
    pub(super) identity: Arc<Identity>,
    pub(super) advertise: SocketAddr,
    transport: Arc<QuicTransport>,
    tasks: TaskTracker,
    cancel: CancellationToken,
}

impl Foundation {
    /// Opens the replica and joins the gossip.
    pub(super) async fn start(ground: &Ground, options: &UpOptions) -> Result<Self> {
        let known = PeerStore::new(&ground.data.join("peers.jsonl"));
        let contacts = ground.contacts(&known);
        let opened = Opened::open(ground.core_config(options, known)).await?;
        let authority = opened.authority();
        let certificates = Certificates {
            data: ground.data.clone(),
            identity: ground.identity.clone(),
            authority: authority.clone(),
            node_name: options.name.clone(),
            cluster_id: ground.cluster_id.clone(),
            advertise: ground.advertise,
            api: options.api,
            contacts,
        };
        certificates.revive().await?;
        if let Some(founding) = Founding::read(&ground.data)? {
            opened.found().await?;
            authority.keep(&founding).await?;
            Founding::forget(&ground.data)?;
            tracing::info!("a new cluster is founded");
        }
        let core = opened.join().await?;
        ground.transport.set_join_handler(Arc::new(Admission {
            authority,
            registrations: core.registrations.clone(),
            storage: core.storage.clone(),
            liveness: core.liveness.clone(),
        }));
        let (tasks, cancel) = (TaskTracker::new(), CancellationToken::new());
        tasks.spawn(certificates.run(cancel.clone()));
        tasks.close();
        let (identity, advertise) = (ground.identity.clone(), ground.advertise);
        let transport = ground.transport.clone();
        Ok(Self { core, identity, advertise, transport, tasks, cancel })
    }

    /// Tells the others where this node's API is.
    pub(super) async fn publish_api(&self, api: SocketAddr) -> Result<()> {
        let address = SocketAddr::new(self.advertise.ip(), api.port());
        Ok(self.core.membership.set(API_ADDRESS_KEY, &address.to_string()).await?)
    }

    /// Stops, and closes the files.
    pub(super) async fn stop(self) {
        self.cancel.cancel();
        self.tasks.wait().await;
        self.transport.set_join_handler(Arc::new(ClosedDoor));
        self.core.stop().await;
    }
}

/// Every address where a peer may be.
fn contacts(
    seeds: &[SocketAddr],
    peers: &[PeerAddress],
    remembered: &PeerStore,
) -> Vec<SocketAddr> {
    let told = peers.iter().map(|peer| peer.addr);
    let known = remembered.load().into_iter().map(|peer| peer.addr);
    let mut contacts: Vec<SocketAddr> = seeds.iter().copied().chain(told).chain(known).collect();
    contacts.sort();
    contacts.dedup();
    contacts
}
