//! What one process of a simulated host runs: a node as `skein up` puts it together, on simulated
//! parts, with clients of the store beside it; or, on a host outside the cluster, clients alone.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use anyhow::Result;
use rand::{SeedableRng, rngs::StdRng};
use skein_consensus::{
    Disk, MemoryDisk, PeerState, RaftStatus, RemoteStore, ReplicaConfig, Retention, SharedStore,
};
use skein_net::{MembershipConfig, NodeId, Transport};
use skein_node::{Core, CoreConfig, generation};
use tokio::{sync::watch, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{
    history::History,
    wire::address_of,
    workload::{use_registers, watch_registers},
};

const CLUSTER: &str = "simulated";

/// Small, so that snapshots and purges happen all the time.
const RETENTION: Retention = Retention { snapshot_entries: 60, keep_entries: 30 };

/// What the simulation sees of a process from outside.
#[derive(Clone)]
pub(crate) struct View {
    /// What its replica is doing; a client has none.
    pub(crate) status: Option<watch::Receiver<RaftStatus>>,
    /// The store as it reaches it.
    pub(crate) store: SharedStore,
    /// The number of its watcher.
    pub(crate) watcher: u64,
}

/// Where a process leaves its [`View`] once it has one.
#[derive(Clone, Default)]
pub(crate) struct Window(Arc<Mutex<Option<View>>>);

impl Window {
    pub(crate) fn look(&self) -> Option<View> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn open(&self, view: View) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(view);
    }
}

/// What every process is given.
pub(crate) struct Process {
    pub(crate) transport: Arc<dyn Transport>,
    /// Every host of the cluster.
    pub(crate) hosts: Vec<NodeId>,
    pub(crate) window: Window,
    pub(crate) history: History,
    pub(crate) luck: u64,
    /// SIGTERM.
    pub(crate) stop: CancellationToken,
}

impl Process {
    /// Runs a node until told to stop.
    pub(crate) async fn node(self, disk: MemoryDisk, founds: bool) -> Result<()> {
        let id = self.transport.local_id();
        let mut replica = ReplicaConfig::new(Disk::Memory(disk), CLUSTER);
        replica.retention = RETENTION;
        let others = self.hosts.iter().filter(|host| **host != id);
        let config = CoreConfig {
            transport: Arc::clone(&self.transport),
            replica,
            membership: MembershipConfig {
                cluster_id: CLUSTER.to_owned(),
                name: format!("h{id}"),
                generation: generation(SystemTime::now()),
                advertise: address_of(id),
                seeds: others.map(|host| address_of(*host)).collect(),
                interval: None,
                peer_store: None,
            },
            labels: BTreeMap::new(),
        };
        let core = Core::start(config, founds).await?;
        let store = Arc::clone(core.store());
        let clients = self.clients(Some(core.replica().status()), store, 1);
        self.stop.cancelled().await;
        drop(clients);
        core.stop().await;
        Ok(())
    }

    /// Runs clients on a host that holds no replica.
    pub(crate) async fn outsider(self) -> Result<()> {
        let peer = |id: &NodeId| PeerState {
            id: *id,
            name: format!("h{id}"),
            addr: address_of(*id),
            alive: true,
            zone: String::new(),
            witness: false,
            removed: false,
        };
        let peers: Vec<PeerState> = self.hosts.iter().map(peer).collect();
        for peer in &peers {
            self.transport.set_address(peer.id, peer.addr);
        }
        let (_sender, peers) = watch::channel(Arc::new(peers));
        let store: SharedStore = RemoteStore::new(Arc::clone(&self.transport), peers);
        let clients = self.clients(None, store, 2);
        self.stop.cancelled().await;
        drop(clients);
        Ok(())
    }

    /// Shows what runs here and starts the clients; they end when the set is dropped.
    fn clients(
        &self,
        status: Option<watch::Receiver<RaftStatus>>,
        store: SharedStore,
        writers: u64,
    ) -> JoinSet<()> {
        let watcher = self.history.watcher();
        self.window.open(View { status, store: Arc::clone(&store), watcher });
        let mut clients = JoinSet::new();
        for writer in 0..writers {
            let luck = StdRng::seed_from_u64(self.luck.wrapping_add(writer));
            clients.spawn(use_registers(Arc::clone(&store), self.history.clone(), luck));
        }
        clients.spawn(watch_registers(store, self.history.clone(), watcher));
        clients
    }
}
