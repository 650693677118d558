//! Durable object creates through the HTTP API of one node, beside what its disk can sync.

use std::{
    fs::File,
    io::Write,
    time::{Duration, Instant},
};

use anyhow::Result;
use k8s_openapi::{api::core::v1::ConfigMap, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::{Api, api::PostParams, config::Kubeconfig};
use skein_tests::{Cluster, client};
use tokio::task::JoinSet;

const NAMESPACE: &str = "bench-creates";
const CONNECTIONS: [usize; 3] = [1, 32, 256];
/// All connections are made at once, on a machine that also runs the cluster.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const PAYLOAD_BYTES: usize = 1_000;

pub(crate) fn measure(cluster: &Cluster, seconds: u64) -> Result<()> {
    let syncs = syncs_per_second(cluster)?;
    println!("## Creates\n\nfdatasync of 4 KiB on the cluster's disk: {syncs:.0}/s.\n");
    println!("| connections | creates/s | p50 | p99 | over fdatasync/s |");
    println!("| --- | --- | --- | --- | --- |");
    cluster.kubectl("", &["create", "namespace", NAMESPACE], None)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    for connections in CONNECTIONS {
        let kubeconfig = Kubeconfig::read_from(cluster.kubeconfig("h2"))?;
        let duration = Duration::from_secs(seconds);
        let mut latencies = runtime.block_on(write(kubeconfig, connections, duration))?;
        latencies.sort();
        #[allow(clippy::cast_precision_loss, reason = "a rate for people")]
        let rate = latencies.len() as f64 / duration.as_secs_f64();
        let at = |percent: usize| latencies[(latencies.len() - 1) * percent / 100];
        println!(
            "| {connections} | {rate:.0} | {:.1?} | {:.1?} | {:.2} |",
            at(50),
            at(99),
            rate / syncs
        );
    }
    cluster.kubectl("", &["delete", "namespace", NAMESPACE, "--wait=false"], None)?;
    println!();
    Ok(())
}

/// Every connection creates one object after the other; the latency of each that was made.
async fn write(
    kubeconfig: Kubeconfig,
    connections: usize,
    duration: Duration,
) -> Result<Vec<Duration>> {
    let mut tasks = JoinSet::new();
    for connection in 0..connections {
        let api = Api::namespaced(client(kubeconfig.clone(), CONNECT_TIMEOUT).await?, NAMESPACE);
        tasks.spawn(write_one(api, connections, connection, Instant::now() + duration));
    }
    let mut latencies = Vec::new();
    while let Some(done) = tasks.join_next().await {
        latencies.extend(done??);
    }
    Ok(latencies)
}

async fn write_one(
    api: Api<ConfigMap>,
    connections: usize,
    connection: usize,
    end: Instant,
) -> Result<Vec<Duration>> {
    let mut latencies = Vec::new();
    while Instant::now() < end {
        let object = ConfigMap {
            metadata: ObjectMeta {
                name: Some(format!("c{connections}-{connection}-{}", latencies.len())),
                ..ObjectMeta::default()
            },
            data: Some([("payload".to_owned(), "x".repeat(PAYLOAD_BYTES))].into()),
            ..ConfigMap::default()
        };
        let begun = Instant::now();
        api.create(&PostParams::default(), &object).await?;
        latencies.push(begun.elapsed());
    }
    Ok(latencies)
}

/// How often the disk of the cluster's directory syncs 4 KiB in two seconds.
fn syncs_per_second(cluster: &Cluster) -> Result<f64> {
    let path = cluster.path("bench-fdatasync");
    let mut file = File::create(&path)?;
    let begun = Instant::now();
    let mut syncs = 0_u32;
    while begun.elapsed() < Duration::from_secs(2) {
        file.write_all(&[0x5a; 4096])?;
        file.sync_data()?;
        syncs += 1;
    }
    std::fs::remove_file(&path)?;
    Ok(f64::from(syncs) / begun.elapsed().as_secs_f64())
}
