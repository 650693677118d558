//! Deterministic simulation: a whole cluster in one process, from one seed.
//!
//! Everything that is Skein runs as it is; what surrounds it is simulated: time, randomness, the
//! network, disks, container engines, and the failure of each. The same seed gives the same run,
//! byte for byte, so whatever is found can be looked at again. See `docs/simulation.md`.

mod disk;
mod history;
mod host;
mod invariants;
mod limits;
mod node;
mod panics;
mod plan;
mod pods;
mod power;
mod run;
mod seam;
mod trace;
mod wire;
mod workload;
mod world;

pub use run::{Report, RunOptions, simulate};
