//! Scenarios on a cluster in memory: paused clock, simulated disks, faults drawn from a seed.

mod cluster;
mod membership;
