//! One seed from its plan to its report.

use std::{
    fmt,
    path::{Path, PathBuf},
    thread,
};

use anyhow::{Result, anyhow};

use crate::{invariants::Violation, panics, plan::Plan, seam, trace::Trace, world};

/// How a seed is run.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// The seed: everything follows from it.
    pub seed: u64,
    /// How long faults go on, in milliseconds of virtual time.
    pub chaos_ms: u64,
    /// Whether the trace is written to standard output.
    pub trace: bool,
}

/// What came of a run.
#[derive(Debug)]
pub struct Report {
    seed: u64,
    plan: Plan,
    violations: Vec<Violation>,
    last: Vec<String>,
    /// Lines of the trace and their digest.
    digest: (u64, u64),
}

impl Report {
    /// Whether everything held.
    pub fn is_clean(&self) -> bool {
        self.violations.is_empty()
    }
}

/// Runs one seed. Call it once in a process: counters of the libraries under it go on where they
/// are, and they are part of what follows.
///
/// # Errors
/// Where the simulation itself cannot go on.
pub fn simulate(options: &RunOptions) -> Result<Report> {
    // Made while the name can be random; it is part of nothing.
    let files = tempfile::Builder::new().prefix("skein-sim").tempdir_in(shared_memory())?;
    // On a thread of its own: what was drawn on this one before, as for the filter of log lines,
    // would be part of what follows.
    thread::scope(|scope| scope.spawn(|| run(options, files.path())).join())
        .map_err(|_| anyhow!("the simulation itself panicked"))?
}

/// Runs one seed on this thread, which simulates from now on.
fn run(options: &RunOptions, files: &Path) -> Result<Report> {
    let before = threads()?;
    seam::enter(options.seed);
    panics::note_all();
    let plan = Plan::draw(options.seed, options.chaos_ms);
    let trace = Trace::new(options.trace);
    let mut violations = world::run(options.seed, plan.clone(), files.to_owned(), trace.clone())?;
    violations.extend(strangers(threads()?.saturating_sub(before)));
    let (last, digest) = (trace.last(), trace.digest());
    Ok(Report { seed: options.seed, plan, violations, last, digest })
}

/// Memory where there is some: agents sync their files, which no disk should have to do here.
fn shared_memory() -> PathBuf {
    let memory = PathBuf::from("/dev/shm");
    if memory.is_dir() { memory } else { std::env::temp_dir() }
}

/// How many threads the process has.
fn threads() -> Result<usize> {
    Ok(std::fs::read_dir("/proc/self/task")?.count())
}

/// A thread beside the simulation's would run in its own time and order.
fn strangers(threads: usize) -> Option<Violation> {
    (threads > 0)
        .then(|| Violation::new("one thread", format!("{threads} threads ran in the simulation")))
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, plan, violations, last, digest: (lines, digest) } = self;
        if violations.is_empty() {
            return write!(f, "seed {seed}: clean, {lines} lines, digest {digest:016x}");
        }
        writeln!(f, "seed {seed}: VIOLATED")?;
        violations.iter().try_for_each(|violation| writeln!(f, "  {violation}"))?;
        writeln!(f, "\nthe plan: {plan}\nthe last of {lines} lines:")?;
        last.iter().try_for_each(|line| writeln!(f, "  {line}"))?;
        write!(f, "\nagain: cargo run -p skein-sim -- --seed {seed} --trace")
    }
}
