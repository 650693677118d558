//! How long the cluster takes no writes when its leader is killed, and when it is asked to stop.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::sys::signal::Signal;
use skein_measure::Distribution;
use skein_tests::{Cluster, Pulse, longest_gap};

use crate::trials::Trials;

const DEADLINE: Duration = Duration::from_secs(60);
/// Writes before a fault: enough that every writer is at it.
const WARM_UP: usize = 40;
/// Writes after it: enough that what follows an election shows.
const AFTER: usize = 40;

/// One trial: without writes because of the fault, and before it, when nothing happened.
#[derive(Debug)]
struct Outcome {
    gap: Duration,
    undisturbed: Duration,
}

/// Time from `kill -9` of the leader until a write sent after it is acknowledged.
pub(crate) fn killed(cluster: &Cluster, trials: Trials) -> Result<()> {
    let (outcomes, ended) = trials.run("leader killed", |trial| {
        let around = Around::start(cluster, "bench-killed", trial)?;
        let undisturbed = around.undisturbed()?;
        let killed = cluster.signal(&around.leader, Signal::SIGKILL)?;
        let first = around.pulse.first_after(killed, DEADLINE)?;
        around.pulse.stop()?;
        bring_back(cluster, &around.leader)?;
        Ok(Outcome { gap: first - killed, undisturbed })
    })?;
    println!("## Leader killed\n\n{}", Distribution::head("`kill -9` of the leader"));
    print(&outcomes, "→ first write sent after it acknowledged")?;
    println!("Goal: median at most 400 ms, p99 at most 1 s. Docker Swarm: 17 s, worst 29 s.\n");
    ended
}

/// The longest time without an acknowledged write around SIGTERM of the leader.
pub(crate) fn stopped(cluster: &Cluster, trials: Trials) -> Result<()> {
    let (outcomes, ended) = trials.run("leader stopped", |trial| {
        let around = Around::start(cluster, "bench-stopped", trial)?;
        let undisturbed = around.undisturbed()?;
        let stopped = cluster.signal(&around.leader, Signal::SIGTERM)?;
        cluster.wait_ended(&around.leader, DEADLINE)?;
        around.pulse.goes_on(AFTER, DEADLINE)?;
        let gap = longest_gap(&around.pulse.writes(), stopped, Instant::now());
        around.pulse.stop()?;
        bring_back(cluster, &around.leader)?;
        Ok(Outcome { gap, undisturbed })
    })?;
    println!("## Leader stopped\n\n{}", Distribution::head("SIGTERM of the leader"));
    print(&outcomes, "longest time without an acknowledged write")?;
    println!("Goal: at most 50 ms.\n");
    ended
}

fn print(outcomes: &[Outcome], what: &str) -> Result<()> {
    let of =
        |part: fn(&Outcome) -> Duration| Distribution::new(outcomes.iter().map(part).collect());
    let (gaps, undisturbed) = (of(|one| one.gap)?, of(|one| one.undisturbed)?);
    println!("{}", gaps.row(what));
    println!("{}", undisturbed.row("before it: longest time without one"));
    println!("\nRatio of the medians: {:.1}.\n", gaps.over(&undisturbed));
    Ok(())
}

/// Writers at a surviving host, by turns at each of them.
struct Around {
    leader: String,
    pulse: Pulse,
}

impl Around {
    fn start(cluster: &Cluster, namespace: &str, trial: usize) -> Result<Self> {
        let leader = cluster.leader()?;
        let others: Vec<String> =
            cluster.hosts()?.into_iter().filter(|host| *host != leader).collect();
        let host = others.get(trial % others.len().max(1)).context("a host besides the leader")?;
        // Together with the prefix a name is used once.
        let namespace = ensure_namespace(cluster, namespace, trial)?;
        let pulse = Pulse::start(cluster, &namespace, host, &format!("t{trial}"))?;
        pulse.goes_on(WARM_UP, DEADLINE)?;
        Ok(Self { leader, pulse })
    }

    /// The longest time without a write while nothing happens.
    fn undisturbed(&self) -> Result<Duration> {
        let from = Instant::now();
        self.pulse.goes_on(AFTER, DEADLINE)?;
        Ok(longest_gap(&self.pulse.writes(), from, Instant::now()))
    }
}

/// The namespace of the trials; the first one makes it.
fn ensure_namespace(cluster: &Cluster, name: &str, trial: usize) -> Result<String> {
    if trial == 0 {
        let delete = ["delete", "namespace", name, "--ignore-not-found"];
        cluster.kubectl("", &delete, None)?;
        cluster.kubectl("", &["create", "namespace", name], None)?;
    }
    Ok(name.to_owned())
}

fn bring_back(cluster: &Cluster, host: &str) -> Result<()> {
    cluster.wait_ended(host, DEADLINE)?;
    cluster.script(&["start", host])?;
    cluster.wait_voters(3, DEADLINE)
}
