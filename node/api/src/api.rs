//! The API as a value: requests in, responses out, with or without a socket in between.

use std::sync::Arc;

use bytes::Bytes;
use http::Request;
use hyper::{
    body::{Body, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use skein_storage::Storage;
use tokio_util::sync::CancellationToken;

use crate::{
    Audit, ClusterView, Duplex, HostProxy,
    body::{self, BodyError},
    identity::Identity,
    limits,
    reply::{self, Reply},
    service::Service,
    verbs,
};

/// How much is served at once, and how much may wait; what comes on top is answered with 429.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoadLimits {
    /// Requests served at once, streams aside.
    pub requests: usize,
    /// Requests of one user that wait for those before them.
    pub waiting: usize,
    /// Watches and followed logs served at once.
    pub streams: usize,
}

impl Default for LoadLimits {
    fn default() -> Self {
        Self { requests: limits::REQUESTS, waiting: limits::WAITING, streams: limits::STREAMS }
    }
}

/// What the API of a node is told.
#[derive(Default)]
pub struct ApiConfig {
    /// How much is served at once.
    pub load: LoadLimits,
    /// Where requests are noted.
    pub audit: Option<Arc<Audit>>,
}

/// The API of a node. Cheap to clone.
#[derive(Clone)]
pub struct Api(Arc<Service>);

impl Api {
    /// The API over `storage`; watches and logs end with `cancel`.
    pub fn new(
        storage: Storage,
        hosts: Arc<dyn HostProxy>,
        cluster: Arc<dyn ClusterView>,
        config: ApiConfig,
        cancel: CancellationToken,
    ) -> Self {
        Self(Arc::new(Service::new(storage, hosts, cluster, config, cancel)))
    }

    /// Waits until everything beside requests has ended, which it does with the token.
    pub(crate) async fn tasks_ended(&self) {
        self.0.tasks.wait().await;
    }

    /// Answers over HTTP/1 what another node, which has found that its client may, asks of this one
    /// itself: `/healthz`, `/metrics` and `/pods`. Returns when the stream or this API ends.
    pub async fn serve_node(&self, stream: impl Duplex + 'static) {
        let handler = service_fn(|request: Request<Incoming>| async move {
            let (method, uri) = (request.method(), request.uri());
            let answer = verbs::respond_as_node(&self.0, method, uri.path(), uri.query()).await;
            let reply = answer.unwrap_or_else(|error| reply::error(&error));
            Ok::<_, std::convert::Infallible>(reply)
        });
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(limits::HEADERS);
        let served = builder.serve_connection(TokioIo::new(stream), handler);
        if let Some(Err(error)) = self.0.cancel.run_until_cancelled(served).await {
            tracing::debug!(%error, "a node that asked about this one is gone");
        }
    }

    /// Answers a request of a client that is `identity`, if it proved to be anybody. What fails
    /// is answered with a `Status`.
    pub fn handle<B>(
        &self,
        request: Request<B>,
        identity: Option<Arc<Identity>>,
    ) -> impl Future<Output = Reply> + Send + use<B>
    where
        B: Body<Data = Bytes, Error: Into<BodyError>> + Send + Sync + 'static,
    {
        let service = self.0.clone();
        let request = request.map(body::boxed);
        async move { service.handle(request, identity).await }
    }
}
