//! A node of Skein, put together from the crates below, which know only the traits of each other.
//!
//! [`Core`] makes a node a member of its cluster and [`Services`] is what it does there: both over
//! any transport, disk, container runtime and pod network. [`up`] is the node of `skein up`: an
//! identity on disk, QUIC, an HTTPS listener, Docker.

mod authority;
mod bootstrap;
mod certificates;
mod cluster_view;
mod core;
mod data_dir;
mod decisions;
mod division;
mod gate;
mod hosts;
mod leader;
mod liveness;
mod pod_network;
mod registration;
mod services;
mod standing;
mod up;

pub use self::core::{Core, CoreConfig, CoreError, Departure, Opened, VERSION, generation};
pub use services::{Services, ServicesConfig, Workload};
pub use up::up;
