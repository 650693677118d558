//! Performs what the view decides: knocks, probes, tidings, published members, addresses, the
//! remembered peers.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex as SyncMutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use chitchat::{Chitchat, ChitchatHandle};
use futures::future::join_all;
use rand::{SeedableRng, rngs::StdRng};
use tokio::{
    sync::{Mutex, broadcast, mpsc, watch},
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{
    Member, NAME_KEY,
    arrivals::Arrivals,
    gossip, peers,
    probe::{self, Tidings},
    view::{Action, Gossiped, Probed, View},
};
use crate::{
    NodeId, PeerAddress, Transport,
    limits::{LOOK_EVERY, MAX_PROBES, PROBE_DEADLINE, READS_PER_INTERVAL},
};

/// What others bring to the driver.
pub(super) struct Sources {
    pub(super) gossip: ChitchatHandle,
    pub(super) arrivals: Arc<Arrivals>,
    pub(super) tidings: mpsc::Receiver<Tidings>,
    pub(super) refusals: broadcast::Receiver<NodeId>,
}

pub(super) struct Driver {
    gossip: Arc<ChitchatHandle>,
    chitchat: Arc<Mutex<Chitchat>>,
    arrivals: Arc<Arrivals>,
    tidings: mpsc::Receiver<Tidings>,
    refusals: broadcast::Receiver<NodeId>,
    transport: Arc<dyn Transport>,
    /// Read from outside as well, never for longer than a look.
    view: Arc<SyncMutex<View>>,
    rng: StdRng,
    probes: JoinSet<Option<Probed>>,
    published: watch::Sender<Arc<Vec<Member>>>,
    remembered: watch::Sender<Vec<PeerAddress>>,
}

/// The view; whoever panicked with it in hand left it whole.
pub(super) fn lock(view: &SyncMutex<View>) -> MutexGuard<'_, View> {
    view.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Driver {
    pub(super) fn new(
        sources: Sources,
        transport: Arc<dyn Transport>,
        view: View,
        remembered: Vec<PeerAddress>,
    ) -> Self {
        let Sources { gossip, arrivals, tidings, refusals } = sources;
        Self {
            chitchat: gossip.chitchat(),
            gossip: Arc::new(gossip),
            arrivals,
            tidings,
            refusals,
            transport,
            view: Arc::new(SyncMutex::new(view)),
            rng: StdRng::from_rng(&mut rand::rng()),
            probes: JoinSet::new(),
            published: watch::Sender::default(),
            remembered: watch::Sender::new(remembered),
        }
    }

    pub(super) fn chitchat(&self) -> Arc<Mutex<Chitchat>> {
        Arc::clone(&self.chitchat)
    }

    pub(super) fn view(&self) -> Arc<SyncMutex<View>> {
        Arc::clone(&self.view)
    }

    pub(super) fn members(&self) -> watch::Receiver<Arc<Vec<Member>>> {
        self.published.subscribe()
    }

    /// The peers to remember, from now on.
    pub(super) fn remembered(&self) -> watch::Receiver<Vec<PeerAddress>> {
        self.remembered.subscribe()
    }

    /// Starts gossip with a node.
    pub(super) fn greeter(&self) -> impl Fn(NodeId) + Send + use<> {
        let gossip = Arc::clone(&self.gossip);
        move |id| {
            if let Err(error) = gossip.gossip(gossip::virtual_address(id)) {
                tracing::debug!(%id, %error, "gossip has stopped");
            }
        }
    }

    /// Goes on until `stop`, then says goodbye.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut read, mut round) = (Instant::now(), Instant::now());
        let (gossip, mut gossiping) = (self.gossip.termination_watcher(), true);
        tokio::pin!(gossip);
        loop {
            let due = lock(&self.view).due().filter(|due| *due > Instant::now());
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some(done) = self.probes.join_next() => {
                    if let Ok(Some(probed)) = done {
                        lock(&self.view).probed(probed, Instant::now(), SystemTime::now());
                    }
                }
                Ok(peer) = self.refusals.recv() => {
                    self.refused(peer);
                    self.look();
                }
                Some(tidings) = self.tidings.recv() => {
                    self.take_tidings(tidings);
                    self.look();
                }
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => self.look(),
                ended = &mut gossip, if gossiping => {
                    // Life and death are found out without it; news travels no more.
                    tracing::error!(?ended, "gossip has stopped on this node: restart it");
                    gossiping = false;
                }
                _ = looks.tick() => {
                    let now = Instant::now();
                    let interval = lock(&self.view).interval();
                    if now >= round {
                        round = now + interval;
                        self.gossip_round();
                    }
                    if now >= read {
                        read = now + interval / READS_PER_INTERVAL;
                        self.read_gossip().await;
                    }
                    self.take_arrivals();
                    self.look();
                }
            }
            self.publish();
        }
        self.leave().await;
    }

    fn gossip_round(&mut self) {
        let partners = lock(&self.view).partners(&mut self.rng);
        partners.into_iter().for_each(self.greeter());
    }

    async fn read_gossip(&self) {
        let chitchat = self.chitchat.lock().await;
        let mut view = lock(&self.view);
        let gossiped = read(&chitchat, &view);
        view.gossiped(gossiped, Instant::now(), SystemTime::now());
    }

    fn take_arrivals(&self) {
        let (now, wall) = (Instant::now(), SystemTime::now());
        let mut view = lock(&self.view);
        for (from, arrival) in self.arrivals.take() {
            view.heard(from, arrival, now, wall);
        }
    }

    fn refused(&mut self, peer: NodeId) {
        let (now, wall) = (Instant::now(), SystemTime::now());
        let actions = lock(&self.view).refused(peer, now, wall, &mut self.rng);
        self.perform(actions);
    }

    fn take_tidings(&mut self, tidings: Tidings) {
        let (now, wall) = (Instant::now(), SystemTime::now());
        let actions = match tidings {
            Tidings::Dead { node, run } => {
                lock(&self.view).told(node, run, now, wall, &mut self.rng)
            }
            Tidings::Goodbye { node, run } => {
                lock(&self.view).left(node, run, now, wall, &mut self.rng)
            }
            Tidings::Refused { node, run } => {
                lock(&self.view).hinted(node, run, now, &mut self.rng)
            }
        };
        self.perform(actions);
    }

    fn look(&mut self) {
        let now = Instant::now();
        let actions = lock(&self.view).look(now, SystemTime::now(), &mut self.rng);
        self.perform(actions);
    }

    fn perform(&mut self, actions: Vec<Action>) {
        for action in actions {
            let transport = Arc::clone(&self.transport);
            if let Action::Knock(peer) = action {
                transport.knock(peer);
                continue;
            }
            if self.probes.len() >= MAX_PROBES {
                tracing::debug!(?action, "too many probes are under way");
                continue;
            }
            self.probes.spawn(perform(transport, action));
        }
    }

    /// Shows what has changed, and sees to it that the transport knows where everybody is.
    fn publish(&self) {
        let Some(members) = lock(&self.view).take_members() else { return };
        if **self.published.borrow() != members {
            self.learn_addresses(&members);
            self.remember(&members);
            self.published.send_replace(Arc::new(members));
        }
    }

    fn learn_addresses(&self, members: &[Member]) {
        for member in members.iter().filter(|member| member.id != self.transport.local_id()) {
            if self.transport.address(member.id) != Some(member.addr) {
                self.transport.set_address(member.id, member.addr);
            }
        }
    }

    fn remember(&self, members: &[Member]) {
        let address = |member: &Member| PeerAddress {
            id: member.id,
            name: member.name.clone(),
            addr: member.addr,
        };
        let present: Vec<_> = members.iter().map(address).collect();
        self.remembered.send_if_modified(|remembered| {
            let merged = peers::merge(&present, remembered, self.transport.local_id());
            let changed = merged != *remembered;
            *remembered = merged;
            changed
        });
    }

    /// Ends gossip and tells the others that this node goes, so that nobody has to find out.
    async fn leave(mut self) {
        if let Err(error) = self.gossip.initiate_shutdown() {
            tracing::debug!(%error, "gossip had stopped before");
        }
        let run = self.gossip.chitchat_id().generation_id;
        let to = lock(&self.view).goodbyes(&mut self.rng);
        let transport = self.transport.as_ref();
        let goodbye = Tidings::Goodbye { node: transport.local_id(), run };
        join_all(to.into_iter().map(|to| probe::tell(transport, to, goodbye))).await;
    }
}

/// Performs an action that takes time; the outcome, if it is one of a probe.
async fn perform(transport: Arc<dyn Transport>, action: Action) -> Option<Probed> {
    let (transport, asked) = (transport.as_ref(), Instant::now());
    match action {
        Action::Knock(peer) => {
            transport.knock(peer);
            None
        }
        Action::Probe { peer, through: None } => {
            let answered = probe::reach(transport, peer, PROBE_DEADLINE).await;
            Some(Probed { peer, direct: true, answered, asked })
        }
        Action::Probe { peer, through: Some(helper) } => {
            let answered = probe::reach_through(transport, helper, peer).await;
            Some(Probed { peer, direct: false, answered, asked })
        }
        Action::Tell { to, tidings } => {
            probe::tell(transport, to, tidings).await;
            None
        }
    }
}

/// What chitchat says of each node now: of its latest run that has said who it is.
fn read(chitchat: &Chitchat, view: &View) -> Vec<Gossiped> {
    let mut latest = BTreeMap::new();
    for (run, state) in chitchat.node_states() {
        let Some(id) = gossip::node_at(run.gossip_advertise_addr) else { continue };
        if !state.contains_key(NAME_KEY) {
            continue;
        }
        let known = latest.entry(id).or_insert((run.generation_id, state));
        if known.0 < run.generation_id {
            *known = (run.generation_id, state);
        }
    }
    let describe = |(id, (run, state)): (NodeId, (u64, &chitchat::NodeState))| {
        let version = state.max_version();
        let owned = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
        let values =
            (!view.knows(id, run, version)).then(|| state.key_values().map(owned).collect());
        Gossiped { id, run, heartbeat: state.heartbeat().into(), version, values }
    };
    latest.into_iter().map(describe).collect()
}
