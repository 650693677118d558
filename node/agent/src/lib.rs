//! Runs the pods bound to this host and reports what it sees.
//!
//! Desired state comes from the store through an informer, observed state from the runtime; a
//! worker per pod asks a pure lifecycle what to do, does it, and writes the status back. What must
//! survive this process is in the runtime and in the agent's directory: restarting the agent
//! restarts no container, and without quorum the last known pods run on.

mod agent;
mod allocation;
mod checkpoint;
mod config;
mod disk_work;
mod exec;
mod host;
mod lifecycle;
mod limits;
mod logs;
mod metrics;
mod network;
mod node;
mod pod;
mod pods;
mod probe;
mod status;
#[cfg(test)]
mod tests;
mod worker;

pub use agent::Agent;
pub use config::{AgentConfig, Clock, DnsConfig};
pub use disk_work::DiskWork;
pub use exec::{Conversation, ExecRequest};
pub use limits::{CONCURRENT_STARTS, FRAME_BYTES, MAX_PODS};
pub use logs::{LogError, LogLines, LogRequest};
pub use network::{NetworkError, PodNetwork, Route, SimulatedNetwork};
