//! An in-memory network with injected faults, for tests of everything above the transport.
//!
//! All randomness comes from one seed, and each direction of each pair draws from a generator of
//! its own, so under a paused tokio clock on one thread the same seed gives the same run. Delay
//! and loss act on every request and every answer; a lost one leaves the caller to its deadline,
//! as a dead peer does. Nodes of one network know each other's addresses from the start.
//!
//! Deliberately simple: bytes inside an open stream take no time, and a stream over a link that is
//! cut breaks at once, where QUIC would notice after its idle timeout. A stalled node's tasks run
//! on; what it is told and what it says wait.

mod faults;
mod stream;
mod traffic;
mod transport;

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub use traffic::Traffic;
pub use transport::MemoryTransport;

use self::{faults::Faults, transport::Incarnation};
use crate::{NodeId, Protocol};

/// UDP port of every node of an in-memory network; the addresses differ.
const PORT: u16 = 7600;

/// A network of nodes in one process. Clones are handles to the same network.
#[derive(Clone)]
pub struct MemoryNetwork {
    state: Arc<Mutex<State>>,
}

struct State {
    faults: Faults,
    nodes: BTreeMap<NodeId, Node>,
    streams: Vec<LiveStream>,
    traffic: BTreeMap<(NodeId, NodeId, u8), Traffic>,
}

struct Node {
    address: SocketAddr,
    /// Nothing while the node is crashed.
    running: Option<Arc<Incarnation>>,
}

struct LiveStream {
    ends: (NodeId, NodeId),
    broken: CancellationToken,
}

/// What happens to one message on its way.
struct Passage {
    delay: Duration,
    copies: u32,
}

impl MemoryNetwork {
    /// An empty network without delay or loss, whose faults are drawn from `seed`.
    pub fn new(seed: u64) -> Self {
        let state = State {
            faults: Faults::new(seed),
            nodes: BTreeMap::new(),
            streams: Vec::new(),
            traffic: BTreeMap::new(),
        };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// The transport of `id`, started if it is new or has crashed.
    pub fn transport(&self, id: NodeId) -> Arc<MemoryTransport> {
        let mut state = self.lock();
        let next = u32::try_from(state.nodes.len()).unwrap_or(u32::MAX).wrapping_add(1);
        let node = state.nodes.entry(id).or_insert_with(|| Node {
            address: SocketAddr::new(Ipv4Addr::from_bits(0x0a4d_0000 | next).into(), PORT),
            running: None,
        });
        let incarnation = node.running.get_or_insert_with(|| Arc::new(Incarnation::new(id)));
        Arc::new(MemoryTransport::new(self.clone(), Arc::clone(incarnation)))
    }

    /// Where `id` is, if it was ever part of the network.
    pub fn address(&self, id: NodeId) -> Option<SocketAddr> {
        self.lock().nodes.get(&id).map(|node| node.address)
    }

    /// Every message from now on takes between `min` and `max`.
    pub fn set_delay(&self, min: Duration, max: Duration) {
        self.lock().faults.set_delay(min, max);
    }

    /// Every message from now on is lost with this probability, 0 to 1.
    pub fn set_loss(&self, probability: f64) {
        self.lock().faults.set_loss(probability);
    }

    /// Every request from now on arrives twice with this probability, 0 to 1.
    pub fn set_duplication(&self, probability: f64) {
        self.lock().faults.set_duplication(probability);
    }

    /// Nothing passes between `a` and `b` any more.
    pub fn cut(&self, a: NodeId, b: NodeId) {
        self.cut_one_way(a, b);
        self.cut_one_way(b, a);
    }

    /// Nothing passes from `from` to `to` any more; the way back stays.
    pub fn cut_one_way(&self, from: NodeId, to: NodeId) {
        let mut state = self.lock();
        state.faults.cut(from, to);
        state.break_streams(|ends| ends == (from, to) || ends == (to, from));
    }

    /// Everything passes between `a` and `b` again, unless one of them is isolated.
    pub fn heal(&self, a: NodeId, b: NodeId) {
        let mut state = self.lock();
        state.faults.heal(a, b);
        state.faults.heal(b, a);
    }

    /// Nothing passes to or from `node` any more, also not with nodes that come later.
    pub fn isolate(&self, node: NodeId) {
        let mut state = self.lock();
        state.faults.isolate(node);
        state.break_streams(|(a, b)| a == node || b == node);
    }

    /// Everything to and from `node` waits for `duration` from now, as when its host is starved or
    /// its process stopped; nothing of it is lost.
    pub fn stall(&self, node: NodeId, duration: Duration) {
        self.lock().faults.stall(node, Instant::now() + duration);
    }

    /// Tells `node` that nobody listens at `about`'s port, whether that is true or not.
    pub fn spoof_refusal(&self, node: NodeId, about: NodeId) {
        let running = self.lock().nodes.get(&node).and_then(|node| node.running.clone());
        if let Some(incarnation) = running {
            incarnation.refused(about);
        }
    }

    /// What `node` has sent since the network began, requests and answers of one protocol.
    pub fn sent(&self, node: NodeId, protocol: Protocol) -> Traffic {
        let state = self.lock();
        let links = state.traffic.range((node, NodeId(0), 0)..=(node, NodeId(u64::MAX), u8::MAX));
        links.filter(|((_, _, tag), _)| *tag == protocol.tag()).map(|(_, traffic)| *traffic).sum()
    }

    /// What has gone from one node to another since the network began, over all protocols.
    pub fn sent_between(&self, from: NodeId, to: NodeId) -> Traffic {
        let state = self.lock();
        state.traffic.range((from, to, 0)..=(from, to, u8::MAX)).map(|(_, traffic)| *traffic).sum()
    }

    /// Takes back every cut and isolation. Delay, loss and duplication stay.
    pub fn heal_all(&self) {
        self.lock().faults.heal_all();
    }

    /// Ends `node` as `kill -9` does: its handlers are gone, what they were doing stops where it
    /// was, messages to it vanish. [`MemoryNetwork::transport`] starts it again, empty.
    pub fn crash(&self, node: NodeId) {
        let mut state = self.lock();
        let running = state.nodes.get_mut(&node).and_then(|node| node.running.take());
        state.break_streams(|(a, b)| a == node || b == node);
        drop(state);
        if let Some(incarnation) = running {
            incarnation.end();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Decides what becomes of a message sent now; nothing if it is lost.
    fn send(&self, from: NodeId, to: NodeId) -> Option<Passage> {
        self.lock().faults.send(from, to, Instant::now())
    }

    /// How long a message that arrives at `node` now still waits.
    fn held(&self, node: NodeId) -> Duration {
        self.lock().faults.held(node, Instant::now())
    }

    fn count(&self, from: NodeId, to: NodeId, protocol: Protocol, bytes: usize) {
        self.lock().traffic.entry((from, to, protocol.tag())).or_default().add(bytes);
    }

    /// After which time a knock is refused, if it is: its receiver has crashed and the messages
    /// there and back arrive.
    fn knock(&self, from: NodeId, to: NodeId) -> Option<Duration> {
        let mut state = self.lock();
        if state.nodes.get(&to)?.running.is_some() {
            return None;
        }
        let there = state.faults.send(from, to, Instant::now())?;
        let back = state.faults.send(to, from, Instant::now())?;
        Some(there.delay + back.delay)
    }

    /// Who receives a message that left `from` and arrives at `to` now.
    fn receive(&self, from: NodeId, to: NodeId) -> Option<Arc<Incarnation>> {
        let state = self.lock();
        if !state.faults.passes(from, to) {
            return None;
        }
        state.nodes.get(&to)?.running.clone()
    }

    fn at(&self, address: SocketAddr) -> Option<NodeId> {
        let state = self.lock();
        state.nodes.iter().find(|(_, node)| node.address == address).map(|(id, _)| *id)
    }

    /// The token that is cancelled when a stream between the two must break.
    fn track_stream(&self, a: NodeId, b: NodeId) -> CancellationToken {
        let mut state = self.lock();
        state.streams.retain(|stream| !stream.broken.is_cancelled());
        let broken = CancellationToken::new();
        state.streams.push(LiveStream { ends: (a, b), broken: broken.clone() });
        broken
    }
}

impl State {
    fn break_streams(&mut self, hit: impl Fn((NodeId, NodeId)) -> bool) {
        self.streams.retain(|stream| {
            let hit = hit(stream.ends);
            if hit {
                stream.broken.cancel();
            }
            !hit
        });
    }
}

#[cfg(test)]
mod tests;
