//! The container the runtime is asked for.

use k8s_openapi::api::core::v1::{Container, Pod};
use skein_runtime::{ContainerConfig, Mount};

use super::{ConfigError, Resolved, container_resources};

/// What was found out for a container before it is made.
#[derive(Clone, Debug, Default)]
pub(crate) struct ContainerInputs {
    /// Environment, command and arguments.
    pub(crate) resolved: Resolved,
    /// Mounts.
    pub(crate) mounts: Vec<Mount>,
    /// Attempt.
    pub(crate) attempt: u32,
}

/// The container of `pod` the runtime is asked for, with processes of its own.
pub(crate) fn container_config(
    pod: &Pod,
    container: &Container,
    inputs: ContainerInputs,
) -> Result<ContainerConfig, ConfigError> {
    let security = container.security_context.clone().unwrap_or_default();
    let capabilities = security.capabilities.clone().unwrap_or_default();
    Ok(ContainerConfig {
        name: container.name.clone(),
        image: container.image.clone().unwrap_or_default(),
        command: inputs.resolved.command,
        args: inputs.resolved.args,
        env: inputs.resolved.env,
        working_dir: container.working_dir.clone().unwrap_or_default(),
        user: user(pod, container)?,
        mounts: inputs.mounts,
        resources: container_resources(container)?,
        privileged: security.privileged == Some(true),
        read_only_root: security.read_only_root_filesystem == Some(true),
        capabilities_add: capabilities.add.unwrap_or_default(),
        capabilities_drop: capabilities.drop.unwrap_or_default(),
        target: None,
        stdin: container.stdin == Some(true),
        stdin_once: container.stdin_once == Some(true),
        tty: container.tty == Some(true),
        attempt: inputs.attempt,
        labels: std::collections::BTreeMap::new(),
    })
}

/// The user a container runs as: its own setting before the pod's. A `runAsNonRoot` is held
/// against the number given; an image's own user is not looked into.
fn user(pod: &Pod, container: &Container) -> Result<String, ConfigError> {
    let pod = pod.spec.as_ref().and_then(|spec| spec.security_context.as_ref());
    let own = container.security_context.as_ref();
    let uid = own
        .and_then(|context| context.run_as_user)
        .or_else(|| pod.and_then(|context| context.run_as_user));
    let gid = own
        .and_then(|context| context.run_as_group)
        .or_else(|| pod.and_then(|context| context.run_as_group));
    let non_root = own
        .and_then(|context| context.run_as_non_root)
        .or_else(|| pod.and_then(|context| context.run_as_non_root));
    if non_root == Some(true) && uid == Some(0) {
        return Err(ConfigError::RunsAsRoot);
    }
    Ok(match (uid, gid) {
        (Some(uid), Some(gid)) => format!("{uid}:{gid}"),
        (Some(uid), None) => uid.to_string(),
        (None, Some(gid)) => format!("0:{gid}"),
        (None, None) => String::new(),
    })
}
