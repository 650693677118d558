//! Durable pod creates through the API of one node, beside what its disk can sync.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use kube::Client;
use serde_json::Value;
use skein_measure::{Distribution, syncs_per_second};
use tokio::{runtime::Runtime, task::JoinSet};

use crate::{
    process::Process,
    template::{POD_BYTES, REALISTIC_BYTES, Template},
    voters::Voters,
};

const SMALL: &str = "bench-creates";
const REALISTIC: &str = "bench-realistic";
const CONNECTIONS: [usize; 4] = [1, 32, 64, 256];
/// How long the disk is measured.
const BASELINE: Duration = Duration::from_secs(2);
/// How long the connections are used before it counts.
const WARM_UP: Duration = Duration::from_secs(1);

pub(crate) fn measure(voters: &Voters, runtime: &Runtime, seconds: u64) -> Result<()> {
    let syncs = syncs_per_second(voters.disk(), BASELINE)?;
    println!(
        "## Creates\n\nPods, durable on three voters, through one that does not lead. fdatasync of \
         4 KiB: {syncs:.0}/s. Processor time is that of a create at the node asked, at the leader \
         and at the third.\n"
    );
    println!(
        "| pods of | connections | creates/s | p50 | p99 | max | over fdatasync/s | asked | leader \
         | third |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |");
    let duration = Duration::from_secs(seconds);
    let templates = [
        (SMALL, Template::new(SMALL), POD_BYTES),
        (REALISTIC, Template::realistic(REALISTIC), REALISTIC_BYTES),
    ];
    for (namespace, template, bytes) in templates {
        let load = Arc::new(Load { namespace, template, next: AtomicUsize::new(0) });
        runtime.block_on(make_namespace(voters, namespace))?;
        for connections in CONNECTIONS {
            let ran = runtime.block_on(run(&load, voters, connections, duration))?;
            ran.print(bytes, connections, duration, syncs);
        }
    }
    println!(
        "\nGoal: at least 5000/s at 64 connections. Kubernetes 1.36 with a single etcd on such a \
         machine, pods of 1200 B: 841/s, and 2.2 ms for one alone.\n"
    );
    Ok(())
}

/// Makes a namespace through a node that does not lead.
pub(crate) async fn make_namespace(voters: &Voters, namespace: &str) -> Result<()> {
    let body = serde_json::json!({"metadata": {"name": namespace}}).to_string();
    for client in voters.clients(voters.follower()?, 1).await? {
        client.request_text(post("/api/v1/namespaces".to_owned(), body.clone())?).await?;
    }
    Ok(())
}

/// The revision of the store, as a `resourceVersion`.
pub(crate) async fn revision(voters: &Voters) -> Result<String> {
    let client = voters.clients(voters.leader()?, 1).await?.pop().context("one client")?;
    let request = http::Request::get("/api/v1/nodes?limit=1").body(Vec::new())?;
    let list: Value = serde_json::from_str(&client.request_text(request).await?)?;
    let revision = list["metadata"]["resourceVersion"].as_str();
    Ok(revision.context("a list has a revision")?.to_owned())
}

/// Makes the pods `0..count` of realistic size in a new namespace.
pub(crate) async fn fill(voters: &Voters, namespace: &'static str, count: usize) -> Result<()> {
    const CONNECTIONS: usize = 32;
    make_namespace(voters, namespace).await?;
    let template = Template::realistic(namespace);
    let load = Arc::new(Load { namespace, template, next: AtomicUsize::new(0) });
    let mut tasks = JoinSet::new();
    for client in voters.clients(voters.follower()?, CONNECTIONS).await? {
        let load = Arc::clone(&load);
        tasks.spawn(async move {
            loop {
                let number = load.next.fetch_add(1, Ordering::Relaxed);
                if number >= count {
                    return anyhow::Ok(());
                }
                load.create(&client, number).await?;
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    Ok(())
}

/// Pods of one pattern, one after the other.
pub(crate) struct Load {
    pub(crate) namespace: &'static str,
    pub(crate) template: Template,
    /// The number of the next pod.
    pub(crate) next: AtomicUsize,
}

impl Load {
    /// Makes the pod `number`. The answer is read but not parsed: the client shares its cores with
    /// the nodes.
    pub(crate) async fn create(&self, client: &Client, number: usize) -> Result<()> {
        let path = format!("/api/v1/namespaces/{}/pods", self.namespace);
        client.request_text(post(path, self.template.pod(number))?).await?;
        Ok(())
    }
}

fn post(path: String, body: String) -> Result<http::Request<Vec<u8>>> {
    let request = http::Request::post(path).header(http::header::CONTENT_TYPE, "application/json");
    Ok(request.body(body.into_bytes())?)
}

/// What happened while it counted.
struct Ran {
    /// Of each create that was acknowledged.
    latencies: Distribution,
    /// Of the leader, of the node asked, and of the third.
    processor: [Duration; 3],
}

impl Ran {
    #[allow(clippy::cast_precision_loss, reason = "rates for people")]
    fn print(&self, bytes: usize, connections: usize, duration: Duration, syncs: f64) {
        let count = self.latencies.count() as f64;
        let rate = count / duration.as_secs_f64();
        let [p50, p99, max] = [50, 99, 100].map(|percent| self.latencies.percentile(percent));
        let [leader, asked, third] = self.processor.map(|used| used.div_f64(count));
        println!(
            "| {bytes} B | {connections} | {rate:.0} | {p50:.1?} | {p99:.1?} | {max:.1?} | {:.2} | \
             {asked:.0?} | {leader:.0?} | {third:.0?} |",
            rate / syncs
        );
    }
}

async fn run(
    load: &Arc<Load>,
    voters: &Voters,
    connections: usize,
    duration: Duration,
) -> Result<Ran> {
    let nodes = voters.roles()?;
    let clients = voters.clients(nodes[1], connections).await?;
    let from = Instant::now() + WARM_UP;
    let mut tasks = JoinSet::new();
    for client in clients {
        tasks.spawn(create(client, Arc::clone(load), from, from + duration));
    }
    tokio::time::sleep_until(from.into()).await;
    let before = processor_times(nodes)?;
    tokio::time::sleep_until((from + duration).into()).await;
    let after = processor_times(nodes)?;
    let processor = std::array::from_fn(|node| after[node].saturating_sub(before[node]));
    let mut latencies = Vec::new();
    while let Some(done) = tasks.join_next().await {
        latencies.extend(done??);
    }
    Ok(Ran { latencies: Distribution::new(latencies)?, processor })
}

fn processor_times(nodes: [&Process; 3]) -> Result<[Duration; 3]> {
    let [leader, asked, third] = nodes.map(Process::processor_time);
    Ok([leader?, asked?, third?])
}

async fn create(
    client: Client,
    load: Arc<Load>,
    from: Instant,
    until: Instant,
) -> Result<Vec<Duration>> {
    let mut latencies = Vec::new();
    loop {
        let number = load.next.fetch_add(1, Ordering::Relaxed);
        let begun = Instant::now();
        load.create(&client, number).await?;
        let ended = Instant::now();
        if ended >= until {
            return Ok(latencies);
        }
        if begun >= from {
            latencies.push(ended - begun);
        }
    }
}
