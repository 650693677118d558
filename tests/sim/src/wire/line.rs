//! One process's end of the simulated network: the `Transport` it is given.

use std::{
    collections::{BTreeMap, HashMap},
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use skein_net::{BoxedStream, Handler, NodeId, Protocol, RpcError, Transport};
use tokio::{
    sync::{broadcast, oneshot},
    time::timeout,
};
use tokio_util::task::TaskTracker;

use super::{
    Message, Packet, Wire,
    stream::{Link, Pipe, SimulatedStream},
};
use crate::{limits::REFUSALS, power::Power};

/// The UDP port of every host; the addresses differ.
const PORT: u16 = 7600;

/// Longest time a call waits for an answer, whatever its deadline.
const CALL_MAX: Duration = Duration::from_secs(600);

type Answer = Result<Bytes, RpcError>;

/// The transport of one run of a host.
pub(crate) struct Line {
    wire: Wire,
    pub(super) id: NodeId,
    pub(super) run: u64,
    power: Power,
    state: Mutex<State>,
    refusals: broadcast::Sender<NodeId>,
    /// What serves peers; ends with the runtime it runs on.
    tasks: TaskTracker,
}

#[derive(Default)]
struct State {
    handlers: BTreeMap<u8, Arc<dyn Handler>>,
    calls: BTreeMap<u64, oneshot::Sender<Answer>>,
    addresses: HashMap<NodeId, SocketAddr>,
}

/// Where a host is.
pub(crate) fn address_of(id: NodeId) -> SocketAddr {
    let last = u16::try_from(id.0).unwrap_or(u16::MAX).to_be_bytes();
    (Ipv4Addr::new(10, 77, last[0], last[1]), PORT).into()
}

/// The host at an address.
fn host_at(address: SocketAddr) -> Option<NodeId> {
    let SocketAddr::V4(address) = address else { return None };
    let [10, 77, high, low] = address.ip().octets() else { return None };
    Some(NodeId(u16::from_be_bytes([high, low]).into()))
}

impl Line {
    pub(super) fn new(wire: Wire, id: NodeId, run: u64, power: Power) -> Self {
        let refusals = broadcast::Sender::new(REFUSALS);
        let (state, tasks) = (Mutex::default(), TaskTracker::new());
        Self { wire, id, run, power, state, refusals, tasks }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn now_ms(&self) -> u64 {
        self.wire.lock().now_ms
    }

    /// Forgets everybody: the process is no more.
    pub(crate) fn close(&self) {
        let state = std::mem::take(&mut *self.lock());
        drop(state);
    }

    /// Lets a message leave, unless the process is dead by then.
    pub(super) fn send(&self, packet: Packet) {
        if self.power.spend() {
            self.wire.send(self.run, packet);
        }
    }

    /// Takes a message in. Called on the runtime of the process.
    pub(crate) fn receive(self: &Arc<Self>, packet: Packet) {
        let Packet { from, message, .. } = packet;
        match message {
            Message::Answer { call, answer } => {
                let waiting = self.lock().calls.remove(&call);
                if let Some(waiting) = waiting {
                    // Nobody waits any more: the ordinary case after a deadline.
                    drop(waiting.send(answer));
                }
            }
            // An error means that nobody listens for refusals.
            Message::Refused => drop(self.refusals.send(from)),
            Message::Knock => {}
            Message::Hello { call } => self.answer(from, call, Ok(Bytes::new())),
            Message::Request { call, protocol, body } => {
                let line = Arc::clone(self);
                self.tasks.spawn(async move {
                    let answer = line.serve(from, protocol, body).await;
                    line.answer(from, call, answer);
                });
            }
            Message::Open { call, protocol, header, run, pipes } => {
                let handler = self.handler(protocol);
                let answer = handler.as_ref().map(|_| Bytes::new()).map_err(Clone::clone);
                self.answer(from, call, answer);
                let Ok(handler) = handler else { return };
                let end = SimulatedStream::new(self, from, &pipes[0], &pipes[1]);
                let ends = [(from, run), (self.id, self.run)];
                self.wire.lock().links.push(Link { ends, pipes, broken_since: None });
                self.tasks.spawn(async move { handler.stream(from, header, Box::new(end)).await });
            }
            Message::Part { pipe, number, bytes, .. } => pipe.arrive(number, bytes),
        }
    }

    fn handler(&self, protocol: Protocol) -> Result<Arc<dyn Handler>, RpcError> {
        let handler = self.lock().handlers.get(&protocol.tag()).cloned();
        handler.ok_or(RpcError::NotServed { peer: self.id, protocol })
    }

    async fn serve(&self, from: NodeId, protocol: Protocol, body: Bytes) -> Answer {
        let answer = self.handler(protocol)?.request(from, body).await;
        answer.map_err(|message| RpcError::Remote { peer: self.id, message })
    }

    fn answer(&self, to: NodeId, call: u64, answer: Answer) {
        let message = Message::Answer { call, answer };
        self.send(Packet { from: self.id, to, message });
    }
}

impl Line {
    /// Sends a message that is to be answered and waits for the answer.
    async fn call(
        &self,
        to: NodeId,
        deadline: Duration,
        message: impl FnOnce(u64) -> Message,
    ) -> Answer {
        if to != self.id && !self.lock().addresses.contains_key(&to) {
            return Err(RpcError::UnknownPeer(to));
        }
        let number = self.wire.lock().number();
        let (answer, answered) = oneshot::channel();
        self.lock().calls.insert(number, answer);
        self.send(Packet { from: self.id, to, message: message(number) });
        let outcome = timeout(deadline.min(CALL_MAX), answered).await;
        self.lock().calls.remove(&number);
        match outcome {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) | Err(_) => Err(RpcError::DeadlineExceeded { peer: to, after: deadline }),
        }
    }
}

/// The transport as a process holds it.
pub(crate) struct Endpoint(pub(crate) Arc<Line>);

#[async_trait]
impl Transport for Endpoint {
    fn local_id(&self) -> NodeId {
        self.0.id
    }

    fn register(&self, protocol: Protocol, handler: Arc<dyn Handler>) {
        self.0.lock().handlers.insert(protocol.tag(), handler);
    }

    fn set_address(&self, peer: NodeId, address: SocketAddr) {
        self.0.lock().addresses.insert(peer, address);
    }

    fn address(&self, peer: NodeId) -> Option<SocketAddr> {
        self.0.lock().addresses.get(&peer).copied()
    }

    async fn identify(&self, address: SocketAddr, deadline: Duration) -> Result<NodeId, RpcError> {
        let nobody = |reason: String| RpcError::NoPeerAt { address, reason };
        let peer = host_at(address).ok_or_else(|| nobody("no host is there".to_owned()))?;
        self.set_address(peer, address);
        let hello = self.0.call(peer, deadline, |call| Message::Hello { call }).await;
        hello.map_err(|error| nobody(error.to_string()))?;
        Ok(peer)
    }

    async fn request(
        &self,
        to: NodeId,
        protocol: Protocol,
        body: Bytes,
        deadline: Duration,
    ) -> Result<Bytes, RpcError> {
        self.0.call(to, deadline, |call| Message::Request { call, protocol, body }).await
    }

    fn knock(&self, peer: NodeId) {
        self.0.send(Packet { from: self.0.id, to: peer, message: Message::Knock });
    }

    fn refusals(&self) -> broadcast::Receiver<NodeId> {
        self.0.refusals.subscribe()
    }

    async fn open(
        &self,
        to: NodeId,
        protocol: Protocol,
        header: Bytes,
        deadline: Duration,
    ) -> Result<BoxedStream, RpcError> {
        let name = self.0.wire.lock().number();
        let (there, back) = (Pipe::new(name), Pipe::new(name));
        let (run, pipes) = (self.0.run, [Arc::clone(&there), Arc::clone(&back)]);
        let open = |call| Message::Open { call, protocol, header, run, pipes };
        self.0.call(to, deadline, open).await?;
        Ok(Box::new(SimulatedStream::new(&self.0, to, &back, &there)))
    }
}
