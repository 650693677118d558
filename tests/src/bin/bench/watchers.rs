//! Many watches over few connections: HTTP/2 over TLS, read but for what is measured not looked at.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::{body::Incoming, client::conn::http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use kube::{
    Config,
    client::ConfigExt,
    config::{KubeConfigOptions, Kubeconfig},
};
use tokio::{net::TcpStream, task::JoinSet};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// As many streams as the API serves on one connection.
const PER_CONNECTION: usize = 100;
/// Every so many watches one looks into what it gets, which costs time that is the node's too.
const SAMPLED: usize = 20;
/// What stands before the number of a pod.
const MARK: &[u8] = b"\"name\":\"measured-";
/// Digits of that number.
const DIGITS: usize = 7;

/// What all watches of one measurement see together.
pub(crate) struct Seen {
    begun: Instant,
    /// When the pod of each number was sent, in nanoseconds after the beginning.
    sent: Vec<AtomicU64>,
    /// Events that have arrived.
    events: AtomicU64,
    bytes: AtomicU64,
    /// From sending a pod to having it, on the sampled watches.
    lags: Mutex<Vec<Duration>>,
}

impl Seen {
    /// Nothing yet, of at most so many pods.
    pub(crate) fn new(pods: usize) -> Arc<Self> {
        let sent = (0..pods).map(|_| AtomicU64::new(0)).collect();
        let (events, bytes) = (AtomicU64::new(0), AtomicU64::new(0));
        Arc::new(Self { begun: Instant::now(), sent, events, bytes, lags: Mutex::default() })
    }

    /// Notes that the pod `number` is sent now.
    pub(crate) fn send(&self, number: usize) -> Result<()> {
        let sent = self.sent.get(number).context("more pods than were planned")?;
        sent.store(self.now(), Ordering::Relaxed);
        Ok(())
    }

    /// Events and bytes so far.
    pub(crate) fn delivered(&self) -> (u64, u64) {
        (self.events.load(Ordering::Relaxed), self.bytes.load(Ordering::Relaxed))
    }

    /// The lags since they were last taken.
    pub(crate) fn take_lags(&self) -> Vec<Duration> {
        std::mem::take(&mut *self.lags.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn now(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn receive(&self, data: &[u8], sampled: bool) {
        let lines = data.iter().filter(|byte| **byte == b'\n').count();
        self.events.fetch_add(lines as u64, Ordering::Relaxed);
        self.bytes.fetch_add(data.len() as u64, Ordering::Relaxed);
        if sampled {
            let now = self.now();
            let sent = numbers(data).filter_map(|number| self.sent.get(number));
            let lags = sent.map(|sent| now.saturating_sub(sent.load(Ordering::Relaxed)));
            let lags: Vec<Duration> = lags.map(Duration::from_nanos).collect();
            self.lags.lock().unwrap_or_else(PoisonError::into_inner).extend(lags);
        }
    }
}

/// The numbers of the pods whose names lie whole in these bytes.
fn numbers(data: &[u8]) -> impl Iterator<Item = usize> {
    data.windows(MARK.len() + DIGITS).filter_map(|window| {
        let digits = window.strip_prefix(MARK)?;
        std::str::from_utf8(digits).ok()?.parse().ok()
    })
}

/// Open watches; they end with this.
pub(crate) struct Watchers {
    tasks: JoinSet<Result<()>>,
    /// A connection that nobody can ask any more would end.
    _requests: Vec<Requests>,
}

impl Watchers {
    /// Opens `count` watches at `path` of the server that `kubeconfig` names.
    pub(crate) async fn open(
        kubeconfig: Kubeconfig,
        path: &str,
        count: usize,
        seen: &Arc<Seen>,
    ) -> Result<Self> {
        let config =
            Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
        let address = format!("{}{path}", config.cluster_url.to_string().trim_end_matches('/'));
        let (mut tasks, mut kept) = (JoinSet::new(), Vec::new());
        for first in (0..count).step_by(PER_CONNECTION) {
            let (mut requests, connection) = connect(&config).await?;
            tasks.spawn(async move { Ok(connection.await?) });
            for number in first..count.min(first + PER_CONNECTION) {
                let request = http::Request::get(&address).body(Empty::new())?;
                let response = requests.send_request(request).await?;
                ensure!(response.status().is_success(), "a watch: {}", response.status());
                let body = response.into_body();
                tasks.spawn(follow(body, Arc::clone(seen), number % SAMPLED == 0));
            }
            kept.push(requests);
        }
        Ok(Self { tasks, _requests: kept })
    }

    /// Whether all of them still go on.
    pub(crate) fn check(&mut self) -> Result<()> {
        match self.tasks.try_join_next() {
            None => Ok(()),
            Some(ended) => {
                ended??;
                anyhow::bail!("a watch ended")
            }
        }
    }
}

type Requests = http2::SendRequest<Empty<Bytes>>;
type Connection = http2::Connection<TokioIo<TlsStream<TcpStream>>, Empty<Bytes>, TokioExecutor>;

async fn connect(config: &Config) -> Result<(Requests, Connection)> {
    let mut tls = config.rustls_client_config()?;
    tls.alpn_protocols = vec![b"h2".to_vec()];
    let authority = config.cluster_url.authority().context("a server has an address")?;
    let stream = TcpStream::connect(authority.as_str()).await?;
    stream.set_nodelay(true)?;
    let name = authority.host().to_owned().try_into()?;
    let stream = TlsConnector::from(Arc::new(tls)).connect(name, stream).await?;
    Ok(http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await?)
}

async fn follow(mut body: Incoming, seen: Arc<Seen>, sampled: bool) -> Result<()> {
    while let Some(frame) = body.frame().await {
        if let Some(data) = frame?.data_ref() {
            seen.receive(data, sampled);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_counted_by_their_lines_and_known_by_their_names() {
        let seen = Seen::new(2);
        seen.send(1).unwrap();
        assert!(seen.send(2).is_err(), "only two were planned");
        let line = |number: usize| {
            format!("{{\"object\":{{\"metadata\":{{\"name\":\"measured-{number:07}\"}}}}}}\n")
        };
        let text = line(0) + &line(1);
        seen.receive(text.as_bytes(), true);
        seen.receive(text.as_bytes(), false);
        assert_eq!(seen.delivered(), (4, 2 * text.len() as u64));
        assert_eq!(seen.take_lags().len(), 2, "only the sampled watch looks");
        assert_eq!(numbers(text.as_bytes()).collect::<Vec<_>>(), [0, 1]);
        assert_eq!(numbers(&text.as_bytes()[..40]).count(), 0, "the number is cut off");
    }
}
