//! Leader-only reconcilers: deployment, replica set, disruption budgets, custom resource
//! definitions, garbage collection, namespaces, nodes, scheduling.
//!
//! Every controller observes through informers, plans in a pure function and acts with conditional
//! writes; it works on keys from a queue and does the same whether it heard of a change or only
//! looks again. [`run`] starts them all for one node that leads; what they look at is kept by a
//! [`Standby`] on every host that may lead.

mod backoff;
mod cluster;
mod context;
mod defaults;
mod definitions;
mod deployment;
mod disruption;
mod events;
mod fence;
mod garbage;
mod limits;
mod metrics;
mod namespaces;
mod nodes;
mod owner;
mod placement;
mod pod;
mod pool;
mod queue;
mod reconcile;
mod replica_set;
mod roles;
mod run;
mod scheduling;
mod selector;
mod standby;
#[cfg(test)]
mod tests;
mod uid;
mod writes;

pub use context::{ControllerConfig, LeaderContext, Liveness, NodeLiveness, PodCidr};
pub use metrics::Metrics;
pub use run::run;
pub use standby::Standby;
