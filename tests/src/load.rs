//! A write load that remembers what was acknowledged, and when.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow};
use k8s_openapi::{api::core::v1::ConfigMap, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::{
    Api, Client, Config,
    api::PostParams,
    config::{KubeConfigOptions, Kubeconfig},
};

use crate::Cluster;

/// How long one try may take before the next host is asked.
const TRY_TIMEOUT: Duration = Duration::from_millis(500);

/// What a load saw.
#[derive(Clone, Debug, Default)]
pub struct LoadReport {
    /// The names of the objects whose creation was acknowledged.
    pub acknowledged: Vec<String>,
    /// The longest time between two acknowledgements.
    pub longest_gap: Duration,
    /// How many tries failed and were made again.
    pub retries: usize,
}

/// One client that creates one `ConfigMap` after the other, each until it is acknowledged, asking
/// the next host whenever one fails.
#[derive(Debug)]
pub struct WriteLoad {
    stop: Arc<AtomicBool>,
    progress: Arc<Mutex<usize>>,
    thread: JoinHandle<Result<LoadReport>>,
}

impl WriteLoad {
    /// Starts writing into `namespace` through `hosts`.
    ///
    /// # Errors
    /// When the kubeconfigs cannot be read.
    pub fn start(cluster: &Cluster, namespace: &str, hosts: &[String]) -> Result<Self> {
        let kubeconfigs = hosts
            .iter()
            .map(|host| Kubeconfig::read_from(cluster.kubeconfig(host)).context(host.clone()))
            .collect::<Result<Vec<_>>>()?;
        let stop = Arc::new(AtomicBool::new(false));
        let progress = Arc::new(Mutex::new(0));
        let writer = Writer {
            namespace: namespace.to_owned(),
            stop: Arc::clone(&stop),
            progress: Arc::clone(&progress),
        };
        let thread = std::thread::Builder::new().name("write-load".into()).spawn(move || {
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?
                .block_on(writer.run(kubeconfigs))
        })?;
        Ok(Self { stop, progress, thread })
    }

    /// How many writes have been acknowledged so far.
    pub fn acknowledged(&self) -> usize {
        self.progress.lock().map_or(0, |count| *count)
    }

    /// Ends the load.
    ///
    /// # Errors
    /// When the load itself failed for another reason than an unreachable host.
    pub fn stop(self) -> Result<LoadReport> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| anyhow!("the write load panicked"))?
    }
}

struct Writer {
    namespace: String,
    stop: Arc<AtomicBool>,
    progress: Arc<Mutex<usize>>,
}

impl Writer {
    async fn run(self, kubeconfigs: Vec<Kubeconfig>) -> Result<LoadReport> {
        let mut apis = Vec::new();
        for kubeconfig in kubeconfigs {
            let client = client(kubeconfig, TRY_TIMEOUT).await?;
            apis.push(Api::<ConfigMap>::namespaced(client, &self.namespace));
        }
        let mut report = LoadReport::default();
        let mut host = 0;
        let mut last = Instant::now();
        while !self.stop.load(Ordering::Relaxed) {
            let name = format!("write-{}", report.acknowledged.len());
            let mut tries = 0;
            while let Err(error) = create(&apis[host % apis.len()], &name, tries > 0).await {
                tracing::debug!(name, host, "retrying: {error:#}");
                if self.stop.load(Ordering::Relaxed) {
                    return Ok(report);
                }
                host += 1;
                tries += 1;
            }
            report.retries += tries;
            report.longest_gap = report.longest_gap.max(last.elapsed());
            last = Instant::now();
            report.acknowledged.push(name);
            if let Ok(mut progress) = self.progress.lock() {
                *progress = report.acknowledged.len();
            }
        }
        Ok(report)
    }
}

/// A client of the one server a kubeconfig names, which gives up connecting after `connect_timeout`.
///
/// # Errors
/// When the kubeconfig is unusable.
pub async fn client(kubeconfig: Kubeconfig, connect_timeout: Duration) -> Result<Client> {
    let mut config =
        Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    config.connect_timeout = Some(connect_timeout);
    // Every answer is to be seen: a refusal is a result, not a reason to wait and ask again.
    config.default_retry = false;
    Ok(Client::try_from(config)?)
}

/// One try. After an ambiguous earlier one, finding the object there is the acknowledgement.
async fn create(api: &Api<ConfigMap>, name: &str, retry: bool) -> Result<()> {
    let object = ConfigMap {
        metadata: ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() },
        data: Some(BTreeMap::from([("payload".to_owned(), "x".repeat(200))])),
        ..ConfigMap::default()
    };
    match tokio::time::timeout(TRY_TIMEOUT, api.create(&PostParams::default(), &object)).await? {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if retry && status.code == 409 => Ok(()),
        Err(error) => Err(error.into()),
    }
}
