//! Measures a running local cluster and prints Markdown: medians and spread, each beside a raw
//! baseline of the same run. `scripts/bench` starts the cluster, runs this and ends it.

#![allow(clippy::print_stdout, reason = "printing is what it is for")]

mod creates;
mod failover;
mod footprint;
mod pod_start;
mod statistics;

use anyhow::Result;
use clap::Parser;
use skein_tests::Cluster;

/// Measure a running local cluster.
#[derive(Debug, Parser)]
struct Args {
    /// Only these parts.
    #[arg(value_enum)]
    parts: Vec<Part>,
    /// Trials of each pod start.
    #[arg(long, default_value_t = 9)]
    starts: usize,
    /// Trials of the killed leader.
    #[arg(long, default_value_t = 20)]
    kills: usize,
    /// Trials of the cut host, half of them hosts that lead.
    #[arg(long, default_value_t = 10)]
    cuts: usize,
    /// Seconds each number of connections writes for.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    PodStart,
    Creates,
    LeaderKill,
    HostCut,
    Footprint,
}

const ALL: [Part; 5] =
    [Part::Footprint, Part::PodStart, Part::Creates, Part::LeaderKill, Part::HostCut];

fn main() -> Result<()> {
    let args = Args::parse();
    let cluster = Cluster::attach()?;
    let parts = if args.parts.is_empty() { ALL.to_vec() } else { args.parts };
    for part in parts {
        match part {
            Part::Footprint => footprint::measure(&cluster)?,
            Part::PodStart => pod_start::measure(&cluster, args.starts)?,
            Part::Creates => creates::measure(&cluster, args.seconds)?,
            Part::LeaderKill => failover::leader_kill(&cluster, args.kills)?,
            Part::HostCut => failover::host_cut(&cluster, args.cuts)?,
        }
    }
    Ok(())
}
