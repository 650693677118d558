//! A short drill; `scripts/drill` does a long one on five hosts.

use anyhow::{Result, ensure};
use skein_tests::{Cluster, Told, drill};

use crate::support::Namespace;

/// Steps of the short drill: each fault is met about twice.
const STEPS: usize = 8;

#[test]
fn random_kills_and_cuts_lose_repeat_and_reorder_no_write() -> Result<()> {
    let cluster = Cluster::attach()?;
    let ns = Namespace::create(&cluster, "e2e-drill")?;
    let seed = rand::random();
    eprintln!("seed {seed}; again with: drill --steps {STEPS} --seed {seed}");

    let report = drill(&cluster, &ns.name, seed, STEPS)?;

    ensure!(report.violations.is_empty(), "seed {seed}: {:#?}", report.violations);
    let done = report.history.creates.iter().filter(|write| matches!(write.told, Told::Done(_)));
    ensure!(done.count() > STEPS, "seed {seed}: hardly anything was written");
    Ok(())
}
