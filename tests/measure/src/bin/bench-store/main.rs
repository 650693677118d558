//! Transactions a second and their latency: three voters in one process, each with a directory of
//! its own and every commit fsynced, over QUIC on the loopback. Prints Markdown.

#![allow(clippy::print_stdout, reason = "printing is what it is for")]

mod group;
mod load;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result};
use clap::Parser;
use skein_measure::{Distribution, syncs_per_second};

use self::{group::Group, load::Load};

/// How long the disk is measured before each load.
const BASELINE: Duration = Duration::from_secs(1);

/// Measure the store: three voters in one process, on real files, over QUIC on the loopback.
#[derive(Debug, Parser)]
struct Args {
    /// How many clients write at a time, one measurement each.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 64, 1_024])]
    clients: Vec<usize>,
    /// Seconds each measurement takes, after one more to warm up.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Bytes of each value.
    #[arg(long, default_value_t = 512)]
    bytes: usize,
    /// Spread the clients over the three nodes; else all of them ask the leader's.
    #[arg(long)]
    spread: bool,
    /// Where to make the three directories: a disk, not memory. The default is the directory the
    /// build writes to.
    #[arg(long)]
    directory: Option<PathBuf>,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let parent = match &args.directory {
        Some(directory) => directory.clone(),
        None => built_into()?,
    };
    let directory = tempfile::Builder::new().prefix("measure-store-").tempdir_in(&parent)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(measure(&args, directory.path()))
}

/// The directory of this very binary.
fn built_into() -> Result<PathBuf> {
    let binary = std::env::current_exe()?;
    Ok(binary.parent().context("a binary lies in a directory")?.to_owned())
}

async fn measure(args: &Args, directory: &Path) -> Result<()> {
    let group = Group::start(directory).await?;
    let nodes = if args.spread { "spread over the nodes" } else { "at the leader's node" };
    println!("## Store\n\nThree voters, {} B values, clients {nodes}.\n", args.bytes);
    println!(
        "| clients | transactions/s | p50 | p99 | max | fdatasync/s | transactions per fdatasync |\n\
         | --- | --- | --- | --- | --- | --- | --- |"
    );
    for clients in &args.clients {
        let syncs = syncs_per_second(directory, BASELINE)?;
        let stores = if args.spread { group.stores() } else { vec![group.leader_store()?] };
        let load = Load {
            clients: *clients,
            bytes: args.bytes,
            warm_up: Duration::from_secs(1),
            duration: Duration::from_secs(args.seconds),
        };
        let written = load.run(&stores).await?;
        let latencies = Distribution::new(written.latencies)?;
        #[allow(clippy::cast_precision_loss, reason = "a rate for people")]
        let rate = latencies.count() as f64 / written.took.as_secs_f64();
        let [p50, p99, max] = [50, 99, 100].map(|percent| latencies.percentile(percent));
        println!(
            "| {clients} | {rate:.0} | {p50:.2?} | {p99:.2?} | {max:.1?} | {syncs:.0} | {:.2} |",
            rate / syncs
        );
    }
    println!();
    group.stop().await;
    Ok(())
}
