//! Measures Skein and prints Markdown: distributions, each beside a raw baseline of the same run.
//! `scripts/bench` builds it, starts the cluster where a part needs one, and ends it.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "printing is what it is for")]

mod creates;
mod cut;
mod footprint;
mod leader;
mod pod_start;
mod restart;
mod template;
mod trials;

use std::{
    process::{Command, ExitCode},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use skein_tests::Cluster;

use self::trials::Trials;

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
    /// Minutes after which a part begins no further trial.
    #[arg(long, default_value_t = 20)]
    minutes: u64,
    /// Seconds each number of clients or connections writes for.
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
}

/// Creates come last: they leave much behind.
const ALL: [Part; 8] = [
    Part::Store,
    Part::Restart,
    Part::Footprint,
    Part::PodStart,
    Part::LeaderKill,
    Part::LeaderStop,
    Part::HostCut,
    Part::Creates,
];

impl Part {
    fn needs_cluster(self) -> bool {
        !matches!(self, Self::Store | Self::Restart)
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
            Part::Creates => creates::measure(&Cluster::attach()?, args.seconds)?,
        }
    }
    Ok(ExitCode::SUCCESS)
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
