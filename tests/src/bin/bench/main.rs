//! Measures Skein and prints Markdown: distributions, each beside a raw baseline of the same run.
//! `scripts/bench` builds it, starts the cluster where a part needs one, and ends it.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "printing is what it is for")]

mod creates;
mod cut;
mod fan_out;
mod footprint;
mod gets;
mod leader;
mod lists;
mod memory;
mod pod_start;
mod process;
mod restart;
mod template;
mod trials;
mod voters;
mod watchers;

use std::{
    process::{Command, ExitCode},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use skein_tests::Cluster;
use tokio::runtime::Runtime;

use self::{trials::Trials, voters::Voters};

/// Measure Skein. Without a part: all of them.
#[derive(Debug, Parser)]
struct Args {
    /// Only these parts.
    #[arg(value_enum)]
    parts: Vec<Part>,
    /// Measure nothing, only say by the exit code whether a part needs a running cluster.
    #[arg(long, hide = true)]
    needs_cluster: bool,
    /// Trials of each pod start.
    #[arg(long, default_value_t = 9)]
    starts: usize,
    /// Trials of the killed leader, and of the stopped one.
    #[arg(long, default_value_t = 100)]
    kills: usize,
    /// Trials of the cut host, half of them hosts that lead.
    #[arg(long, default_value_t = 100)]
    cuts: usize,
    /// Trials of the restarted node.
    #[arg(long, default_value_t = 10)]
    restarts: usize,
    /// Pods in the state of the restarted node.
    #[arg(long, default_value_t = 150_000)]
    pods: usize,
    /// Pods that are listed.
    #[arg(long, default_value_t = 10_000)]
    listed: usize,
    /// Minutes after which a part begins no further trial.
    #[arg(long, default_value_t = 20)]
    minutes: u64,
    /// Seconds each number of clients or connections writes or reads for.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// Transactions a second of the store alone.
    Store,
    /// A node that comes back to a large state.
    Restart,
    /// Memory of an idle node.
    Footprint,
    /// `kubectl apply` until the container runs.
    PodStart,
    /// `kill -9` of the leader until the next write.
    LeaderKill,
    /// SIGTERM of the leader: longest time without a write.
    LeaderStop,
    /// A host cut off until its pods run elsewhere.
    HostCut,
    /// Pod creates a second through the API.
    Creates,
    /// Reads of one pod.
    Gets,
    /// Lists of many pods.
    Lists,
    /// Events a second to many watches.
    Watches,
    /// Memory for each object, and for each watch that waits.
    Memory,
}

const ALL: [Part; 12] = [
    Part::Store,
    Part::Restart,
    Part::Footprint,
    Part::PodStart,
    Part::LeaderKill,
    Part::LeaderStop,
    Part::HostCut,
    Part::Creates,
    Part::Gets,
    Part::Lists,
    Part::Watches,
    Part::Memory,
];

impl Part {
    fn needs_cluster(self) -> bool {
        matches!(
            self,
            Self::Footprint | Self::PodStart | Self::LeaderKill | Self::LeaderStop | Self::HostCut
        )
    }
}

fn main() -> Result<ExitCode> {
    let args = Args::parse();
    let parts = if args.parts.is_empty() { ALL.to_vec() } else { args.parts.clone() };
    if args.needs_cluster {
        let needed = parts.iter().any(|part| part.needs_cluster());
        return Ok(if needed { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    let limit = Duration::from_secs(args.minutes * 60);
    let trials = |count| Trials { count, limit };
    for part in parts {
        match part {
            Part::Store => store(args.seconds)?,
            Part::Restart => restart::measure(args.pods, trials(args.restarts))?,
            Part::Footprint => footprint::measure(&Cluster::attach()?)?,
            Part::PodStart => pod_start::measure(&Cluster::attach()?, args.starts)?,
            Part::LeaderKill => leader::killed(&Cluster::attach()?, trials(args.kills))?,
            Part::LeaderStop => leader::stopped(&Cluster::attach()?, trials(args.kills))?,
            Part::HostCut => cut::measure(&Cluster::attach()?, trials(args.cuts))?,
            Part::Creates => creates::measure(&Voters::start()?, &runtime()?, args.seconds)?,
            Part::Gets => gets::measure(&Voters::start()?, &runtime()?, args.seconds)?,
            Part::Lists => {
                lists::measure(&Voters::start()?, &runtime()?, args.listed, args.seconds)?;
            }
            Part::Watches => fan_out::measure(&Voters::start()?, &runtime()?, args.seconds)?,
            Part::Memory => memory::measure(&Voters::start()?, &runtime()?, args.listed)?,
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn runtime() -> Result<Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?)
}

/// The store is measured by a program of its own, which is built beside this one.
fn store(seconds: u64) -> Result<()> {
    let program = std::env::current_exe()?.with_file_name("bench-store");
    let status = Command::new(&program)
        .args(["--seconds", &seconds.to_string()])
        .status()
        .with_context(|| format!("{} cannot be run", program.display()))?;
    ensure!(status.success(), "{} failed: {status}", program.display());
    Ok(())
}
