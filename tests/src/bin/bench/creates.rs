//! Durable pod creates through the HTTP API of one node, beside what its disk can sync.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Result;
use kube::{Client, config::Kubeconfig};
use skein_measure::{Distribution, syncs_per_second};
use skein_tests::{Cluster, client};
use tokio::task::JoinSet;

use crate::template::{POD_BYTES, Template};

const NAMESPACE: &str = "bench-creates";
const CONNECTIONS: [usize; 4] = [1, 32, 64, 256];
/// All connections are made at once, on a machine that also runs the cluster.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the disk is measured.
const BASELINE: Duration = Duration::from_secs(2);
/// How long the connections are used before it counts.
const WARM_UP: Duration = Duration::from_secs(1);

pub(crate) fn measure(cluster: &Cluster, seconds: u64) -> Result<()> {
    let syncs = syncs_per_second(&cluster.path(""), BASELINE)?;
    println!("## Creates\n\nPods of {POD_BYTES} B. fdatasync of 4 KiB: {syncs:.0}/s.\n");
    println!("| connections | creates/s | p50 | p99 | max | over fdatasync/s |");
    println!("| --- | --- | --- | --- | --- | --- |");
    cluster.kubectl("", &["create", "namespace", NAMESPACE], None)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let next = Arc::new(AtomicUsize::new(0));
    for connections in CONNECTIONS {
        let kubeconfig = Kubeconfig::read_from(cluster.kubeconfig("h2"))?;
        let duration = Duration::from_secs(seconds);
        let load = Load { connections, duration, next: Arc::clone(&next) };
        let latencies = Distribution::new(runtime.block_on(load.run(kubeconfig))?)?;
        #[allow(clippy::cast_precision_loss, reason = "a rate for people")]
        let rate = latencies.count() as f64 / duration.as_secs_f64();
        let [p50, p99, max] = [50, 99, 100].map(|percent| latencies.percentile(percent));
        println!(
            "| {connections} | {rate:.0} | {p50:.1?} | {p99:.1?} | {max:.1?} | {:.2} |",
            rate / syncs
        );
    }
    cluster.kubectl("", &["delete", "namespace", NAMESPACE, "--wait=false"], None)?;
    println!(
        "\nGoal: at least 5000/s at 64 connections. Kubernetes 1.36 with a single etcd on such a \
         machine: 841/s, and 2.2 ms for one alone.\n"
    );
    Ok(())
}

/// Connections that create one pod after the other.
struct Load {
    connections: usize,
    duration: Duration,
    /// The number of the next pod.
    next: Arc<AtomicUsize>,
}

impl Load {
    /// The latency of each create that was acknowledged while it counted.
    async fn run(self, kubeconfig: Kubeconfig) -> Result<Vec<Duration>> {
        let template = Arc::new(Template::new(NAMESPACE));
        let mut clients = Vec::new();
        for _ in 0..self.connections {
            clients.push(client(kubeconfig.clone(), CONNECT_TIMEOUT).await?);
        }
        let from = Instant::now() + WARM_UP;
        let mut tasks = JoinSet::new();
        for client in clients {
            let (template, next) = (Arc::clone(&template), Arc::clone(&self.next));
            tasks.spawn(create(client, template, next, from, from + self.duration));
        }
        let mut latencies = Vec::new();
        while let Some(done) = tasks.join_next().await {
            latencies.extend(done??);
        }
        Ok(latencies)
    }
}

async fn create(
    client: Client,
    template: Arc<Template>,
    next: Arc<AtomicUsize>,
    from: Instant,
    until: Instant,
) -> Result<Vec<Duration>> {
    let mut latencies = Vec::new();
    loop {
        let pod = template.pod(next.fetch_add(1, Ordering::Relaxed));
        let request = http::Request::post(format!("/api/v1/namespaces/{NAMESPACE}/pods"))
            .header(http::header::CONTENT_TYPE, "application/json")
            .body(pod.into_bytes())?;
        let begun = Instant::now();
        // The answer is read but not parsed: the client shares its cores with the cluster.
        client.request_text(request).await?;
        let ended = Instant::now();
        if ended >= until {
            return Ok(latencies);
        }
        if begun >= from {
            latencies.push(ended - begun);
        }
    }
}
