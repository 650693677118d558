//! Kills, cuts and heals random hosts of the running cluster under a write load, and compares
//! what clients were told with what is there. `scripts/drill` makes the cluster for it.

#![allow(clippy::print_stdout, reason = "printing is what it is for")]

use std::{io::IsTerminal, process::ExitCode};

use anyhow::Result;
use clap::Parser;
use skein_tests::{Cluster, Told, drill};

const NAMESPACE: &str = "drill";

/// Kill, cut and heal random hosts under a write load, and check the history.
#[derive(Debug, Parser)]
struct Args {
    /// How many steps: kills, cuts, and what undoes them.
    #[arg(long, default_value_t = 50)]
    steps: usize,
    /// The seed of the choices; random if not given.
    #[arg(long)]
    seed: Option<u64>,
}

fn main() -> Result<ExitCode> {
    let args = Args::parse();
    // The steps as they are taken, without what the client library thinks of killed hosts.
    tracing_subscriber::fmt()
        .with_env_filter("skein_tests=info")
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .init();
    let seed = args.seed.unwrap_or_else(rand::random);
    println!("seed {seed}");
    let cluster = Cluster::attach()?;
    cluster.kubectl("", &["delete", "namespace", NAMESPACE, "--ignore-not-found"], None)?;
    cluster.kubectl("", &["create", "namespace", NAMESPACE], None)?;
    let report = drill(&cluster, NAMESPACE, seed, args.steps)?;
    let count = |told: fn(Told) -> bool| {
        let writes = report.history.creates.iter().chain(&report.history.raises);
        writes.filter(|write| told(write.told)).count()
    };
    println!("steps: {}", report.steps.join(", "));
    println!(
        "{} hosts, {} steps: {} writes acknowledged, {} refused, {} left open, {} consistent \
         reads; at most {:.1} s until the next writes were through",
        cluster.hosts()?.len(),
        report.steps.len(),
        count(|told| matches!(told, Told::Done(_))),
        count(|told| told == Told::Refused),
        count(|told| told == Told::Nothing),
        report.history.reads.len(),
        report.slowest.as_secs_f64(),
    );
    for violation in &report.violations {
        println!("VIOLATION {violation}");
    }
    if report.violations.is_empty() {
        println!("no write was lost, repeated or reordered");
        Ok(ExitCode::SUCCESS)
    } else {
        Ok(ExitCode::FAILURE)
    }
}
