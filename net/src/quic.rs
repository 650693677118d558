//! The transport between hosts: QUIC with mutual TLS on one UDP port.
//!
//! One endpoint both listens and dials; one connection per pair of nodes carries everything, a
//! stream per request. The peer's id is read from its verified certificate and nothing else. A
//! request is bounded by its deadline, from dialling to the last byte of the answer.

mod client;
mod pool;
mod refusals;
mod serve;
pub(crate) mod settings;
pub(crate) mod wire;

use std::{
    io,
    net::{SocketAddr, UdpSocket},
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use bytes::Bytes;
use quinn::{ClientConfig, Connection, Endpoint, Runtime, SendStream, TokioRuntime};
use tokio::{
    sync::{Semaphore, broadcast},
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use settings::SettingsError;

use self::{
    pool::Pool,
    refusals::{Door, NotedSocket, Sent},
    serve::Proven,
};
use crate::{
    BoxedStream, Handler, Identity, JoinHandler, NodeId, Protocol, RpcError, Transport,
    handlers::Handlers,
    join::JoinGate,
    limits::{CLOSE_TIMEOUT, MAX_JOINERS, REFUSAL_QUEUE, RETIRE_AFTER},
};

/// Where a node's transport listens.
#[derive(Clone, Debug)]
pub struct QuicConfig {
    /// The UDP address; port 0 takes a free one.
    pub listen: SocketAddr,
}

/// Why the transport did not start.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The address is taken or not this host's.
    #[error("UDP address {address} cannot be used")]
    Socket {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// TLS or QUIC cannot be set up.
    #[error("QUIC cannot be set up")]
    Settings(#[from] SettingsError),
}

/// The transport of one node. Dropping it closes every connection.
pub struct QuicTransport {
    shared: Arc<Shared>,
}

/// What the transport and its tasks have in common.
struct Shared {
    local: NodeId,
    endpoint: Endpoint,
    local_addr: SocketAddr,
    client: ClientConfig,
    pool: Pool,
    handlers: Handlers,
    join_handler: RwLock<Option<Arc<dyn JoinHandler>>>,
    join_gate: Mutex<JoinGate>,
    joiners: Semaphore,
    door: Door,
    refusals: broadcast::Sender<NodeId>,
    tasks: TaskTracker,
    stopped: CancellationToken,
}

impl QuicTransport {
    /// Listens and is ready to dial. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// An address that cannot be bound.
    pub fn bind(config: QuicConfig, identity: &Identity) -> Result<Arc<Self>, BindError> {
        let socket_error = |source| BindError::Socket { address: config.listen, source };
        let socket = UdpSocket::bind(config.listen).map_err(socket_error)?;
        socket.set_nonblocking(true).map_err(socket_error)?;
        let sent = Arc::new(Sent::default());
        let door = Door::open(&socket, Arc::clone(&sent)).map_err(socket_error)?;
        let socket = TokioRuntime.wrap_udp_socket(socket).map_err(socket_error)?;
        let endpoint = Endpoint::new_with_abstract_socket(
            settings::endpoint(identity),
            Some(settings::server(identity)?),
            Arc::new(NotedSocket::new(socket, sent)),
            Arc::new(TokioRuntime),
        )
        .map_err(socket_error)?;
        let local_addr = endpoint.local_addr().map_err(socket_error)?;
        let shared = Arc::new(Shared {
            local: identity.id(),
            endpoint,
            local_addr,
            client: settings::peer_client(identity)?,
            pool: Pool::new(),
            handlers: Handlers::default(),
            join_handler: RwLock::default(),
            join_gate: Mutex::new(JoinGate::new(Instant::now())),
            joiners: Semaphore::new(MAX_JOINERS),
            door,
            refusals: broadcast::Sender::new(REFUSAL_QUEUE),
            tasks: TaskTracker::new(),
            stopped: CancellationToken::new(),
        });
        shared.run(serve::accept(Arc::clone(&shared)));
        shared.run(pass_refusals_on(Arc::clone(&shared)));
        Ok(Arc::new(Self { shared }))
    }

    /// Where this node listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.shared.local_addr
    }

    /// Lets `handler` decide about joiners from now on; before, they are told to come back.
    pub fn set_join_handler(&self, handler: Arc<dyn JoinHandler>) {
        *self.shared.join_handler.write().unwrap_or_else(PoisonError::into_inner) = Some(handler);
    }

    /// Stops serving and tells every peer; returns when they know, after a second at most.
    pub async fn close(&self) {
        self.shared.stop();
        let ended = async {
            self.shared.tasks.wait().await;
            self.shared.endpoint.wait_idle().await;
        };
        if timeout(CLOSE_TIMEOUT, ended).await.is_err() {
            tracing::debug!("some peers did not acknowledge that this node stops");
        }
    }
}

impl Drop for QuicTransport {
    fn drop(&mut self) {
        self.shared.stop();
    }
}

impl Shared {
    /// Runs `work` until it ends or the transport is closed.
    fn run(&self, work: impl Future<Output = ()> + Send + 'static) {
        let stopped = self.stopped.clone();
        self.tasks.spawn(async move {
            stopped.run_until_cancelled_owned(work).await;
        });
    }

    fn stop(&self) {
        self.stopped.cancel();
        self.tasks.close();
        self.endpoint.close(settings::CLOSED, b"this node stops");
    }

    /// Takes a proven peer's connection into use and retires the one it supersedes.
    fn adopt(&self, peer: Proven, connection: Connection, dialler: NodeId) {
        let Some(superfluous) = self.pool.install(peer.id, connection, dialler, Instant::now())
        else {
            return;
        };
        self.run(async move {
            tokio::select! {
                _ = superfluous.closed() => {}
                () = tokio::time::sleep(RETIRE_AFTER) => {
                    superfluous.close(settings::CLOSED, b"replaced by another connection");
                }
            }
        });
    }

    fn join_handler(&self) -> Option<Arc<dyn JoinHandler>> {
        self.join_handler.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn admit_joiner(&self, now: Instant) -> bool {
        self.join_gate.lock().unwrap_or_else(PoisonError::into_inner).admit(now)
    }
}

/// Tells whoever listens which peers' hosts refuse this node's datagrams.
async fn pass_refusals_on(shared: Arc<Shared>) {
    loop {
        match shared.door.refused().await {
            Ok(address) => {
                for peer in shared.pool.peers_at(address) {
                    // An error means that nobody listens.
                    shared.refusals.send(peer).ok();
                }
            }
            Err(error) => {
                tracing::warn!(%error, "refusals cannot be noticed any more");
                return;
            }
        }
    }
}

/// Small messages that keep the cluster together go before bulk on the same connection.
fn prioritise(send: &SendStream, protocol: Protocol) {
    let priority = match protocol {
        Protocol::Raft | Protocol::Probe => 3,
        Protocol::Gossip => 2,
        Protocol::Store | Protocol::Join => 1,
        Protocol::Proxy | Protocol::Blob => 0,
    };
    // Fails only on a stream that is closed, where priority means nothing.
    send.set_priority(priority).ok();
}

#[async_trait]
impl Transport for QuicTransport {
    fn local_id(&self) -> NodeId {
        self.shared.local
    }

    fn register(&self, protocol: Protocol, handler: Arc<dyn Handler>) {
        self.shared.handlers.register(protocol, handler);
    }

    fn set_address(&self, peer: NodeId, address: SocketAddr) {
        self.shared.pool.set_address(peer, address);
    }

    fn address(&self, peer: NodeId) -> Option<SocketAddr> {
        self.shared.pool.address(peer)
    }

    async fn identify(&self, address: SocketAddr, deadline: Duration) -> Result<NodeId, RpcError> {
        let identified = timeout(deadline, client::identify(&self.shared, address)).await;
        let reason = match identified {
            Ok(Ok(id)) => return Ok(id),
            Ok(Err(reason)) => reason,
            Err(_) => format!("no answer within {deadline:?}"),
        };
        Err(RpcError::NoPeerAt { address, reason })
    }

    async fn request(
        &self,
        to: NodeId,
        protocol: Protocol,
        body: Bytes,
        deadline: Duration,
    ) -> Result<Bytes, RpcError> {
        let exchange = client::request(&self.shared, to, protocol, body);
        timeout(deadline, exchange)
            .await
            .unwrap_or(Err(RpcError::DeadlineExceeded { peer: to, after: deadline }))
    }

    fn knock(&self, peer: NodeId) {
        if let Some(address) = self.shared.pool.address(peer) {
            self.shared.door.knock(address);
        }
    }

    fn refusals(&self) -> broadcast::Receiver<NodeId> {
        self.shared.refusals.subscribe()
    }

    async fn open(
        &self,
        to: NodeId,
        protocol: Protocol,
        header: Bytes,
        deadline: Duration,
    ) -> Result<BoxedStream, RpcError> {
        let opening = client::open(&self.shared, to, protocol, header);
        timeout(deadline, opening)
            .await
            .unwrap_or(Err(RpcError::DeadlineExceeded { peer: to, after: deadline }))
    }
}

#[cfg(test)]
mod tests;
