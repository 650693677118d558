//! Harness for the end-to-end tests and measurements: a handle on the local cluster that
//! `scripts/cluster up` made, with real `kubectl` and real Docker.

mod cluster;
mod drill;
mod http;
mod load;
mod pulse;
mod wait;

pub use cluster::{Cluster, Link, Pod, binary};
pub use drill::{During, History, Report, Seen, Told, Write, drill};
pub use http::{Answer, Http, revision_of};
pub use load::{LoadReport, WriteLoad, client};
pub use pulse::{Acknowledged, Pulse, longest_gap};
pub use wait::wait_for;
