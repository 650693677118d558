//! Pure placement: filters, scores and strategies. Depends on nothing local, does no IO.
//!
//! [`schedule`] takes every pending pod at once and one [`Snapshot`] of the cluster, and decides
//! in a single pass in which each decision already counts for the next one. The filters and their
//! wording follow the Kubernetes scheduler; the strategies are Swarm's (spread, binpack, random).

mod class;
mod constraint;
mod ledger;
mod node;
mod pod;
mod refusal;
mod resources;
mod schedule;
mod strategy;

pub use constraint::{Effect, Match, Operator, Requirement, Taint, Term, Toleration};
pub use node::NodeView;
pub use pod::{BoundPod, HostPort, PodView, Protocol};
pub use refusal::{Refusal, Unschedulable};
pub use resources::Resources;
pub use schedule::{Decision, Snapshot, schedule};
pub use strategy::Strategy;
