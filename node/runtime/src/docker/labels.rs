//! What a container of ours carries so that a restarted agent knows it again. Pure.
//!
//! The `io.kubernetes.*` labels are those other tools look for; ours say the rest.

use std::collections::{BTreeMap, HashMap};

use crate::{ContainerConfig, SandboxConfig, SandboxInfo};

/// Marks containers of ours; its value says whether it is a sandbox or a container in one.
pub(super) const KIND: &str = "dev.skein.kind";
/// [`KIND`] of a pause container.
pub(super) const SANDBOX: &str = "sandbox";
/// [`KIND`] of a container in a sandbox.
pub(super) const CONTAINER: &str = "container";
/// Id of the sandbox a container runs in.
pub(super) const SANDBOX_ID: &str = "dev.skein.sandbox";
/// Uid of the pod.
pub(super) const POD_UID: &str = "io.kubernetes.pod.uid";

const POD_NAMESPACE: &str = "io.kubernetes.pod.namespace";
const POD_NAME: &str = "io.kubernetes.pod.name";
const CONTAINER_NAME: &str = "io.kubernetes.container.name";
const ATTEMPT: &str = "dev.skein.attempt";
const IMAGE: &str = "dev.skein.image";
/// The caller's own labels are kept under this prefix, so that they can shadow none of ours.
const OWN_PREFIX: &str = "dev.skein.label/";
/// [`CONTAINER_NAME`] of a pause container, as the kubelet had it with Docker.
const PAUSE_NAME: &str = "POD";

/// What the labels of a container of ours say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Marked {
    pub(super) sandbox: bool,
    pub(super) namespace: String,
    pub(super) pod: String,
    pub(super) uid: String,
    pub(super) container: String,
    pub(super) attempt: u32,
    pub(super) sandbox_id: String,
    pub(super) image: String,
    pub(super) own: BTreeMap<String, String>,
}

/// Docker's name of a sandbox.
pub(super) fn sandbox_name(config: &SandboxConfig) -> String {
    docker_name([PAUSE_NAME, &config.name, &config.namespace, &config.uid], config.attempt)
}

/// Docker's name of a container.
pub(super) fn container_name(sandbox: &SandboxInfo, config: &ContainerConfig) -> String {
    docker_name([&config.name, &sandbox.name, &sandbox.namespace, &sandbox.uid], config.attempt)
}

/// Kubernetes names have no underscore, so the parts cannot run into each other.
fn docker_name(parts: [&str; 4], attempt: u32) -> String {
    format!("k8s_{}_{attempt}", parts.join("_"))
}

/// Labels of a sandbox.
pub(super) fn of_sandbox(config: &SandboxConfig) -> HashMap<String, String> {
    let ours = [
        (KIND, SANDBOX.to_owned()),
        (POD_NAMESPACE, config.namespace.clone()),
        (POD_NAME, config.name.clone()),
        (POD_UID, config.uid.clone()),
        (CONTAINER_NAME, PAUSE_NAME.to_owned()),
        (ATTEMPT, config.attempt.to_string()),
    ];
    with_own(ours, &config.labels)
}

/// Labels of a container.
pub(super) fn of_container(
    sandbox: &SandboxInfo,
    config: &ContainerConfig,
) -> HashMap<String, String> {
    let ours = [
        (KIND, CONTAINER.to_owned()),
        (POD_NAMESPACE, sandbox.namespace.clone()),
        (POD_NAME, sandbox.name.clone()),
        (POD_UID, sandbox.uid.clone()),
        (CONTAINER_NAME, config.name.clone()),
        (ATTEMPT, config.attempt.to_string()),
        (SANDBOX_ID, sandbox.id.0.clone()),
        (IMAGE, config.image.clone()),
    ];
    with_own(ours, &config.labels)
}

fn with_own<const N: usize>(
    ours: [(&str, String); N],
    own: &BTreeMap<String, String>,
) -> HashMap<String, String> {
    let own = own.iter().map(|(key, value)| (format!("{OWN_PREFIX}{key}"), value.clone()));
    ours.into_iter().map(|(key, value)| (key.to_owned(), value)).chain(own).collect()
}

/// Reads labels back; `None` if the container is not one of ours.
pub(super) fn read(labels: &HashMap<String, String>) -> Option<Marked> {
    let get = |key: &str| labels.get(key).cloned().unwrap_or_default();
    let kind = labels.get(KIND)?;
    Some(Marked {
        sandbox: kind == SANDBOX,
        namespace: get(POD_NAMESPACE),
        pod: get(POD_NAME),
        uid: get(POD_UID),
        container: get(CONTAINER_NAME),
        attempt: get(ATTEMPT).parse().ok()?,
        sandbox_id: get(SANDBOX_ID),
        image: get(IMAGE),
        own: labels
            .iter()
            .filter_map(|(key, value)| {
                Some((key.strip_prefix(OWN_PREFIX)?.to_owned(), value.clone()))
            })
            .collect(),
    })
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::SandboxId;

    #[test]
    fn labels_read_back_what_was_written() {
        let own = BTreeMap::from([(KIND.to_owned(), "shadow".to_owned())]);
        let config = SandboxConfig {
            namespace: "ns".to_owned(),
            name: "web-1".to_owned(),
            uid: "u-1".to_owned(),
            attempt: 2,
            labels: own.clone(),
            ..SandboxConfig::default()
        };
        let marked = read(&of_sandbox(&config)).unwrap();
        assert!(marked.sandbox);
        assert_eq!((marked.pod.as_str(), marked.attempt, &marked.own), ("web-1", 2, &own));
        assert_eq!(sandbox_name(&config), "k8s_POD_web-1_ns_u-1_2");

        let sandbox = SandboxInfo {
            id: SandboxId("abc".to_owned()),
            namespace: config.namespace,
            name: config.name,
            uid: config.uid,
            attempt: 2,
            running: true,
            pid: None,
            created: Timestamp::UNIX_EPOCH,
            labels: BTreeMap::new(),
        };
        let container =
            ContainerConfig { name: "app".to_owned(), attempt: 3, ..ContainerConfig::default() };
        let marked = read(&of_container(&sandbox, &container)).unwrap();
        assert!(!marked.sandbox);
        assert_eq!((marked.container.as_str(), marked.sandbox_id.as_str()), ("app", "abc"));
        assert_eq!(container_name(&sandbox, &container), "k8s_app_web-1_ns_u-1_3");
    }

    #[test]
    fn a_strange_container_is_not_ours() {
        assert_eq!(read(&HashMap::from([(POD_UID.to_owned(), "u".to_owned())])), None);
    }
}
