//! Reads of single pods: consistent, and as the node that is asked has them.

use std::time::{Duration, Instant};

use anyhow::Result;
use kube::Client;
use rand::Rng;
use skein_measure::Distribution;
use tokio::{runtime::Runtime, task::JoinSet};

use crate::{creates, process::Process, template, voters::Voters};

const NAMESPACE: &str = "bench-gets";
const PODS: usize = 1_000;
const CONNECTIONS: [usize; 2] = [1, 64];
/// How long the connections are used before it counts.
const WARM_UP: Duration = Duration::from_secs(1);

pub(crate) fn measure(voters: &Voters, runtime: &Runtime, seconds: u64) -> Result<()> {
    runtime.block_on(creates::fill(voters, NAMESPACE, PODS))?;
    println!("## Gets\n\nOne of {PODS} pods of {} B as sent.\n", template::REALISTIC_BYTES);
    println!("| node | freshness | connections | gets/s | p50 | p99 | max | its processor time |");
    println!("| --- | --- | --- | --- | --- | --- | --- | --- |");
    let nodes = [("leader", voters.leader()?), ("follower", voters.follower()?)];
    let duration = Duration::from_secs(seconds);
    for (role, node) in nodes {
        for (freshness, query) in [("consistent", ""), ("any", "?resourceVersion=0")] {
            for connections in CONNECTIONS {
                let read = runtime.block_on(read(voters, node, connections, query, duration))?;
                #[allow(clippy::cast_precision_loss, reason = "a rate for people")]
                let rate = read.latencies.count() as f64 / duration.as_secs_f64();
                let [p50, p99, max] =
                    [50, 99, 100].map(|percent| read.latencies.percentile(percent));
                println!(
                    "| {role} | {freshness} | {connections} | {rate:.0} | {p50:.1?} | {p99:.1?} | \
                     {max:.1?} | {:.1?} |",
                    read.processor
                );
            }
        }
    }
    println!();
    Ok(())
}

struct Read {
    latencies: Distribution,
    /// Of the node that was asked, for each request.
    processor: Duration,
}

async fn read(
    voters: &Voters,
    node: &Process,
    connections: usize,
    query: &'static str,
    duration: Duration,
) -> Result<Read> {
    let clients = voters.clients(node, connections).await?;
    let from = Instant::now() + WARM_UP;
    let mut tasks = JoinSet::new();
    for client in clients {
        tasks.spawn(get(client, query, from, from + duration));
    }
    tokio::time::sleep_until(from.into()).await;
    let before = node.processor_time()?;
    tokio::time::sleep_until((from + duration).into()).await;
    let used = node.processor_time()?.saturating_sub(before);
    let mut latencies = Vec::new();
    while let Some(done) = tasks.join_next().await {
        latencies.extend(done??);
    }
    let latencies = Distribution::new(latencies)?;
    let processor = used / u32::try_from(latencies.count())?;
    Ok(Read { latencies, processor })
}

async fn get(client: Client, query: &str, from: Instant, until: Instant) -> Result<Vec<Duration>> {
    let mut latencies = Vec::new();
    loop {
        let name = template::name(rand::rng().random_range(0..PODS));
        let path = format!("/api/v1/namespaces/{NAMESPACE}/pods/{name}{query}");
        let begun = Instant::now();
        client.request_text(http::Request::get(path).body(Vec::new())?).await?;
        let ended = Instant::now();
        if ended >= until {
            return Ok(latencies);
        }
        if begun >= from {
            latencies.push(ended - begun);
        }
    }
}
