//! Scenarios on a cluster in memory: paused clock, simulated disks, faults drawn from a seed.

mod cluster;
mod contract;
mod disks;
mod faults;
mod linearizability;
mod membership;
