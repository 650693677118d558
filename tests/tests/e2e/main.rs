//! End to end: real hosts in network namespaces, real Docker, real `kubectl`.
//!
//! The tests share the cluster of `scripts/cluster up` and run one at a time; each works in a
//! namespace of its own and leaves every host up.

#![allow(clippy::print_stderr, reason = "a clean-up that fails in drop has nowhere else to tell")]

mod application;
mod bad_input;
mod clients;
mod disk;
mod drill;
mod exec;
mod faults;
mod kubectl;
mod members;
mod network;
mod quorum;
mod support;
mod two_hosts;
