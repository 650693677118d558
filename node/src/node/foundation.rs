//! What makes a node a member of its cluster: identity, transport, membership, replica.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result};
use skein_cli::UpOptions;
use skein_consensus::{Disk, NodeStore, Peers, Replica, ReplicaConfig, SharedStore};
use skein_net::{
    Identity, Membership, MembershipConfig, PeerAddress, PeerStore, QuicConfig, QuicTransport,
    Transport,
};
use skein_storage::Storage;
use tokio::{sync::watch, time::timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::pumps::{self, ZONE_KEY};
use crate::{
    authority::{Admission, Authority, Founding},
    bootstrap::{Start, VERSION, bootstrap},
    certificates::Certificates,
    cluster_view::{API_ADDRESS_KEY, VERSION_KEY},
    data_dir::DataDir,
    liveness::Liveness,
    registration::{Registration, RegistrationError, Registrations},
};

/// How long the first node of a cluster may take to elect itself.
const FOUNDING_DEADLINE: Duration = Duration::from_secs(30);

/// Between two looks at this node's own registration. While another node has its name both would
/// run the same pods.
const REGISTRATION_INTERVAL: Duration = Duration::from_secs(5);

/// The node label whose value is the failure zone.
const ZONE_LABEL: &str = "topology.kubernetes.io/zone";

/// A node that is a member and holds or reaches the store.
pub(super) struct Foundation {
    pub(super) identity: Arc<Identity>,
    pub(super) cluster_id: String,
    pub(super) advertise: SocketAddr,
    pub(super) transport: Arc<QuicTransport>,
    pub(super) membership: Membership,
    pub(super) liveness: Liveness,
    pub(super) replica: Replica,
    pub(super) store: SharedStore,
    pub(super) storage: Storage,
    pub(super) authority: Authority,
    replaced: CancellationToken,
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
        let (tasks, cancel) = (TaskTracker::new(), CancellationToken::new());

        let listen = QuicConfig { listen: options.listen };
        let transport = QuicTransport::bind(listen, &identity)?;
        let shared: Arc<dyn Transport> = transport.clone();
        for peer in &peers {
            shared.set_address(peer.id, peer.addr);
        }
        let (peers_sender, peers_known) = watch::channel(Peers::default());
        let config = ReplicaConfig::new(Disk::Directory(data.join("raft")), cluster_id.as_str());
        let replica = Replica::start(config, shared.clone(), peers_known.clone()).await?;
        let store = NodeStore::new(&replica, peers_known);
        let authority = Authority::new(store.clone());
        let registrations = Registrations::new(store.clone());
        let known = PeerStore::new(&data.join("peers.jsonl"));
        let contacts = contacts(&seeds, &peers, &known);
        let certificates = Certificates {
            data: data.clone(),
            identity: identity.clone(),
            authority: authority.clone(),
            node_name: options.name.clone(),
            cluster_id: cluster_id.clone(),
            advertise,
            api: options.api,
            contacts: contacts.clone(),
        };
        certificates.revive().await?;
        if let Some(founding) = founding {
            found(&replica, &authority, &founding, &data).await?;
        }

        let membership = Membership::start(
            MembershipConfig {
                cluster_id: cluster_id.clone(),
                name: options.name.clone(),
                generation: generation(),
                advertise,
                seeds: contacts,
                interval: None,
                peer_store: Some(known),
            },
            shared,
            &tasks,
            cancel.clone(),
        )
        .await?;
        membership.set(VERSION_KEY, VERSION).await?;
        if let Some(zone) = options.labels.get(ZONE_LABEL) {
            membership.set(ZONE_KEY, zone).await?;
        }
        let liveness = Liveness::start(&membership, registrations.clone(), &tasks, cancel.clone());
        pumps::peers(membership.members(), peers_sender, &tasks, cancel.clone());

        let storage = Storage::new(store.clone());
        transport.set_join_handler(Arc::new(Admission {
            authority: authority.clone(),
            registrations: registrations.clone(),
            storage: storage.clone(),
            liveness: liveness.clone(),
        }));
        let registration =
            Registration { id: identity.id(), name: options.name.clone(), address: advertise };
        let replaced = CancellationToken::new();
        let registered = keep_registered(registrations, registration, replaced.clone());
        tasks.spawn(cancel.clone().run_until_cancelled_owned(registered));
        tasks.spawn(certificates.run(cancel.clone()));
        tasks.close();
        Ok(Self {
            identity,
            cluster_id,
            advertise,
            transport,
            membership,
            liveness,
            replica,
            store,
            storage,
            authority,
            replaced,
            tasks,
            cancel,
        })
    }

    /// Tells the others where this node's API is.
    pub(super) async fn publish_api(&self, api: SocketAddr) -> Result<()> {
        let address = SocketAddr::new(self.advertise.ip(), api.port());
        Ok(self.membership.set(API_ADDRESS_KEY, &address.to_string()).await?)
    }

    /// Returns once another node has this one's name: this one is no longer part of the cluster.
    pub(super) async fn replaced(&self) {
        self.replaced.cancelled().await;
    }

    /// Hands leadership over, stops, and closes the files.
    pub(super) async fn stop(self) {
        self.replica.shutdown().await;
        self.cancel.cancel();
        self.tasks.wait().await;
        self.transport.close().await;
    }
}

/// Founds the Raft group and hands the authority to the store.
async fn found(
    replica: &Replica,
    authority: &Authority,
    founding: &Founding,
    data: &DataDir,
) -> Result<()> {
    replica.initialize().await?;
    let mut status = replica.status();
    timeout(FOUNDING_DEADLINE, status.wait_for(|status| status.leader.is_some()))
        .await
        .context("the first node did not become leader in time")??;
    authority.keep(founding).await?;
    Founding::forget(data)?;
    tracing::info!("a new cluster is founded");
    Ok(())
}

/// Sees to it that the registration says where this node is now; ends, and tells, when the name
/// has become another node's while this one was away.
async fn keep_registered(
    registrations: Registrations,
    own: Registration,
    replaced: CancellationToken,
) {
    let mut checks = tokio::time::interval(REGISTRATION_INTERVAL);
    loop {
        checks.tick().await;
        // Whoever else has the name has it rightly, so nobody counts as dead here.
        match registrations.claim(&own.name, own.id, own.address, |_| true).await {
            Ok(()) => {}
            Err(error @ RegistrationError::NameTaken { .. }) => {
                tracing::error!(%error, "this node has been replaced by another of its name");
                replaced.cancel();
                return;
            }
            Err(error) => tracing::debug!(%error, "the registration could not be checked"),
        }
    }
}

/// Larger at each start: milliseconds since 1970.
fn generation() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
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
