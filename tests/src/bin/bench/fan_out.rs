//! How many events a second one node delivers to many watches, and how late.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use kube::Client;
use skein_measure::Distribution;
use tokio::{
    runtime::Runtime,
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};

use crate::{
    creates::{self, Load},
    process::Process,
    template::{REALISTIC_BYTES, Template},
    voters::Voters,
    watchers::{Seen, Watchers},
};

const NAMESPACE: &str = "bench-watches";
const WATCHES: usize = 1_000;
/// Pods a second, each an event for every watch. The last is more than two cores can deliver.
const RATES: [u32; 5] = [20, 50, 100, 200, 400];
/// Connections that create them.
const WRITERS: u32 = 16;
/// How long each rate goes on before it counts.
const WARM_UP: Duration = Duration::from_secs(1);

pub(crate) fn measure(voters: &Voters, runtime: &Runtime, seconds: u64) -> Result<()> {
    println!(
        "## Watches\n\n{WATCHES} watches of a follower over HTTP/2 and TLS, 100 on a connection. \
         Pods of {REALISTIC_BYTES} B as sent; lag is from sending the pod until a watch has it, \
         beside how long the pod's own creation took.\n"
    );
    println!(
        "| pods/s asked | created | events/s | MB/s | lag p50 | p99 | max | create p50 | p99 | \
         node's processor time per event |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |");
    runtime.block_on(rates(voters, Duration::from_secs(seconds)))?;
    println!("\nGoal: at least 200000 events/s. Kubernetes 1.36 on such a machine: about 21000.\n");
    Ok(())
}

async fn rates(voters: &Voters, duration: Duration) -> Result<()> {
    creates::make_namespace(voters, NAMESPACE).await?;
    let template = Template::realistic(NAMESPACE);
    let load = Arc::new(Load { namespace: NAMESPACE, template, next: AtomicUsize::new(0) });
    let planned = u64::from(RATES.iter().sum::<u32>()) * (duration + WARM_UP).as_secs();
    // A writer's first pod comes before its first period is over.
    let seen = Seen::new(2 * usize::try_from(planned)?);
    for rate in RATES {
        // New watches for each, so that none begins with a backlog.
        let from = creates::revision(voters).await?;
        let path = format!("/api/v1/namespaces/{NAMESPACE}/pods?watch=true&resourceVersion={from}");
        let kubeconfig = voters.kubeconfig(voters.follower()?)?;
        let mut watchers = Watchers::open(kubeconfig, &path, WATCHES, &seen).await?;
        let stop = Arc::new(AtomicBool::new(false));
        let mut writers = JoinSet::new();
        for client in voters.clients(voters.leader()?, WRITERS as usize).await? {
            let (load, seen, stop) = (Arc::clone(&load), Arc::clone(&seen), Arc::clone(&stop));
            writers.spawn(write(client, load, seen, stop, Duration::from_secs(1) * WRITERS / rate));
        }
        tokio::time::sleep(WARM_UP).await;
        let counted = count(voters.follower()?, &load, &seen, duration).await?;
        stop.store(true, Ordering::Relaxed);
        let mut latencies = Vec::new();
        while let Some(done) = writers.join_next().await {
            latencies.extend(done??);
        }
        watchers.check()?;
        counted.print(rate, &Distribution::new(latencies)?);
    }
    Ok(())
}

/// What happened while it counted.
struct Counted {
    created: usize,
    events: u64,
    bytes: u64,
    took: Duration,
    lags: Distribution,
    /// Of the node that is watched.
    processor: Duration,
}

async fn count(node: &Process, load: &Load, seen: &Seen, duration: Duration) -> Result<Counted> {
    let look = || {
        let (events, bytes) = seen.delivered();
        anyhow::Ok((load.next.load(Ordering::Relaxed), events, bytes, node.processor_time()?))
    };
    let (begun, before) = (Instant::now(), look()?);
    seen.take_lags();
    tokio::time::sleep(duration).await;
    let (took, after) = (begun.elapsed(), look()?);
    Ok(Counted {
        created: after.0 - before.0,
        events: after.1 - before.1,
        bytes: after.2 - before.2,
        processor: after.3.saturating_sub(before.3),
        lags: Distribution::new(seen.take_lags()).context("no event has arrived")?,
        took,
    })
}

impl Counted {
    #[allow(clippy::cast_precision_loss, reason = "rates for people")]
    fn print(&self, asked: u32, latencies: &Distribution) {
        let seconds = self.took.as_secs_f64();
        let [p50, p99, max] = [50, 99, 100].map(|percent| self.lags.percentile(percent));
        let [create_p50, create_p99] = [50, 99].map(|percent| latencies.percentile(percent));
        println!(
            "| {asked} | {:.0} | {:.0} | {:.0} | {p50:.1?} | {p99:.1?} | {max:.1?} | \
             {create_p50:.1?} | {create_p99:.1?} | {:.1?} |",
            self.created as f64 / seconds,
            self.events as f64 / seconds,
            self.bytes as f64 / 1e6 / seconds,
            self.processor.div_f64(self.events.max(1) as f64),
        );
    }
}

/// Creates a pod each `period`, or as fast as it can.
async fn write(
    client: Client,
    load: Arc<Load>,
    seen: Arc<Seen>,
    stop: Arc<AtomicBool>,
    period: Duration,
) -> Result<Vec<Duration>> {
    // The writers begin apart from each other.
    tokio::time::sleep(period.mul_f64(rand::random())).await;
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut latencies = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        ticks.tick().await;
        let number = load.next.fetch_add(1, Ordering::Relaxed);
        seen.send(number)?;
        let begun = Instant::now();
        load.create(&client, number).await?;
        latencies.push(begun.elapsed());
    }
    Ok(latencies)
}
