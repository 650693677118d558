//! The listener: connections in, requests to the service, an orderly end.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use http::Request;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{Api, TlsConfig, TlsError, identity::Identity, limits};

/// Pause after the system could not accept a connection, such as for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What the server is told.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// Where to listen; port zero takes a free one.
    pub listen: SocketAddr,
    /// Connections open at once.
    pub connections: usize,
}

impl ServerConfig {
    /// Listens on `listen` with the usual bounds.
    pub fn new(listen: SocketAddr) -> Self {
        Self { listen, connections: limits::CONNECTIONS }
    }
}

/// Why the server could not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// TLS cannot be set up.
    #[error("cannot set up TLS")]
    Tls(#[from] TlsError),
}

/// Where a request comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) SocketAddr);

/// A running server.
pub struct Server {
    address: SocketAddr,
    api: Api,
    tasks: TaskTracker,
}

impl Server {
    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Waits until it has stopped: after the token it was given is cancelled and open requests
    /// have ended or used up their time.
    pub async fn stopped(&self) {
        self.tasks.wait().await;
        self.api.tasks_ended().await;
    }
}

/// Starts serving `api` until `cancel`.
///
/// # Errors
/// Where the address or the certificates cannot be used.
pub async fn serve(
    config: ServerConfig,
    api: Api,
    tls: TlsConfig,
    cancel: CancellationToken,
) -> Result<Server, ServeError> {
    let tls = TlsAcceptor::from(tls.into_server_config()?);
    let listen_error = |source| ServeError::Listen { address: config.listen, source };
    let listener = TcpListener::bind(config.listen).await.map_err(listen_error)?;
    let address = listener.local_addr().map_err(listen_error)?;
    let acceptor = Acceptor {
        tls,
        api: api.clone(),
        slots: Arc::new(Semaphore::new(config.connections)),
        tasks: TaskTracker::new(),
        cancel,
    };
    let tasks = acceptor.tasks.clone();
    tasks.spawn(acceptor.run(listener));
    tasks.close();
    Ok(Server { address, api, tasks })
}

struct Acceptor {
    tls: TlsAcceptor,
    api: Api,
    slots: Arc<Semaphore>,
    tasks: TaskTracker,
    cancel: CancellationToken,
}

impl Acceptor {
    async fn run(self, listener: TcpListener) {
        loop {
            let accepted = tokio::select! {
                () = self.cancel.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => self.take(stream, peer),
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// Serves a connection in a task of its own, or closes it when there are too many.
    fn take(&self, stream: TcpStream, peer: SocketAddr) {
        let Ok(slot) = self.slots.clone().try_acquire_owned() else {
            tracing::warn!(%peer, "connection closed: too many are open");
            return;
        };
        let (tls, api, cancel) = (self.tls.clone(), self.api.clone(), self.cancel.clone());
        self.tasks.spawn(async move {
            if let Err(error) = serve_connection(stream, tls, api, cancel).await {
                tracing::debug!(%peer, %error, "connection ended");
            }
            drop(slot);
        });
    }
}

async fn serve_connection(
    stream: TcpStream,
    tls: TlsAcceptor,
    api: Api,
    cancel: CancellationToken,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    stream.set_nodelay(true)?;
    let peer = Peer(stream.peer_addr()?);
    let handshake = tokio::time::timeout(limits::HANDSHAKE, tls.accept(stream));
    let Some(shaken) = cancel.run_until_cancelled(handshake).await else { return Ok(()) };
    let stream = shaken??;
    let (_, session) = stream.get_ref();
    let certificate = session.peer_certificates().and_then(<[_]>::first);
    let identity = certificate.and_then(Identity::from_certificate).map(Arc::new);
    let handler = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer);
        // On the heap, and gone when it is done: hyper keeps room for it as long as the answer goes
        // on, which is many times what a watch needs.
        let reply = Box::pin(api.handle(request, identity.clone()));
        async move { Ok::<_, std::convert::Infallible>(reply.await) }
    });
    let builder = connection_builder();
    let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), handler);
    tokio::pin!(connection);
    tokio::select! {
        result = connection.as_mut() => return result,
        () = cancel.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    tokio::time::timeout(limits::DRAIN, connection).await?
}

fn connection_builder() -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(limits::HEADERS);
    let (interval, timeout) = limits::HTTP2_PING;
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(interval)
        .keep_alive_timeout(timeout)
        .max_concurrent_streams(limits::HTTP2_STREAMS)
        .max_header_list_size(limits::HEADER_BYTES);
    builder
}
