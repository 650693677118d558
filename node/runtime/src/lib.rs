//! The container runtime trait, Docker behind it, and a simulated one.
//!
//! The words are those of the Kubernetes CRI: a pod is a sandbox (the pause container that owns
//! the network and IPC namespaces) and containers in it. Everything the agent must know after a
//! crash is kept in labels, so that it is rebuilt from the runtime alone.

mod archive;
mod container;
#[cfg(test)]
mod contract;
mod docker;
mod limits;
mod reference;
mod runtime;
mod simulated;

pub use container::{
    ContainerConfig, ContainerId, ContainerInfo, ContainerState, ExecConfig, ExecOutput,
    ExecProcess, ExecSession, ImageInfo, LogOptions, LogStream, Mount, Resources, RuntimeEvent,
    SandboxConfig, SandboxId, SandboxInfo, TerminalSize,
};
pub use docker::DockerRuntime;
pub use runtime::{ContainerRuntime, RuntimeError, RuntimeVersion};
pub use simulated::{Operation, SimulatedRuntime};
