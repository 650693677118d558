//! Harness for the end-to-end tests and measurements: a handle on the local cluster that
//! `scripts/cluster up` made, with real `kubectl` and real Docker.

mod cluster;
mod load;
mod wait;

pub use cluster::{Cluster, Pod};
pub use load::{LoadReport, WriteLoad, client};
pub use wait::wait_for;
