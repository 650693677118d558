//! A drill: clients write through every host while a random host after the other is killed, cut
//! off and brought back; then everything they were told is compared with what is there.
//!
//! The choices follow from the seed, except that the cluster decides who leads.

mod history;
mod plan;
mod writers;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, ensure};
use nix::sys::signal::Signal;
use rand::{Rng, SeedableRng, rngs::StdRng};

pub use self::history::{During, History, Seen, Told, Write};
use self::{
    plan::{Hosts, Step},
    writers::Shared,
};
use crate::{Cluster, Link, wait_for};

/// Acknowledged writes between two steps, at random: from the middle of an election to a while of
/// peace.
const WRITES_BETWEEN: std::ops::Range<usize> = 20..400;
/// How long the clients may be without those writes while a majority is well.
const PROGRESS_DEADLINE: Duration = Duration::from_secs(60);
const HEAL_DEADLINE: Duration = Duration::from_secs(120);

/// What a drill did and found.
#[derive(Clone, Debug)]
pub struct Report {
    /// The seed of its choices.
    pub seed: u64,
    /// The steps, in order.
    pub steps: Vec<String>,
    /// The longest time from a step until enough further writes were acknowledged.
    pub slowest: Duration,
    /// What the clients did.
    pub history: History,
    /// What does not agree; empty if all is well.
    pub violations: Vec<String>,
}

/// Takes `steps` random steps on the hosts of `cluster`, with clients in `namespace`, which must
/// be empty. Every host is well when it returns.
///
/// # Errors
/// When the clients make no progress, hosts do not come back or cannot be asked.
pub fn drill(cluster: &Cluster, namespace: &str, seed: u64, steps: usize) -> Result<Report> {
    let hosts = cluster.hosts()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(writers::prepare(cluster, &hosts, namespace))?;
    let (stop, acknowledged) = (AtomicBool::new(false), AtomicUsize::new(0));
    let shared = Arc::new(Shared { stop, acknowledged });
    let (writing, name) = (cluster.clone(), namespace.to_owned());
    let clients = runtime.spawn(writers::run(writing, name, seed, Arc::clone(&shared)));

    let mut faults =
        Faults { cluster, shared: &shared, hosts: Hosts::new(&hosts), slowest: Duration::ZERO };
    let taken = faults.run(seed, steps);
    // Also after a failure: hosts are left well, and the history is worth a look.
    let healed = faults.repair_all(hosts.len());
    let slowest = faults.slowest;
    shared.stop.store(true, Ordering::Relaxed);
    let history = runtime.block_on(clients).map_err(|error| anyhow!("a client: {error}"))??;
    let steps = taken?;
    healed?;

    let mut violations = Vec::new();
    let mut first = None;
    for host in &hosts {
        let found =
            runtime.block_on(writers::find(cluster, host, namespace)).context(host.clone())?;
        violations
            .extend(history.violations(&found).into_iter().map(|one| format!("{host}: {one}")));
        if *first.get_or_insert_with(|| found.clone()) != found {
            violations.push(format!("{host} does not have what {} has", hosts[0]));
        }
    }
    Ok(Report { seed, steps, slowest, history, violations })
}

struct Faults<'a> {
    cluster: &'a Cluster,
    shared: &'a Shared,
    hosts: Hosts,
    slowest: Duration,
}

impl Faults<'_> {
    fn run(&mut self, seed: u64, steps: usize) -> Result<Vec<String>> {
        let mut random = StdRng::seed_from_u64(seed);
        let mut taken = Vec::new();
        self.progress(&mut random).context("before the first step")?;
        for _ in 0..steps {
            // It may be between two leaders; then any host is as good.
            let leader = self.cluster.leader().ok();
            let step = self.hosts.next(leader.as_deref(), &mut random);
            tracing::info!(%step, leader, "step {} of {steps}", taken.len() + 1);
            taken.push(step.to_string());
            self.take(&step)?;
            self.progress(&mut random).with_context(|| format!("seed {seed}: {taken:?}"))?;
        }
        Ok(taken)
    }

    fn take(&mut self, step: &Step) -> Result<()> {
        // Noted before it is known to have worked: undoing it twice does no harm.
        self.hosts.note(step);
        match step {
            Step::Kill(host) => {
                self.cluster.signal(host, Signal::SIGKILL)?;
                self.cluster.wait_ended(host, HEAL_DEADLINE)
            }
            Step::Cut(host) => self.cluster.set_link(host, Link::Cut).map(drop),
            Step::Start(host) => self.cluster.script(&["start", host]).map(drop),
            Step::Heal(host) => self.cluster.set_link(host, Link::Whole).map(drop),
        }
    }

    /// Waits for a random number of further writes.
    fn progress(&mut self, random: &mut StdRng) -> Result<()> {
        let begun = Instant::now();
        let so_far = || self.shared.acknowledged.load(Ordering::Relaxed);
        let goal = so_far() + random.random_range(WRITES_BETWEEN);
        wait_for("writes to go on", PROGRESS_DEADLINE, || {
            let count = so_far();
            ensure!(count >= goal, "{count} of {goal}");
            anyhow::Ok(())
        })?;
        self.slowest = self.slowest.max(begun.elapsed());
        Ok(())
    }

    fn repair_all(&mut self, hosts: usize) -> Result<()> {
        for step in self.hosts.repairs() {
            self.take(&step)?;
        }
        let voters = if hosts >= 5 { 5 } else { hosts.min(3) };
        self.cluster.wait_voters(voters, HEAL_DEADLINE)
    }
}
