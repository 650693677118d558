//! From the pod's object to what the runtime is asked for: environment, volumes, configurations.

mod container;
mod env;
mod ephemeral;
mod expand;
mod fields;
mod sandbox;
mod sources;
mod volumes;

pub(crate) use container::{ContainerInputs, container_config};
pub(crate) use env::{Resolved, needs_pod_ip, resolve};
pub(crate) use ephemeral::container_of;
pub(crate) use fields::{FieldContext, container_resources};
pub(crate) use sandbox::sandbox_config;
pub(crate) use sources::{Reference, SourceKind, Sources, references};
pub(crate) use volumes::{MountError, PodDirectory, materialise};

/// What the pod's author must change, or what is not there yet; shown as
/// `CreateContainerConfigError`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ConfigError {
    /// A ConfigMap or Secret does not exist.
    #[error("{kind} {name:?} not found")]
    MissingSource { kind: &'static str, name: String },
    /// It has no such key.
    #[error("couldn't find key {key} in {kind} {namespace}/{name}")]
    MissingKey { kind: &'static str, namespace: String, name: String, key: String },
    /// A field of the pod that cannot be referred to.
    #[error("unsupported fieldPath: {0}")]
    UnknownField(String),
    /// A resource that cannot be referred to.
    #[error("unsupported container resource: {0}")]
    UnknownResource(String),
    /// A reference to a container that the pod does not have.
    #[error("container {0} not found")]
    UnknownContainer(String),
    /// A volume mount without its volume.
    #[error("no volume {0:?} in the pod")]
    UnknownVolume(String),
    /// A volume of a kind this host cannot provide.
    #[error("volume {0:?} is of a kind this node does not support")]
    UnsupportedVolume(String),
    /// A path that would leave the volume.
    #[error("path {path:?} of volume {volume:?} must be relative and must not contain '..'")]
    BadPath { volume: String, path: String },
    /// A value that is not one.
    #[error("invalid {what}: {value:?}")]
    Invalid { what: &'static str, value: String },
    /// The container must not run as root but would.
    #[error("container has runAsNonRoot and would run as root")]
    RunsAsRoot,
}
