//! Who is in the cluster, where, and alive.
//!
//! chitchat spreads each node's few key-values and heartbeats; its messages travel over our
//! [`Transport`], so only proven peers take part. Silence makes a suspect, and so does a host that
//! says that nobody listens at a peer's port. A suspect is dead once neither this node nor any
//! helper has got an answer from it for long enough: a starved machine falls silent by the
//! thousand without being dead. Each death is told to all, and each who is told probes for itself.
//! ADR 010 has the reasons and the numbers.
//!
//! `view`, `peer` and what they are made of decide, `driver` acts. Liveness and hints, never
//! truth: nothing durable may depend on what is said here.

mod accrual;
mod arrivals;
mod belief;
mod damping;
mod doubt;
mod driver;
mod gossip;
mod peer;
mod peers;
mod probe;
mod ring;
mod seeds;
mod told;
mod view;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex as SyncMutex},
    time::SystemTime,
};

use chitchat::{Chitchat, ChitchatConfig, FailureDetectorConfig};
use tokio::{
    sync::{Mutex, mpsc, watch},
    time::Instant,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use belief::{Belief, BeliefState, ProbeOutcome};
pub use peers::PeerStore;

use self::{
    arrivals::Arrivals,
    driver::{Driver, Sources},
    view::View,
};

use crate::{
    NodeId, Transport,
    limits::{
        DEAD_NODE_GRACE, DELETED_KEY_GRACE, EXPECTED_HEARTBEATS, GOSSIP_PAUSE_PHI, GOSSIP_UPKEEP,
        HEARTBEAT_WINDOW, MAX_PUBLISHED_BYTES, TIDINGS_QUEUE,
    },
};

/// Key under which a node publishes its name.
const NAME_KEY: &str = "name";
/// Key under which a node publishes its UDP address.
const ADDRESS_KEY: &str = "addr";

/// How this node takes part.
#[derive(Clone, Debug)]
pub struct MembershipConfig {
    /// Gossip of other clusters is refused.
    pub cluster_id: String,
    /// This node's name.
    pub name: String,
    /// Larger at each start of the node: milliseconds since 1970 will do.
    pub generation: u64,
    /// Where peers reach this node.
    pub advertise: SocketAddr,
    /// Where to look for others at first, and again whenever members are lost.
    pub seeds: Vec<SocketAddr>,
    /// Where peers are remembered across restarts.
    pub peer_store: Option<PeerStore>,
}

/// A node as this one sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its id.
    pub id: NodeId,
    /// Its name.
    pub name: String,
    /// Where it is.
    pub addr: SocketAddr,
    /// Whether it answers.
    pub alive: bool,
    /// Since when it does, or does not.
    pub since: SystemTime,
    /// What it publishes about itself.
    pub values: BTreeMap<String, String>,
}

/// Why membership did not start, or a value was not published.
#[derive(Debug, thiserror::Error)]
pub enum MembershipError {
    /// The gossip loop did not start.
    #[error("gossip did not start: {0}")]
    Start(String),
    /// Too much to publish by gossip.
    #[error("{key:?} and its value have {size} bytes, more than the {MAX_PUBLISHED_BYTES} allowed")]
    TooLarge {
        /// The key.
        key: String,
        /// Bytes of key and value.
        size: usize,
    },
    /// A key that membership itself uses.
    #[error("{0:?} is published by membership itself")]
    Reserved(String),
}

/// A handle to membership. Clones see the same members.
#[derive(Clone)]
pub struct Membership {
    chitchat: Arc<Mutex<Chitchat>>,
    members: watch::Receiver<Arc<Vec<Member>>>,
    view: Arc<SyncMutex<View>>,
}

impl Membership {
    /// Takes part from now on, until `stop`, and then says goodbye. Registers the gossip and probe
    /// protocols.
    ///
    /// # Errors
    /// [`MembershipError::Start`] if the gossip loop does not come up.
    pub async fn start(
        config: MembershipConfig,
        transport: Arc<dyn Transport>,
        tasks: &TaskTracker,
        stop: CancellationToken,
    ) -> Result<Self, MembershipError> {
        let remembered = config.peer_store.as_ref().map(PeerStore::load).unwrap_or_default();
        for peer in &remembered {
            transport.set_address(peer.id, peer.addr);
        }
        let (tidings_sender, tidings) = mpsc::channel(TIDINGS_QUEUE);
        probe::serve(&transport, tidings_sender);
        let published = vec![
            (NAME_KEY.to_owned(), config.name.clone()),
            (ADDRESS_KEY.to_owned(), config.advertise.to_string()),
        ];
        let arrivals = Arc::new(Arrivals::default());
        let gossip_transport =
            gossip::GossipTransport::start(&transport, Arc::clone(&arrivals), tasks, &stop);
        let chitchat_config = chitchat_config(&config, transport.local_id());
        let gossip = chitchat::spawn_chitchat(chitchat_config, published, &gossip_transport)
            .await
            .map_err(|error| MembershipError::Start(error.to_string()))?;

        let sources = Sources { gossip, arrivals, tidings, refusals: transport.refusals() };
        let view = View::new(transport.local_id());
        let driver = Driver::new(sources, Arc::clone(&transport), view, remembered);
        let (chitchat, members, view) = (driver.chitchat(), driver.members(), driver.view());
        let seeds = seeds::Seeds::new(&config, driver.remembered(), transport, members.clone());
        let greet = driver.greeter();
        if let Some(store) = config.peer_store {
            tasks.spawn(peers::save_changes(store, driver.remembered()));
        }
        tasks.spawn(stop.clone().run_until_cancelled_owned(seeds.run(greet)));
        tasks.spawn(driver.run(stop));
        Ok(Self { chitchat, members, view })
    }

    /// Every node known, this one included, ordered by id; changes as the view does.
    pub fn members(&self) -> watch::Receiver<Arc<Vec<Member>>> {
        self.members.clone()
    }

    /// What this node believes of every node at this moment, itself included, ordered by id.
    pub fn beliefs(&self) -> Vec<Belief> {
        driver::lock(&self.view).beliefs(Instant::now())
    }

    /// Publishes a hint about this node to all others.
    ///
    /// # Errors
    /// A hint that is too large, or one of membership's own keys.
    pub async fn set(&self, key: &str, value: &str) -> Result<(), MembershipError> {
        if [NAME_KEY, ADDRESS_KEY].contains(&key) {
            return Err(MembershipError::Reserved(key.to_owned()));
        }
        let size = key.len() + value.len();
        if size > MAX_PUBLISHED_BYTES {
            return Err(MembershipError::TooLarge { key: key.to_owned(), size });
        }
        self.chitchat.lock().await.self_node_state().set(key, value);
        Ok(())
    }
}

fn chitchat_config(config: &MembershipConfig, id: NodeId) -> ChitchatConfig {
    ChitchatConfig {
        chitchat_id: gossip::chitchat_id(id, config.generation),
        cluster_id: config.cluster_id.clone(),
        // The driver begins the rounds: chitchat could not change how often.
        gossip_interval: GOSSIP_UPKEEP,
        listen_addr: gossip::virtual_address(id),
        seed_nodes: Vec::new(),
        failure_detector_config: FailureDetectorConfig {
            phi_threshold: GOSSIP_PAUSE_PHI,
            sampling_window_size: HEARTBEAT_WINDOW,
            max_interval: GOSSIP_UPKEEP,
            initial_interval: EXPECTED_HEARTBEATS,
            dead_node_grace_period: DEAD_NODE_GRACE,
        },
        marked_for_deletion_grace_period: DELETED_KEY_GRACE,
        catchup_callback: None,
        extra_liveness_predicate: None,
    }
}

#[cfg(test)]
mod tests;
