//! What to do next for one pod: a pure function of what is wanted, what is there and the time.
//!
//! Invariants, each under a property test: at most one copy of a container runs; a running
//! container is never started again; an ephemeral one is started once; repeated planning with the
//! actions performed comes to rest. This module performs nothing and knows no runtime, store or
//! clock.

mod action;
mod desired;
mod due;
mod memory;
mod plan;
mod resize;
mod restart;
mod teardown;
#[cfg(test)]
mod tests;

pub(crate) use action::{Action, Step, StopReason};
pub(crate) use desired::{ContainerSpec, Desired, Intent, RestartPolicy, Role};
pub(crate) use due::due;
pub(crate) use memory::{Cause, Failure, Memory, Network, Observed};
pub(crate) use plan::plan;
pub(crate) use resize::{Change, Size};
pub(crate) use restart::restart_delay;
