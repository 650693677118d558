//! This node's copy of the store, as a member of the Raft group or on the way to become one.

use std::{io, sync::Arc};

use openraft::{
    Config, EmptyNode, Instant, SnapshotPolicy,
    async_runtime::WatchReceiver,
    errors::{InitializeError, RaftError},
};
use skein_net::{NodeId, Protocol, Transport};
use tokio::{
    sync::{oneshot, watch},
    time::{Duration, MissedTickBehavior, interval, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    Peers, RaftStatus, autopilot, limits,
    network::Network,
    raft_handler::{LastContact, RaftHandler},
    reads::{self, Reads},
    replica_store::ReplicaStore,
    status::status_of,
    store_handler::StoreHandler,
    writes::{self, Writes},
};
use skein_store::{
    Disk, LogStore, Machine, Owner, Published, Raft, SharedStore, StartError, StateMachine,
};

/// When a leader is taken for dead.
///
/// A follower asks for votes when it has heard nothing for between `election_max + election_min`
/// and twice `election_max` (openraft counts the leader's lease first). The defaults elect a new
/// leader 0.55–0.7 s after the old one died, and let a starved machine miss four heartbeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// Between two heartbeats of the leader.
    pub heartbeat: Duration,
    /// Least random part of the wait.
    pub election_min: Duration,
    /// The leader's lease, and the greatest random part of the wait.
    pub election_max: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_millis(100),
            election_min: Duration::from_millis(200),
            election_max: Duration::from_millis(350),
        }
    }
}

/// How much of the log is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Entries between two snapshots.
    pub snapshot_entries: u64,
    /// Entries kept behind a snapshot for followers that lag.
    pub keep_entries: u64,
}

impl Default for Retention {
    fn default() -> Self {
        Self { snapshot_entries: limits::SNAPSHOT_ENTRIES, keep_entries: limits::LOG_KEEP_ENTRIES }
    }
}

/// What a replica needs to know.
#[derive(Clone, Debug)]
pub struct ReplicaConfig {
    /// Where its files are.
    pub disk: Disk,
    /// The cluster; data of another is refused.
    pub cluster_id: String,
    /// Election timing.
    pub timing: Timing,
    /// Log retention.
    pub retention: Retention,
}

impl ReplicaConfig {
    /// A replica of `cluster_id` on `disk` with the usual timing and retention.
    pub fn new(disk: Disk, cluster_id: impl Into<String>) -> Self {
        let (timing, retention) = (Timing::default(), Retention::default());
        Self { disk, cluster_id: cluster_id.into(), timing, retention }
    }
}

/// Why a group could not be founded.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the raft group cannot be founded: {0}")]
pub struct FoundError(String);

/// A voter that answered no heartbeat for this long is not worth handing over to.
const HEIR_SILENCE: Duration = Duration::from_secs(1);

/// How often the status is looked at when Raft reports nothing new.
const STATUS_INTERVAL: Duration = Duration::from_millis(500);

/// A running replica.
pub struct Replica {
    raft: Raft,
    store: ReplicaStore,
    tasks: TaskTracker,
    cancel: CancellationToken,
    log_closed: oneshot::Receiver<()>,
}

impl Replica {
    /// Opens the files, starts Raft where it left off and serves peers over `transport`. `peers`
    /// is who the autopilot may make members of.
    pub async fn start(
        config: ReplicaConfig,
        transport: Arc<dyn Transport>,
        peers: watch::Receiver<Peers>,
    ) -> Result<Self, StartError> {
        let owner = Owner { cluster: config.cluster_id.clone(), node: transport.local_id() };
        let (machine, log, log_closed) = open(&config.disk, owner).await?;
        let raft = Raft::new(
            transport.local_id().0,
            Arc::new(raft_config(&config)?),
            Network(Arc::clone(&transport)),
            log,
            StateMachine(Arc::clone(&machine)),
        )
        .await
        .map_err(|error| StartError::Raft(error.to_string()))?;

        let (tasks, cancel) = (TaskTracker::new(), CancellationToken::new());
        let contact = Arc::new(LastContact::default());
        let first = status_of(&raft.metrics().borrow_watched(), false);
        let (status_sender, status) = watch::channel(first);
        let (writes, write_line) = Writes::new();
        let (reads, read_line) = Reads::new();
        let followed = Arc::clone(&contact);
        let store = ReplicaStore { transport, machine, status, contact, writes, reads };

        tasks.spawn(follow(raft.clone(), followed, status_sender, cancel.clone()));
        tasks.spawn(release_watchers(
            Arc::clone(store.machine.published()),
            store.status.clone(),
            cancel.clone(),
        ));
        tasks.spawn(writes::run(raft.clone(), write_line, cancel.clone()));
        tasks.spawn(reads::run(
            raft.clone(),
            Arc::clone(&store.transport),
            store.status.clone(),
            read_line,
            cancel.clone(),
        ));
        tasks.spawn(checkpoint(Arc::clone(&store.machine), cancel.clone()));
        let status = store.status.clone();
        tasks.spawn(autopilot::driver::run(raft.clone(), status, peers, cancel.clone()));
        tasks.close();

        let raft_handler = RaftHandler::new(raft.clone(), Arc::clone(&store.contact));
        store.transport.register(Protocol::Raft, Arc::new(raft_handler));
        let store_handler = StoreHandler::new(raft.clone(), store.clone(), cancel.clone());
        store.transport.register(Protocol::Store, Arc::new(store_handler));
        Ok(Self { raft, store, tasks, cancel, log_closed })
    }

    /// Founds a group of this node alone; does nothing if it belongs to one. Only the first node
    /// of a cluster does this: every other one waits to be added.
    pub async fn initialize(&self) -> Result<(), FoundError> {
        let members = std::collections::BTreeMap::from([(self.id().0, EmptyNode::default())]);
        match self.raft.initialize(members).await {
            Ok(()) | Err(RaftError::APIError(InitializeError::NotAllowed(_))) => Ok(()),
            Err(error) => Err(FoundError(error.to_string())),
        }
    }

    /// This node.
    pub fn id(&self) -> NodeId {
        self.store.transport.local_id()
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

    /// Hands leadership over if this node leads, writes the state down and stops. When it
    /// returns the files are closed.
    pub async fn shutdown(self) {
        self.hand_over().await;
        if let Err(error) = self.raft.shutdown().await {
            tracing::warn!(%error, "raft did not stop cleanly");
        }
        self.store.machine.published().close();
        self.cancel.cancel();
        self.tasks.wait().await;
        if let Err(error) = self.store.machine.checkpoint().await {
            // Nothing is lost: the log has it, and is replayed at the next start.
            tracing::warn!(%error, "the state was not written down");
        }
        let Self { raft, store, log_closed, .. } = self;
        store.transport.register(Protocol::Raft, Arc::new(Gone));
        store.transport.register(Protocol::Store, Arc::new(Gone));
        drop((raft, store));
        // Ends by an error when the writer has gone, which is what is waited for.
        if timeout(limits::CLOSE_TIMEOUT, log_closed).await.is_err() {
            tracing::warn!("the raft log is still open");
        }
    }

    /// Stops at once and leaves everything as it is, as a crash does: for tests of what comes
    /// after one.
    pub async fn abort(self) {
        self.cancel.cancel();
        self.store.machine.published().close();
        if let Err(error) = self.raft.shutdown().await {
            tracing::warn!(%error, "raft did not stop cleanly");
        }
        self.tasks.wait().await;
    }

    /// Waits for a change of members under way: in the middle of one the group may depend on
    /// this node.
    async fn finish_change(&self) {
        let mut metrics = self.raft.metrics();
        let finished = async {
            while metrics.borrow_watched().membership_config.get_joint_config().len() > 1 {
                if metrics.changed().await.is_err() {
                    return;
                }
            }
        };
        if timeout(limits::HANDOVER_TIMEOUT, finished).await.is_err() {
            tracing::warn!("the members of the raft group are still changing");
        }
    }

    async fn hand_over(&self) {
        self.finish_change().await;
        let mut status = self.status();
        let heir = {
            let metrics = self.raft.metrics();
            let metrics = metrics.borrow_watched();
            if !metrics.state.is_leader() {
                return;
            }
            let replication = metrics.replication.iter().flatten();
            let voters: Vec<u64> = metrics.membership_config.membership().voter_ids().collect();
            let answers = |id: &u64| {
                let heartbeats = metrics.heartbeat.as_ref();
                let last = heartbeats.and_then(|all| all.get(id)).and_then(Option::as_ref);
                last.is_some_and(|at| at.elapsed() < HEIR_SILENCE)
            };
            replication
                .filter(|(id, _)| **id != metrics.id && voters.contains(id) && answers(id))
                .max_by_key(|(_, matched)| **matched)
                .map(|(id, _)| *id)
        };
        let Some(heir) = heir else { return };
        if let Err(error) = self.raft.trigger().transfer_leader(heir).await {
            tracing::warn!(%error, "leadership was not handed over");
            return;
        }
        let over = status.wait_for(|now| !now.is_leader());
        if timeout(limits::HANDOVER_TIMEOUT, over).await.is_err() {
            tracing::warn!(to = %NodeId(heir), "leadership was not taken over in time");
        }
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

type Opened = (Arc<Machine>, LogStore, oneshot::Receiver<()>);

/// Opens both files; reading them may take a while.
async fn open(disk: &Disk, owner: Owner) -> Result<Opened, StartError> {
    let open = |disk: &Disk, owner: &Owner| {
        let machine = Machine::open(disk, owner)?;
        let (log, closed) = LogStore::open(disk, owner, Arc::clone(&machine))?;
        Ok((machine, log, closed))
    };
    if let Disk::Memory(_) = disk {
        return open(disk, &owner);
    }
    let disk = disk.clone();
    tokio::task::spawn_blocking(move || open(&disk, &owner))
        .await
        .map_err(|error| StartError::Raft(error.to_string()))?
}

fn raft_config(config: &ReplicaConfig) -> Result<Config, StartError> {
    let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let raft = Config {
        cluster_name: config.cluster_id.clone(),
        heartbeat_interval: millis(config.timing.heartbeat),
        election_timeout_min: millis(config.timing.election_min),
        election_timeout_max: millis(config.timing.election_max),
        install_snapshot_timeout: millis(limits::SNAPSHOT_INSTALL),
        max_payload_entries: limits::APPEND_ENTRIES,
        snapshot_policy: SnapshotPolicy::LogsSinceLast(config.retention.snapshot_entries),
        max_in_snapshot_log_to_keep: config.retention.keep_entries,
        purge_batch_size: config.retention.snapshot_entries / 4,
        enable_pre_vote: Some(true),
        // A restarted leader is elected like anybody else: its state may be older than its term.
        enable_leader_restore: Some(false),
        backoff: "50ms 100ms 200ms ...500ms".to_owned(),
        ..Config::default()
    };
    raft.validate().map_err(|error| StartError::Raft(error.to_string()))
}

/// Keeps the status current.
async fn follow(
    raft: Raft,
    contact: Arc<LastContact>,
    status: watch::Sender<RaftStatus>,
    cancel: CancellationToken,
) {
    let mut metrics = raft.metrics();
    let mut ticks = interval(STATUS_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let now = status_of(&metrics.borrow_watched(), contact.is_recent());
        status.send_if_modified(|before| {
            let changed = *before != now;
            *before = now;
            changed
        });
        tokio::select! {
            () = cancel.cancelled() => return,
            changed = metrics.changed() => if changed.is_err() { return },
            _ = ticks.tick() => {}
        }
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

/// Writes the state down from time to time.
async fn checkpoint(machine: Arc<Machine>, cancel: CancellationToken) {
    loop {
        let due = timeout(limits::CHECKPOINT_INTERVAL, machine.checkpoint_due());
        if cancel.run_until_cancelled(due).await.is_none() {
            return;
        }
        if let Err(error) = machine.checkpoint().await {
            report(&error);
        }
    }
}

/// The log still has everything; but it grows until the state can be written again.
fn report(error: &io::Error) {
    tracing::error!(%error, "the state cannot be written to disk");
}
