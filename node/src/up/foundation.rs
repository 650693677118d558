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
    authority::{Admission, Founding},
    bootstrap::{Start, bootstrap},
    certificates::Certificates,
    cluster_view::API_ADDRESS_KEY,
    core::{Core, CoreConfig, Opened, generation},
    data_dir::DataDir,
};

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
    /// Comes to its identity, binds the port, opens the replica and joins the gossip.
    pub(super) async fn start(options: &UpOptions) -> Result<Self> {
        let data = Arc::new(DataDir::open(&options.data_dir)?);
        let start = bootstrap(&data, options).await?;
        let Start { identity, cluster_id, advertise, seeds, peers, founding } = start;
        let identity = Arc::new(identity);
        let listen = QuicConfig { listen: options.listen };
        let transport = QuicTransport::bind(listen, &identity)?;
        for peer in &peers {
            transport.set_address(peer.id, peer.addr);
        }
        let known = PeerStore::new(&data.join("peers.jsonl"));
        let contacts = contacts(&seeds, &peers, &known);
        let opened = Opened::open(CoreConfig {
            transport: transport.clone(),
            replica: ReplicaConfig::new(Disk::Directory(data.join("raft")), cluster_id.as_str()),
            membership: MembershipConfig {
                cluster_id: cluster_id.clone(),
                name: options.name.clone(),
                generation: generation(SystemTime::now()),
                advertise,
                seeds: contacts.clone(),
                interval: None,
                peer_store: Some(known),
            },
            labels: options.labels.clone(),
            witness: options.witness,
        })
        .await?;
        let authority = opened.authority();
        let certificates = Certificates {
            data: data.clone(),
            identity: identity.clone(),
            authority: authority.clone(),
            node_name: options.name.clone(),
            cluster_id,
            advertise,
            api: options.api,
            contacts,
        };
        certificates.revive().await?;
        if let Some(founding) = founding {
            opened.found().await?;
            authority.keep(&founding).await?;
            Founding::forget(&data)?;
            tracing::info!("a new cluster is founded");
        }
        let core = opened.join().await?;
        transport.set_join_handler(Arc::new(Admission {
            authority,
            registrations: core.registrations.clone(),
            storage: core.storage.clone(),
            liveness: core.liveness.clone(),
        }));
        let (tasks, cancel) = (TaskTracker::new(), CancellationToken::new());
        tasks.spawn(certificates.run(cancel.clone()));
        tasks.close();
        Ok(Self { core, identity, advertise, transport, tasks, cancel })
    }

    /// Tells the others where this node's API is.
    pub(super) async fn publish_api(&self, api: SocketAddr) -> Result<()> {
        let address = SocketAddr::new(self.advertise.ip(), api.port());
        Ok(self.core.membership.set(API_ADDRESS_KEY, &address.to_string()).await?)
    }

    /// Stops, and closes the files and the port.
    pub(super) async fn stop(self) {
        self.cancel.cancel();
        self.tasks.wait().await;
        self.core.stop().await;
        self.transport.close().await;
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
