//! One node's end of the in-memory network.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, sync::Mutex, sync::PoisonError};
use std::{future::pending, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::{
    sync::{broadcast, oneshot},
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{MemoryNetwork, stream::MemoryStream};
use crate::{
    BoxedStream, Handler, NodeId, Protocol, RpcError, Transport,
    handlers::Handlers,
    limits::{MAX_HEADER_BYTES, MAX_MESSAGE_BYTES, MEMORY_REQUEST_MAX, REFUSAL_QUEUE},
};

/// One run of a node, from its start to its crash.
pub(super) struct Incarnation {
    id: NodeId,
    handlers: Handlers,
    /// Cancelled by the crash: stops its handlers and fails its requests.
    crashed: CancellationToken,
    refusals: broadcast::Sender<NodeId>,
    tasks: TaskTracker,
}

impl Incarnation {
    pub(super) fn new(id: NodeId) -> Self {
        Self {
            id,
            handlers: Handlers::default(),
            crashed: CancellationToken::new(),
            refusals: broadcast::Sender::new(REFUSAL_QUEUE),
            tasks: TaskTracker::new(),
        }
    }

    pub(super) fn end(&self) {
        self.crashed.cancel();
        self.handlers.clear();
    }

    /// Takes in that nobody listens at `peer`'s port.
    pub(super) fn refused(&self, peer: NodeId) {
        // An error means that nobody listens for refusals here either.
        self.refusals.send(peer).ok();
    }

    /// Runs `work` until it ends or the node crashes.
    fn run(&self, work: impl Future<Output = ()> + Send + 'static) {
        let crashed = self.crashed.clone();
        self.tasks.spawn(async move {
            crashed.run_until_cancelled_owned(work).await;
        });
    }
}

/// A node's transport in a [`MemoryNetwork`]. Once the node has crashed, all it does fails.
pub struct MemoryTransport {
    network: MemoryNetwork,
    node: Arc<Incarnation>,
    addresses: Mutex<BTreeMap<NodeId, SocketAddr>>,
}

type Answer = Result<Bytes, RpcError>;

impl MemoryTransport {
    pub(super) fn new(network: MemoryNetwork, node: Arc<Incarnation>) -> Self {
        Self { network, node, addresses: Mutex::default() }
    }

    /// Waits for `exchange`, but not over the deadline and not beyond this node's crash.
    async fn within<T>(
        &self,
        to: NodeId,
        deadline: Duration,
        exchange: impl Future<Output = Result<T, RpcError>>,
    ) -> Result<T, RpcError> {
        let bounded = timeout(deadline.min(MEMORY_REQUEST_MAX), exchange);
        match self.node.crashed.run_until_cancelled(bounded).await {
            None => Err(RpcError::Unreachable { peer: to, reason: "this node crashed".into() }),
            Some(Err(_)) => Err(RpcError::DeadlineExceeded { peer: to, after: deadline }),
            Some(Ok(result)) => result,
        }
    }

    /// Lets one message travel; returns who receives it, or waits forever if nobody does.
    async fn travel(&self, to: NodeId) -> Arc<Incarnation> {
        if let Some(passage) = self.network.send(self.node.id, to)
            && let Some(receiver) = arrive(&self.network, self.node.id, to, passage.delay).await
        {
            return receiver;
        }
        pending().await
    }

    fn known(&self, to: NodeId) -> Result<(), RpcError> {
        self.address(to).map(drop).ok_or(RpcError::UnknownPeer(to))
    }

    /// Sends the request on its way. It is under way whether or not the caller goes on waiting.
    fn dispatch(&self, to: NodeId, protocol: Protocol, body: Bytes) -> oneshot::Receiver<Answer> {
        let (answered, answer) = oneshot::channel();
        self.network.count(self.node.id, to, protocol, body.len());
        let Some(passage) = self.network.send(self.node.id, to) else { return answer };
        let mut answered = Some(answered);
        for _ in 0..passage.copies {
            let (network, from, body) = (self.network.clone(), self.node.id, body.clone());
            let answered = answered.take();
            // The way there belongs to the network: a crash of the sender does not stop it.
            self.node.tasks.spawn(async move {
                if let Some(receiver) = arrive(&network, from, to, passage.delay).await {
                    let served =
                        serve(network, Arc::clone(&receiver), from, protocol, body, answered);
                    receiver.run(served);
                }
            });
        }
        answer
    }
}

/// Waits for the message's delay, then finds its receiver if the link still stands.
async fn arrive(
    network: &MemoryNetwork,
    from: NodeId,
    to: NodeId,
    delay: Duration,
) -> Option<Arc<Incarnation>> {
    let mut wait = delay;
    loop {
        if !wait.is_zero() {
            sleep(wait).await;
        }
        wait = network.held(to);
        if wait.is_zero() {
            return network.receive(from, to);
        }
    }
}

/// Serves one request at its receiver and sends the answer back through the same faults.
async fn serve(
    network: MemoryNetwork,
    receiver: Arc<Incarnation>,
    from: NodeId,
    protocol: Protocol,
    body: Bytes,
    answered: Option<oneshot::Sender<Answer>>,
) {
    let peer = receiver.id;
    let answer = match receiver.handlers.get(protocol) {
        None => Err(RpcError::NotServed { peer, protocol }),
        Some(handler) => match handler.request(from, body).await {
            Err(message) => Err(RpcError::Remote { peer, message }),
            Ok(answer) => within_limit(&answer, MAX_MESSAGE_BYTES).map(|()| answer),
        },
    };
    network.count(peer, from, protocol, answer.as_ref().map_or(0, Bytes::len));
    let (Some(answered), Some(passage)) = (answered, network.send(peer, from)) else { return };
    if arrive(&network, peer, from, passage.delay).await.is_some() {
        // A caller that stopped waiting is the ordinary case after a deadline.
        answered.send(answer).ok();
    }
}

fn within_limit(bytes: &Bytes, limit: usize) -> Result<(), RpcError> {
    if bytes.len() > limit {
        return Err(RpcError::TooLarge { size: bytes.len(), limit });
    }
    Ok(())
}

#[async_trait]
impl Transport for MemoryTransport {
    fn local_id(&self) -> NodeId {
        self.node.id
    }

    fn register(&self, protocol: Protocol, handler: Arc<dyn Handler>) {
        if !self.node.crashed.is_cancelled() {
            self.node.handlers.register(protocol, handler);
        }
    }

    fn set_address(&self, peer: NodeId, address: SocketAddr) {
        self.addresses.lock().unwrap_or_else(PoisonError::into_inner).insert(peer, address);
    }

    fn address(&self, peer: NodeId) -> Option<SocketAddr> {
        let set = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        set.get(&peer).copied().or_else(|| self.network.address(peer))
    }

    async fn identify(&self, address: SocketAddr, deadline: Duration) -> Result<NodeId, RpcError> {
        let nobody = |reason: String| RpcError::NoPeerAt { address, reason };
        let Some(peer) = self.network.at(address) else {
            sleep(deadline).await;
            return Err(nobody(format!("no answer within {deadline:?}")));
        };
        let receiver = self
            .within(peer, deadline, async { Ok(self.travel(peer).await) })
            .await
            .map_err(|error| nobody(error.to_string()))?;
        self.set_address(receiver.id, address);
        Ok(receiver.id)
    }

    async fn request(
        &self,
        to: NodeId,
        protocol: Protocol,
        body: Bytes,
        deadline: Duration,
    ) -> Result<Bytes, RpcError> {
        self.known(to)?;
        within_limit(&body, MAX_MESSAGE_BYTES)?;
        self.within(to, deadline, async {
            match self.dispatch(to, protocol, body).await {
                Ok(answer) => answer,
                Err(_lost) => pending().await,
            }
        })
        .await
    }

    fn knock(&self, peer: NodeId) {
        let Some(delay) = self.network.knock(self.node.id, peer) else { return };
        let (network, node) = (self.network.clone(), Arc::clone(&self.node));
        self.node.run(async move {
            if arrive(&network, peer, node.id, delay).await.is_some() {
                node.refused(peer);
            }
        });
    }

    fn refusals(&self) -> broadcast::Receiver<NodeId> {
        self.node.refusals.subscribe()
    }

    async fn open(
        &self,
        to: NodeId,
        protocol: Protocol,
        header: Bytes,
        deadline: Duration,
    ) -> Result<BoxedStream, RpcError> {
        self.known(to)?;
        within_limit(&header, MAX_HEADER_BYTES)?;
        let from = self.node.id;
        self.within(to, deadline, async {
            let receiver = self.travel(to).await;
            let Some(handler) = receiver.handlers.get(protocol) else {
                return Err(RpcError::NotServed { peer: to, protocol });
            };
            let (near, far) = MemoryStream::pair(&self.network.track_stream(from, to));
            receiver.run(async move { handler.stream(from, header, Box::new(far)).await });
            Ok(Box::new(near) as BoxedStream)
        })
        .await
    }
}
