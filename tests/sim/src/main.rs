//! `sim`: runs seeds, each in a process of its own, on every core.

use std::{
    ops::Range,
    os::unix::process::ExitStatusExt,
    path::Path,
    process::{Command, ExitCode},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use anyhow::{Context, Result, bail};
use clap::Parser;
use nix::sys::{
    resource::{Resource, getrlimit, setrlimit},
    signal::Signal,
};
use skein_sim::{RunOptions, simulate};
use tracing_subscriber::EnvFilter;

/// Processor time a seed may take, in seconds; most take four. More than that, and its virtual time
/// has stopped.
const PROCESSOR_LIMIT_S: u64 = 300;

/// Whole clusters in one process, from one seed.
#[derive(Parser)]
struct Options {
    /// Runs these seeds, `FIRST..END`.
    #[arg(long, value_parser = parse_seeds, conflicts_with = "seed")]
    seeds: Option<Range<u64>>,
    /// Runs one seed in this process.
    #[arg(long)]
    seed: Option<u64>,
    /// Writes the trace of the one seed.
    #[arg(long, requires = "seed")]
    trace: bool,
    /// Writes log lines of the one seed that pass this filter.
    #[arg(long, requires = "seed")]
    log: Option<String>,
    /// How long faults go on in a run, in milliseconds of virtual time.
    #[arg(long, default_value_t = 20_000)]
    chaos_ms: u64,
    /// Seeds at a time; as many as there are cores if not given.
    #[arg(long)]
    jobs: Option<usize>,
    /// Stops at the first seed that fails.
    #[arg(long)]
    fail_fast: bool,
}

fn parse_seeds(text: &str) -> Result<Range<u64>, String> {
    let (first, end) = text.split_once("..").ok_or("give FIRST..END")?;
    let number = |text: &str| text.parse().map_err(|error| format!("{text:?}: {error}"));
    let range = number(first)?..number(end)?;
    if range.is_empty() { Err("no seed is in there".to_owned()) } else { Ok(range) }
}

fn main() -> Result<ExitCode> {
    let options = Options::parse();
    match (options.seed, &options.seeds) {
        (Some(seed), _) => one(seed, &options),
        (None, Some(seeds)) => many(seeds.clone(), &options),
        (None, None) => bail!("give --seed or --seeds"),
    }
}

#[allow(clippy::print_stdout, reason = "the report is the output of this program")]
fn one(seed: u64, options: &Options) -> Result<ExitCode> {
    if let Some(filter) = &options.log {
        let filter: EnvFilter = filter.parse().context("--log is not a filter of log lines")?;
        tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).init();
    }
    let (_, hard) = getrlimit(Resource::RLIMIT_CPU).context("the limit of processor time")?;
    setrlimit(Resource::RLIMIT_CPU, PROCESSOR_LIMIT_S.min(hard), hard)
        .context("limiting processor time")?;
    let run = RunOptions { seed, chaos_ms: options.chaos_ms, trace: options.trace };
    let report = simulate(&run)?;
    println!("{report}");
    Ok(if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

#[allow(clippy::print_stdout, reason = "the reports are the output of this program")]
fn many(seeds: Range<u64>, options: &Options) -> Result<ExitCode> {
    let program = std::env::current_exe().context("where this program is")?;
    let jobs = match options.jobs {
        Some(jobs) => jobs.max(1),
        None => std::thread::available_parallelism().context("the number of cores")?.get(),
    };
    let (next, began) = (AtomicU64::new(seeds.start), Instant::now());
    let failed = Mutex::new(Vec::new());
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                return;
            }
            let Err(report) = in_a_process(&program, seed, options.chaos_ms) else { continue };
            println!("{report}");
            failed.lock().unwrap_or_else(PoisonError::into_inner).push(seed);
            if options.fail_fast {
                next.store(seeds.end, Ordering::Relaxed);
            }
        }
    };
    std::thread::scope(|scope| (0..jobs).for_each(|_| drop(scope.spawn(work))));
    let mut failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
    failed.sort_unstable();
    let (count, seconds) = (seeds.end - seeds.start, began.elapsed().as_secs_f64());
    if failed.is_empty() {
        println!("{count} seeds clean in {seconds:.1} s on {jobs} cores");
        return Ok(ExitCode::SUCCESS);
    }
    println!("{} of {count} seeds failed in {seconds:.1} s: {failed:?}", failed.len());
    Ok(ExitCode::FAILURE)
}

/// Runs one seed in a process of its own; an error is its report.
fn in_a_process(program: &Path, seed: u64, chaos_ms: u64) -> Result<(), String> {
    let arguments = ["--seed", &seed.to_string(), "--chaos-ms", &chaos_ms.to_string()];
    let ran = Command::new(program).args(arguments).output();
    let output = ran.map_err(|error| format!("seed {seed} did not run: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    if output.status.signal() == Some(Signal::SIGXCPU as i32) {
        return Err(format!("seed {seed} did not end in {PROCESSOR_LIMIT_S} s of processor time"));
    }
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Err(format!("{}{}", text(&output.stdout), text(&output.stderr)))
}
