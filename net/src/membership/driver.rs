//! Performs what the view decides: probes, published members, addresses, the remembered peers.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, SystemTime},
};

use chitchat::{Chitchat, ChitchatHandle};
use tokio::{
    sync::{Mutex, watch},
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

use super::{
    Member, NAME_KEY, gossip, peers,
    probe::confirm_dead,
    view::{Observed, View},
};
use crate::{NodeId, PeerAddress, Transport, limits::PROBE_DEADLINE};

pub(super) struct Driver {
    handle: Arc<ChitchatHandle>,
    chitchat: Arc<Mutex<Chitchat>>,
    transport: Arc<dyn Transport>,
    view: View,
    probes: JoinSet<(NodeId, bool)>,
    published: watch::Sender<Arc<Vec<Member>>>,
    remembered: watch::Sender<Vec<PeerAddress>>,
}

impl Driver {
    pub(super) fn new(
        handle: ChitchatHandle,
        transport: Arc<dyn Transport>,
        remembered: Vec<PeerAddress>,
    ) -> (Self, watch::Receiver<Arc<Vec<Member>>>) {
        let (published, members) = watch::channel(Arc::default());
        let chitchat = handle.chitchat();
        let (view, probes) = (View::default(), JoinSet::new());
        let handle = Arc::new(handle);
        let remembered = watch::Sender::new(remembered);
        (Self { handle, chitchat, transport, view, probes, published, remembered }, members)
    }

    pub(super) fn chitchat(&self) -> Arc<Mutex<Chitchat>> {
        Arc::clone(&self.chitchat)
    }

    /// The peers to remember, from now on.
    pub(super) fn remembered(&self) -> watch::Receiver<Vec<PeerAddress>> {
        self.remembered.subscribe()
    }

    /// Starts gossip with a node.
    pub(super) fn greeter(&self) -> impl Fn(NodeId) + Send + use<> {
        let handle = Arc::clone(&self.handle);
        move |id| {
            if let Err(error) = handle.gossip(gossip::virtual_address(id)) {
                tracing::debug!(%id, %error, "gossip has stopped");
            }
        }
    }

    pub(super) async fn run(mut self, every: Duration, stop: CancellationToken) {
        let mut ticks = interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut changes = self.chitchat.lock().await.live_nodes_watcher();
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some(Ok((id, dead))) = self.probes.join_next() => {
                    self.view.probed(id, !dead, Instant::now(), SystemTime::now());
                }
                Ok(()) = changes.changed() => {}
                _ = ticks.tick() => {}
            }
            self.step().await;
        }
        if let Err(error) = self.handle.initiate_shutdown() {
            tracing::debug!(%error, "gossip had stopped before");
        }
    }

    async fn step(&mut self) {
        let observed = observe(&*self.chitchat.lock().await);
        let suspects = self.view.observe(observed, Instant::now(), SystemTime::now());
        let helpers = self.view.helpers(self.transport.local_id());
        for suspect in suspects {
            let (transport, helpers) = (Arc::clone(&self.transport), helpers.clone());
            self.probes.spawn(async move {
                let dead =
                    confirm_dead(transport.as_ref(), suspect, &helpers, PROBE_DEADLINE).await;
                (suspect, dead)
            });
        }
        let members = self.view.members();
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
}

/// What chitchat says of each node: the values of its latest run that has said who it is, and
/// whether any run of it is live.
fn observe(chitchat: &Chitchat) -> Vec<Observed> {
    let live: std::collections::HashSet<_> = chitchat.live_nodes().collect();
    let mut nodes: BTreeMap<NodeId, (u64, Observed)> = BTreeMap::new();
    for (run, state) in chitchat.node_states() {
        let Some(id) = gossip::node_at(run.gossip_advertise_addr) else { continue };
        if state.get(NAME_KEY).is_none() {
            continue;
        }
        let alive = live.contains(run);
        let values = state.key_values().map(|(key, value)| (key.to_owned(), value.to_owned()));
        let new = || Observed { id, live: alive, values: values.collect() };
        match nodes.get_mut(&id) {
            Some((generation, known)) if *generation >= run.generation_id => known.live |= alive,
            Some((generation, known)) => {
                let live = known.live || alive;
                (*generation, *known) = (run.generation_id, Observed { live, ..new() });
            }
            None => {
                nodes.insert(id, (run.generation_id, new()));
            }
        }
    }
    nodes.into_values().map(|(_, observed)| observed).collect()
}
