//! Keeps removed nodes out: their certificates are good until they expire, and nobody takes
//! anything from them any more.

use std::{collections::BTreeSet, net::SocketAddr, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use skein_net::{BoxedStream, Handler, NodeId, Protocol, RpcError, Transport};
use tokio::sync::{broadcast, watch};
use tokio_util::sync::CancellationToken;

/// What a removed node is told by whomever it speaks to.
const REFUSAL: &str = "this node has been removed from the cluster";

/// Ids of nodes that nothing is taken from.
pub(crate) type Outcasts = watch::Receiver<Arc<BTreeSet<NodeId>>>;

/// A transport that refuses what outcasts send, and notices when this node is one.
pub(crate) struct Gate {
    inner: Arc<dyn Transport>,
    outcasts: Outcasts,
    refused: CancellationToken,
}

impl Gate {
    /// Keeps `outcasts` out of `inner`.
    pub(crate) fn new(inner: Arc<dyn Transport>, outcasts: Outcasts) -> Self {
        Self { inner, outcasts, refused: CancellationToken::new() }
    }

    /// Cancelled once a peer has refused this node.
    pub(crate) fn refused(&self) -> CancellationToken {
        self.refused.clone()
    }
}

#[async_trait]
impl Transport for Gate {
    fn local_id(&self) -> NodeId {
        self.inner.local_id()
    }

    fn register(&self, protocol: Protocol, handler: Arc<dyn Handler>) {
        let outcasts = self.outcasts.clone();
        self.inner.register(protocol, Arc::new(Gated { handler, outcasts }));
    }

    fn set_address(&self, peer: NodeId, address: SocketAddr) {
        self.inner.set_address(peer, address);
    }

    fn address(&self, peer: NodeId) -> Option<SocketAddr> {
        self.inner.address(peer)
    }

    async fn identify(&self, address: SocketAddr, deadline: Duration) -> Result<NodeId, RpcError> {
        self.inner.identify(address, deadline).await
    }

    async fn request(
        &self,
        to: NodeId,
        protocol: Protocol,
        body: Bytes,
        deadline: Duration,
    ) -> Result<Bytes, RpcError> {
        let answer = self.inner.request(to, protocol, body, deadline).await;
        if let Err(RpcError::Remote { message, .. }) = &answer
            && message == REFUSAL
        {
            self.refused.cancel();
        }
        answer
    }

    fn knock(&self, peer: NodeId) {
        self.inner.knock(peer);
    }

    fn refusals(&self) -> broadcast::Receiver<NodeId> {
        self.inner.refusals()
    }

    async fn open(
        &self,
        to: NodeId,
        protocol: Protocol,
        header: Bytes,
        deadline: Duration,
    ) -> Result<BoxedStream, RpcError> {
        self.inner.open(to, protocol, header, deadline).await
    }
}

/// A handler behind the gate.
struct Gated {
    handler: Arc<dyn Handler>,
    outcasts: Outcasts,
}

#[async_trait]
impl Handler for Gated {
    async fn request(&self, from: NodeId, body: Bytes) -> Result<Bytes, String> {
        if self.outcasts.borrow().contains(&from) {
            return Err(REFUSAL.to_owned());
        }
        self.handler.request(from, body).await
    }

    async fn stream(&self, from: NodeId, header: Bytes, stream: BoxedStream) {
        if !self.outcasts.borrow().contains(&from) {
            self.handler.stream(from, header, stream).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use skein_net::MemoryNetwork;

    use super::*;

    struct Echo;

    #[async_trait]
    impl Handler for Echo {
        async fn request(&self, _from: NodeId, body: Bytes) -> Result<Bytes, String> {
            Ok(body)
        }
    }

    #[tokio::test]
    async fn an_outcast_is_refused_and_learns_of_it_and_all_others_are_served() {
        let network = MemoryNetwork::new(1);
        let (sender, outcasts) = watch::channel(Arc::default());
        let [one, two, three] =
            [1, 2, 3].map(|id| Gate::new(network.transport(NodeId(id)), outcasts.clone()));
        one.register(Protocol::Store, Arc::new(Echo));
        let ask = async |gate: &Gate| {
            let body = Bytes::from_static(b"x");
            gate.request(NodeId(1), Protocol::Store, body, Duration::from_secs(1)).await
        };
        assert!(ask(&two).await.is_ok());
        sender.send_replace(Arc::new([NodeId(2)].into()));
        assert!(matches!(ask(&two).await, Err(RpcError::Remote { .. })));
        assert!(two.refused().is_cancelled());
        assert!(ask(&three).await.is_ok());
        assert!(!three.refused().is_cancelled());
    }
}
