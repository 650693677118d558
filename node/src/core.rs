//! What makes a node a member of its cluster, over any transport and any disk: replica,
//! membership, liveness, its registration.
//!
//! [`Core::start`] does it at once. A node that has something to do between opening its replica
//! and joining the gossip goes by [`Opened`].

mod pumps;
mod registered;
mod replica;
mod roster;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use jiff::Timestamp;
use skein_consensus::{
    Decision, FoundError, NodeStore, Peers, RaftStatus, Replica, ReplicaConfig, SharedStore,
    StartError,
};
use skein_net::{Membership, MembershipConfig, MembershipError, NodeId, Transport};
use skein_storage::Storage;
use tokio::{
    sync::{broadcast, watch},
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    authority::Authority,
    division::Side,
    gate::Gate,
    liveness::Liveness,
    registration::{Registration, Registrations},
};
pub use registered::Departure;
pub(crate) use replica::SharedReplica;

/// The version of this binary, as nodes tell each other.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Under which key members gossip their version.
pub(crate) const VERSION_KEY: &str = "version";

/// Under which key members gossip that they only vote.
pub(crate) const WITNESS_KEY: &str = "witness";

/// How long the first node of a cluster may take to elect itself.
const FOUNDING_DEADLINE: Duration = Duration::from_secs(30);

/// The node label whose value is the failure zone.
const ZONE_LABEL: &str = "topology.kubernetes.io/zone";

/// What the core of a node is told.
pub struct CoreConfig {
    /// How it speaks to its peers.
    pub transport: Arc<dyn Transport>,
    /// Its replica.
    pub replica: ReplicaConfig,
    /// Its part in the gossip: name, address, where peers may be.
    pub membership: MembershipConfig,
    /// The labels of its Node object; one of them names its failure zone.
    pub labels: BTreeMap<String, String>,
    /// Whether it only votes: it stands by for no leader and runs no pods.
    pub witness: bool,
}

/// Why the core of a node did not start.
#[derive(Debug, thiserror::Error)]
pub enum CoreError {
    /// The replica could not be opened.
    #[error("the replica cannot be opened")]
    Replica(#[from] StartError),
    /// The Raft group could not be founded.
    #[error("the cluster cannot be founded")]
    Found(#[from] FoundError),
    /// The first node did not elect itself.
    #[error("the first node did not become leader in time")]
    NoLeader,
    /// The gossip could not be joined.
    #[error("the gossip cannot be joined")]
    Membership(#[from] MembershipError),
}

/// A replica that is open and serves its peers, on a node that has not joined the gossip yet.
pub struct Opened {
    config: CoreConfig,
    gate: Arc<Gate>,
    outcasts: watch::Sender<Arc<BTreeSet<NodeId>>>,
    replica: Replica,
    store: SharedStore,
    peers: watch::Sender<Peers>,
}

impl Opened {
    /// Opens the replica.
    ///
    /// # Errors
    /// [`CoreError::Replica`].
    pub async fn open(config: CoreConfig) -> Result<Self, CoreError> {
        let (peers, known) = watch::channel(Peers::default());
        let (outcasts, refused) = watch::channel(Arc::default());
        let gate = Arc::new(Gate::new(config.transport.clone(), refused));
        let replica = Replica::start(config.replica.clone(), gate.clone(), known.clone()).await?;
        let store = NodeStore::new(&replica, known);
        Ok(Self { config, gate, outcasts, replica, store, peers })
    }

    /// The store, as far as it can be reached without gossip.
    pub(crate) fn authority(&self) -> Authority {
        Authority::new(self.store.clone())
    }

    /// Makes this node the first of a new cluster; does nothing where it is of one already.
    ///
    /// # Errors
    /// Where it does not become leader.
    pub async fn found(&self) -> Result<(), CoreError> {
        self.replica.initialize().await?;
        let mut status = self.replica.status();
        let led = status.wait_for(|status| status.leader.is_some());
        match timeout(FOUNDING_DEADLINE, led).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(CoreError::NoLeader),
        }
    }

    /// Joins the gossip, and registers the node as soon as that can be.
    ///
    /// # Errors
    /// [`CoreError::Membership`].
    pub async fn join(self) -> Result<Core, CoreError> {
        let Self { config, gate, outcasts, replica, store, peers } = self;
        let (tasks, cancel) = (TaskTracker::new(), CancellationToken::new());
        let own = Registration {
            id: gate.local_id(),
            name: config.membership.name.clone(),
            address: config.membership.advertise,
        };
        let cluster_id = config.membership.cluster_id.clone();
        let transport: Arc<dyn Transport> = gate.clone();
        let membership =
            Membership::start(config.membership, transport.clone(), &tasks, cancel.clone()).await?;
        introduce(&membership, &config.labels, config.witness).await?;
        let registrations = Registrations::new(store.clone());
        let roster = roster::follow(registrations.clone(), &tasks, cancel.clone());
        roster::cast_out(roster.clone(), replica.status(), outcasts, &tasks, cancel.clone());
        let liveness = Liveness::start(&membership, roster.clone(), &tasks, cancel.clone());
        let sources = pumps::Sources {
            members: membership.members(),
            roster: roster.clone(),
            raft: replica.status(),
        };
        pumps::peers(sources, peers, &tasks, cancel.clone());
        pumps::role(membership.clone(), replica.status(), &tasks, cancel.clone());
        let sides = pumps::sides(membership.members(), &tasks, cancel.clone());
        let name = own.name.clone();
        let place = registered::Place {
            registrations: registrations.clone(),
            own,
            roster,
            refused: gate.refused(),
        };
        let departure = place.keep(&tasks, cancel.clone());
        tasks.close();
        Ok(Core {
            name,
            cluster_id,
            storage: Storage::new(store.clone()),
            transport,
            raft: replica.status(),
            decisions: replica.decisions(),
            restart: replica.restart_requested(),
            replica: SharedReplica::new(replica),
            store,
            membership,
            sides,
            liveness,
            registrations,
            departure,
            tasks,
            cancel,
        })
    }
}

/// Tells the others what they need to know of this node.
async fn introduce(
    membership: &Membership,
    labels: &BTreeMap<String, String>,
    witness: bool,
) -> Result<(), MembershipError> {
    membership.set(VERSION_KEY, VERSION).await?;
    if let Some(zone) = labels.get(ZONE_LABEL) {
        membership.set(pumps::ZONE_KEY, zone).await?;
    }
    if witness {
        membership.set(WITNESS_KEY, "true").await?;
    }
    Ok(())
}

/// A node that is a member and holds or reaches the store.
pub struct Core {
    pub(crate) name: String,
    pub(crate) cluster_id: String,
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) replica: SharedReplica,
    pub(crate) raft: watch::Receiver<RaftStatus>,
    pub(crate) store: SharedStore,
    pub(crate) storage: Storage,
    pub(crate) membership: Membership,
    pub(crate) sides: watch::Receiver<Vec<Side>>,
    pub(crate) liveness: Liveness,
    pub(crate) registrations: Registrations,
    departure: watch::Receiver<Option<Departure>>,
    decisions: broadcast::Receiver<Decision>,
    restart: CancellationToken,
    tasks: TaskTracker,
    cancel: CancellationToken,
}

impl Core {
    /// Opens the replica, founds a cluster where `founds`, and joins the gossip.
    ///
    /// # Errors
    /// What keeps the node from being a member.
    pub async fn start(config: CoreConfig, founds: bool) -> Result<Self, CoreError> {
        let opened = Opened::open(config).await?;
        if founds {
            opened.found().await?;
        }
        opened.join().await
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What its replica is doing, and its changes.
    pub fn status(&self) -> watch::Receiver<RaftStatus> {
        self.raft.clone()
    }

    /// The store, through its own replica or a peer's.
    pub fn store(&self) -> &SharedStore {
        &self.store
    }

    /// The objects in the store.
    pub fn storage(&self) -> &Storage {
        &self.storage
    }

    /// Its part in the gossip.
    pub fn membership(&self) -> &Membership {
        &self.membership
    }

    /// The controllers' view of which nodes are alive, until the node stops.
    pub(crate) fn node_liveness(
        &self,
        tasks: &TaskTracker,
        cancel: CancellationToken,
    ) -> watch::Receiver<skein_controllers::Liveness> {
        pumps::node_liveness(&self.liveness, tasks, cancel)
    }

    /// Returns once this node is no longer part of the cluster.
    pub async fn departed(&self) -> Departure {
        let mut departure = self.departure.clone();
        let departed = departure.wait_for(Option::is_some).await.ok().and_then(|seen| *seen);
        match departed {
            Some(departure) => departure,
            // It stopped being watched for, as the node stops.
            None => std::future::pending().await,
        }
    }

    /// What the autopilot decides from now on, while this node leads.
    pub(crate) fn decisions(&self) -> broadcast::Receiver<Decision> {
        self.decisions.resubscribe()
    }

    /// Returns once the replica has an order that is carried out when the node starts again.
    pub async fn restart_requested(&self) {
        self.restart.cancelled().await;
    }

    /// Hands leadership over if this node leads, for a planned stop: first of all, so that the
    /// others go on while this node still ends what it has begun.
    pub async fn hand_over(&self) {
        self.replica.hand_over().await;
    }

    /// Hands leadership over, leaves the gossip, and closes the replica's files.
    pub async fn stop(self) {
        if let Some(replica) = self.replica.take().await {
            replica.shutdown().await;
        }
        self.cancel.cancel();
        self.tasks.wait().await;
    }

    /// Stops at once and leaves everything as it is, as a crash does: for tests of what comes
    /// after one.
    pub async fn abort(self) {
        self.cancel.cancel();
        if let Some(replica) = self.replica.take().await {
            replica.abort().await;
        }
        self.tasks.wait().await;
    }
}

/// A generation for [`MembershipConfig`], larger at each start: milliseconds since 1970.
pub fn generation(now: SystemTime) -> u64 {
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// A time of the system's clock for the API.
pub(crate) fn timestamp(time: SystemTime) -> Timestamp {
    Timestamp::try_from(time).unwrap_or_default()
}
