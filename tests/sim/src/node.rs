//! What one process of a simulated host runs: a node as `skein up` puts it together, on simulated
//! parts, with clients of the store beside it; or, on a host outside the cluster, clients alone.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use anyhow::Result;
use rand::{SeedableRng, rngs::StdRng};
use skein_agent::{AgentConfig, DiskWork, PodNetwork};
use skein_api::Api;
use skein_consensus::{
    Disk, MemoryDisk, PeerState, RaftStatus, RemoteStore, ReplicaConfig, Retention, SharedStore,
};
use skein_controllers::ControllerConfig;
use skein_net::{MembershipConfig, NodeId, Transport};
use skein_node::{Core, CoreConfig, Services, ServicesConfig, Workload, generation};
use tokio::{sync::watch, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{
    history::History,
    pods::Engine,
    wire::address_of,
    workload::{use_apps, use_registers, watch_registers},
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
    /// Its API, if it is a node.
    pub(crate) api: Option<Api>,
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

/// The name of a host.
pub(crate) fn name_of(id: NodeId) -> String {
    format!("h{}", id.0)
}

/// What of a host a node runs on.
pub(crate) struct Machine {
    pub(crate) disk: MemoryDisk,
    pub(crate) engine: Engine,
    pub(crate) data_dir: PathBuf,
    /// Whether it is the first node of its cluster.
    pub(crate) founds: bool,
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
    /// Runs a node until told to stop, and anew whenever its replica asks for that.
    pub(crate) async fn node(self, machine: Machine) -> Result<()> {
        let mut founds = machine.founds;
        while !self.stop.is_cancelled() {
            let core = Core::start(self.config(&machine), founds).await?;
            founds = false;
            self.serve(core, &machine).await;
        }
        Ok(())
    }

    fn config(&self, machine: &Machine) -> CoreConfig {
        let id = self.transport.local_id();
        let mut replica = ReplicaConfig::new(Disk::Memory(machine.disk.clone()), CLUSTER);
        replica.retention = RETENTION;
        let others = self.hosts.iter().filter(|host| **host != id);
        CoreConfig {
            transport: Arc::clone(&self.transport),
            replica,
            membership: MembershipConfig {
                cluster_id: CLUSTER.to_owned(),
                name: name_of(id),
                generation: generation(SystemTime::now()),
                advertise: address_of(id),
                seeds: others.map(|host| address_of(*host)).collect(),
                peer_store: None,
            },
            labels: BTreeMap::new(),
            witness: false,
        }
    }

    /// Does what a node does, with clients beside it, until it is to stop or to start anew.
    async fn serve(&self, core: Core, machine: &Machine) {
        let id = self.transport.local_id();
        let data_dir = machine.data_dir.clone();
        let mut agent = AgentConfig::new(name_of(id), address_of(id).ip(), data_dir);
        agent.disk_work = DiskWork::Inline;
        let workload = Workload {
            agent,
            network: Arc::clone(&machine.engine.network) as Arc<dyn PodNetwork>,
            runtime: Arc::new(machine.engine.runtime.clone()),
        };
        let controllers = ControllerConfig::default();
        let services = Services::start(
            &core,
            ServicesConfig { controllers, workload: Some(workload), audit: None },
        );
        let (status, store) = (core.status(), Arc::clone(core.store()));
        let api = Some(services.api().clone());
        let clients = self.clients(Some(status), api, store, 1);
        tokio::select! {
            () = self.stop.cancelled() => {}
            () = core.restart_requested() => {}
        }
        drop(clients);
        core.hand_over().await;
        services.stop().await;
        core.stop().await;
    }

    /// Runs clients on a host that holds no replica.
    pub(crate) async fn outsider(self) -> Result<()> {
        let peer = |id: &NodeId| PeerState {
            id: *id,
            name: name_of(*id),
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
        let clients = self.clients(None, None, store, 2);
        self.stop.cancelled().await;
        drop(clients);
        Ok(())
    }

    /// Shows what runs here and starts the clients; they end when the set is dropped.
    fn clients(
        &self,
        status: Option<watch::Receiver<RaftStatus>>,
        api: Option<Api>,
        store: SharedStore,
        writers: u64,
    ) -> JoinSet<()> {
        let watcher = self.history.watcher();
        let mut clients = JoinSet::new();
        if let Some(api) = api.clone() {
            let luck = StdRng::seed_from_u64(self.luck.rotate_left(32));
            clients.spawn(use_apps(api, self.history.clone(), luck));
        }
        self.window.open(View { status, store: Arc::clone(&store), api, watcher });
        for writer in 0..writers {
            let luck = StdRng::seed_from_u64(self.luck.wrapping_add(writer));
            clients.spawn(use_registers(Arc::clone(&store), self.history.clone(), luck));
        }
        clients.spawn(watch_registers(store, self.history.clone(), watcher));
        clients
    }
}
