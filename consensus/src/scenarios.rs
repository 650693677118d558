//! Scenarios on a cluster in memory: paused clock, simulated disks, faults drawn from a seed.

mod cluster;
mod contract;
mod directories;
mod disks;
mod elections;
mod faults;
mod linearizability;
mod membership;
mod quic;
mod recovery;
