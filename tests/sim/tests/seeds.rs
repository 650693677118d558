//! The simulation in CI: that it is deterministic, and a fixed set of seeds.
//!
//! Each run is a process of its own, as `sim` runs them.

use std::{
    io,
    process::{Command, Output},
};

fn sim(arguments: &[&str]) -> io::Result<Output> {
    Command::new(env!("CARGO_BIN_EXE_sim")).args(arguments).output()
}

#[test]
fn the_same_seed_gives_the_same_trace() -> io::Result<()> {
    let run = |seed: &str| {
        Ok::<_, io::Error>(sim(&["--seed", seed, "--trace", "--chaos-ms", "3000"])?.stdout)
    };
    let trace = run("1")?;
    assert!(trace.len() > 100_000, "{}", String::from_utf8_lossy(&trace));
    assert!(run("1")? == trace, "two runs of seed 1 differ");
    assert!(run("2")? != trace, "seeds 1 and 2 are the same");
    Ok(())
}

/// Seed 2 with 6 s of faults among them: a leader whose clock was behind took ready pods for
/// unavailable.
#[test]
fn a_fixed_set_of_seeds_is_clean() -> io::Result<()> {
    let output = sim(&["--seeds", "0..4", "--chaos-ms", "6000"])?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    Ok(())
}
