//! Scenarios on a cluster in memory: paused clock, simulated disks. Random faults under
//! load, and histories checked for linearizability, are the simulation's (`tests/sim`).

mod cluster;
mod contract;
mod directories;
mod disks;
mod elections;
mod membership;
mod quic;
mod recovery;
mod writes;
