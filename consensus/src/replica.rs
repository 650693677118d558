//! This node's copy of the store, as a member of the Raft group or on the way to become one.

use std::sync::Arc;

use openraft::{
    EmptyNode,
    errors::{InitializeError, RaftError},
};
use skein_net::{NodeId, Protocol, Transport};
use tokio::{
    sync::{broadcast, oneshot, watch},
    time::{Duration, Instant, timeout, timeout_at},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    Decision, Peers, RaftStatus, autopilot,
    config::{ReplicaConfig, raft_config},
    elections::{elector, measured::Measured},
    epochs::Epochs,
    handover, limits,
    network::Network,
    parts::Parts,
    raft_handler::RaftHandler,
    reads::{self, Reads},
    recovery::{
        self, Ordered, Plan, Survey, damage, repair,
        respond::{self, Responder},
    },
    replica_store::ReplicaStore,
    status_feed,
    store_handler::StoreHandler,
    writes::{self, Writes},
};
use skein_store::{
    Disk, Epoch, LogStore, Machine, MemoryDisk, Owner, Published, Raft, SharedStore, StartError,
    StateMachine, StoreError, recovery as recovery_files,
};

/// Why a group could not be founded.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the raft group cannot be founded: {0}")]
pub struct FoundError(String);

/// A running replica.
pub struct Replica {
    store: ReplicaStore,
    recovery: Responder,
    decisions: broadcast::Sender<Decision>,
    tasks: TaskTracker,
    log_closed: oneshot::Receiver<()>,
}

impl Replica {
    /// Carries out what was ordered, opens the files, starts Raft where it left off and serves
    /// peers over `transport`. `peers` is who the autopilot may make members of.
    ///
    /// Where the files are damaged the replica starts all the same, takes part in nothing, says
    /// so in [`RaftStatus::failure`] and has itself repaired: the group lets it go, and it asks to
    /// be started again, empty.
    pub async fn start(
        config: ReplicaConfig,
        transport: Arc<dyn Transport>,
        peers: watch::Receiver<Peers>,
    ) -> Result<Self, StartError> {
        let owner = Owner { cluster: config.cluster_id.clone(), node: transport.local_id() };
        let opened = open(&config.disk, &owner).await?;
        let epochs = Epochs::new(config.disk.clone(), opened.epoch, opened.outdated);
        let epochs = Arc::new(epochs);
        let measured = Arc::new(Measured::new(config.timing));
        let (space, log) = (opened.log.space(), opened.log.clone());
        let raft = Raft::new(
            transport.local_id().0,
            Arc::new(raft_config(&config)?),
            Network {
                transport: Arc::clone(&transport),
                epochs: Arc::clone(&epochs),
                measured: Arc::clone(&measured),
            },
            opened.log,
            StateMachine(Arc::clone(&opened.machine)),
        )
        .await
        .map_err(|error| StartError::Raft(error.to_string()))?;
        let parts = Parts {
            raft,
            transport,
            measured,
            epochs,
            peers,
            damage: opened.damage,
            space,
            leaving: Arc::default(),
            ordered: Arc::default(),
            restart: CancellationToken::new(),
            cancel: CancellationToken::new(),
        };
        let files = Files { machine: opened.machine, disk: config.disk, log };
        Ok(Self::run(parts, files, opened.log_closed))
    }

    /// Starts the tasks and serves peers.
    fn run(parts: Parts, files: Files, log_closed: oneshot::Receiver<()>) -> Self {
        let Files { machine, disk, log } = files;
        let tasks = TaskTracker::new();
        let first = status_feed::look(&parts, Duration::ZERO);
        let (status_sender, status) = watch::channel(first);
        let (writes, write_line) = Writes::new();
        let (forwards, forward_line) = Writes::new();
        let (reads, read_line) = Reads::new();
        let decisions = broadcast::Sender::new(limits::DECISIONS);
        let store = ReplicaStore { parts: parts.clone(), machine, status, writes, forwards, reads };
        let recovery = Responder { parts: parts.clone(), disk, log: log.clone() };
        let cancel = &parts.cancel;

        tasks.spawn(status_feed::run(parts.clone(), status_sender));
        tasks.spawn(respond::restart(parts.clone()));
        tasks.spawn(elector::run(parts.clone()));
        tasks.spawn(elector::beat(parts.clone()));
        tasks.spawn(handover::watch_disk(parts.clone(), log));
        tasks.spawn(release_watchers(
            Arc::clone(store.machine.published()),
            store.status.clone(),
            cancel.clone(),
        ));
        tasks.spawn(writes::propose_all(parts.raft.clone(), write_line, cancel.clone()));
        tasks.spawn(writes::forward_all(parts.clone(), store.status.clone(), forward_line));
        tasks.spawn(reads::run(parts.clone(), store.status.clone(), read_line));
        tasks.spawn(checkpoint(Arc::clone(&store.machine), recovery.clone()));
        tasks.spawn(damage::watch(recovery.clone()));
        if parts.damage.is_some() {
            tasks.spawn(repair::run(recovery.clone()));
        }
        let autopilot = autopilot::driver::Driver::new(parts.clone(), decisions.clone());
        tasks.spawn(autopilot.run());
        tasks.close();

        let transport = &parts.transport;
        transport.register(Protocol::Raft, Arc::new(RaftHandler::new(parts.clone())));
        let store_handler = StoreHandler::new(store.clone(), recovery.clone());
        transport.register(Protocol::Store, Arc::new(store_handler));
        Self { store, recovery, decisions, tasks, log_closed }
    }

    /// Founds a group of this node alone; does nothing if it belongs to one. Only the first node
    /// of a cluster does this: every other one waits to be added.
    pub async fn initialize(&self) -> Result<(), FoundError> {
        if let Some(damage) = &self.parts().damage {
            return Err(FoundError(damage.to_string()));
        }
        let members = std::collections::BTreeMap::from([(self.id().0, EmptyNode::default())]);
        match self.parts().raft.initialize(members).await {
            Ok(()) | Err(RaftError::APIError(InitializeError::NotAllowed(_))) => Ok(()),
            Err(error) => Err(FoundError(error.to_string())),
        }
    }

    /// This node.
    pub fn id(&self) -> NodeId {
        self.parts().own()
    }

    /// The store through this replica.
    pub fn client(&self) -> SharedStore {
        Arc::new(self.store.clone())
    }

    /// What the replica is doing, and its changes.
    pub fn status(&self) -> watch::Receiver<RaftStatus> {
        self.store.status.clone()
    }

    pub(crate) fn store(&self) -> ReplicaStore {
        self.store.clone()
    }

    /// What the autopilot decides from now on, while this node leads.
    pub fn decisions(&self) -> broadcast::Receiver<Decision> {
        self.decisions.subscribe()
    }

    /// Fires when an order waits for this replica to be stopped and started again.
    pub fn restart_requested(&self) -> CancellationToken {
        self.parts().restart.clone()
    }

    /// Hands leadership over if this node leads; returns when another leads or nobody can.
    pub async fn hand_over(&self) {
        handover::hand_over(self.parts()).await;
    }

    /// Asks every host, this one too, what its replica holds.
    pub async fn survey(&self) -> Vec<Survey> {
        let peers = self.parts().peers.borrow().clone();
        recovery::ask::survey(&self.recovery, &peers).await
    }

    /// Orders a lost cluster to go on by `plan`: first whoever is to lead, and if it obeys the
    /// others. Each one asks to be started again.
    pub async fn recover(&self, plan: &Plan) -> Vec<Ordered> {
        recovery::ask::recover(&self.recovery, plan).await
    }

    /// Orders this replica, which a recovery left behind, to start empty in the epoch of whoever
    /// went on and answers. It then asks to be started again.
    pub async fn rejoin(&self) -> Result<(), StoreError> {
        let mut peers = self.parts().peers.clone();
        let deadline = Instant::now() + limits::REJOIN_PATIENCE;
        loop {
            let ordered = self.recovery.rejoin(&self.survey().await).await;
            if ordered.is_ok() || Instant::now() >= deadline {
                return ordered;
            }
            // A node that has just started may not know yet who went on.
            if let Ok(Err(_closed)) = timeout_at(deadline, peers.changed()).await {
                return ordered;
            }
        }
    }

    fn parts(&self) -> &Parts {
        &self.store.parts
    }

    /// Hands leadership over if this node leads, writes the state down and stops. When it
    /// returns the files are closed.
    pub async fn shutdown(self) {
        self.hand_over().await;
        self.stop().await;
        if let Err(error) = self.store.machine.checkpoint().await {
            // Nothing is lost: the log has it, and is replayed at the next start.
            tracing::warn!(%error, "the state was not written down");
        }
        let Self { store, recovery, log_closed, .. } = self;
        store.parts.transport.register(Protocol::Raft, Arc::new(Gone));
        store.parts.transport.register(Protocol::Store, Arc::new(Gone));
        drop((store, recovery));
        // Ends by an error when the writer has gone, which is what is waited for.
        if timeout(limits::CLOSE_TIMEOUT, log_closed).await.is_err() {
            tracing::warn!("the raft log is still open");
        }
    }

    /// Stops at once and leaves everything as it is, as a crash does: for tests of what comes
    /// after one.
    pub async fn abort(self) {
        self.stop().await;
    }

    async fn stop(&self) {
        if let Err(error) = self.parts().raft.shutdown().await {
            tracing::warn!(%error, "raft did not stop cleanly");
        }
        self.store.machine.published().close();
        self.parts().cancel.cancel();
        self.tasks.wait().await;
    }
}

/// Answers for a replica that has stopped.
struct Gone;

#[async_trait::async_trait]
impl skein_net::Handler for Gone {
    async fn request(&self, _from: NodeId, _body: bytes::Bytes) -> Result<bytes::Bytes, String> {
        Err("the replica has stopped".to_owned())
    }
}

/// What a running replica holds of its files.
struct Files {
    machine: Arc<Machine>,
    disk: Disk,
    log: LogStore,
}

/// The files of a replica, or what stands in for damaged ones.
struct Opened {
    machine: Arc<Machine>,
    log: LogStore,
    log_closed: oneshot::Receiver<()>,
    epoch: Epoch,
    outdated: Option<Epoch>,
    damage: Option<Arc<str>>,
}

impl Opened {
    fn open(disk: &Disk, owner: &Owner) -> Result<Self, StartError> {
        let epoch = recovery_files::carry_out(disk, owner)?;
        let outdated = recovery_files::outdated(disk)
            .map_err(|source| StartError::Disk { file: "epoch", source })?;
        let machine = Machine::open(disk, owner)?;
        let (log, log_closed) = LogStore::open(disk, owner, Arc::clone(&machine))?;
        Ok(Self { machine, log, log_closed, epoch, outdated, damage: None })
    }

    /// An empty replica in memory, which takes part in nothing: a host without usable files is
    /// still a host.
    fn without_files(owner: &Owner, damage: &StartError) -> Result<Self, StartError> {
        tracing::error!(error = %damage, "the replica takes part in nothing until it is repaired");
        let memory = Disk::Memory(MemoryDisk::new());
        Ok(Self { damage: Some(damage.to_string().into()), ..Self::open(&memory, owner)? })
    }
}

/// Opens the files; reading them may take a while.
async fn open(disk: &Disk, owner: &Owner) -> Result<Opened, StartError> {
    let opened = if matches!(disk, Disk::Directory(_)) {
        let (disk, owner) = (disk.clone(), owner.clone());
        tokio::task::spawn_blocking(move || Opened::open(&disk, &owner))
            .await
            .map_err(|error| StartError::Raft(error.to_string()))?
    } else {
        Opened::open(disk, owner)
    };
    match opened {
        Err(error @ StartError::Damaged { .. }) => Opened::without_files(owner, &error),
        other => other,
    }
}

/// Ends the watches of a replica that stopped following: at once when it failed, and after a
/// while when it hears from no leader. A node that was removed from the group is told nothing, so
/// it cannot be distinguished from one that is cut off.
async fn release_watchers(
    published: Arc<Published>,
    mut status: watch::Receiver<RaftStatus>,
    cancel: CancellationToken,
) {
    let watching = async {
        // Ends with the sender, which is the replica's.
        while status.wait_for(|now| !now.quorum).await.is_ok() {
            let settled = status.wait_for(|now| now.quorum || now.failure.is_some());
            let failed = match timeout(limits::WATCH_PATIENCE, settled).await {
                Ok(Ok(now)) if now.quorum => continue,
                Ok(Ok(_)) => true,
                Ok(Err(_)) => return,
                Err(_) => false,
            };
            published.release();
            if failed {
                return;
            }
        }
    };
    cancel.run_until_cancelled(watching).await;
}

/// Writes the state down from time to time. While it cannot be, the log has everything, and grows.
async fn checkpoint(machine: Arc<Machine>, recovery: Responder) {
    loop {
        let due = timeout(limits::CHECKPOINT_INTERVAL, machine.checkpoint_due());
        if recovery.parts.cancel.run_until_cancelled(due).await.is_none() {
            return;
        }
        let Err(error) = machine.checkpoint().await else { continue };
        tracing::error!(%error, "the state cannot be written to disk");
        if damage::is_damage(&error) {
            return recovery.restart_soon();
        }
    }
}
