//! What Docker is told to make. Pure.

use std::collections::HashMap;

use bollard::models::{
    ContainerCreateBody, ContainerUpdateBody, HostConfig, HostConfigLogConfig,
    Mount as DockerMount, MountType, RestartPolicy, RestartPolicyNameEnum,
};

use super::{
    labels,
    pause::{OWN_NETWORK, PAUSE_IMAGE},
};
use crate::{
    ContainerConfig, Resources, SandboxConfig, SandboxInfo,
    limits::{LOG_FILE_SIZE, LOG_FILES},
};

/// Shares Docker and the kernel give to a whole core.
const SHARES_PER_CORE: u64 = 1024;
/// Docker counts billionths of a core.
const NANOS_PER_MILLI: u64 = 1_000_000;
/// The smallest number of shares the kernel takes.
const MIN_SHARES: u64 = 2;

/// The pause makes three system calls of our choosing and gives up its privileges: a filter for it
/// costs 20 ms of each start, and a stricter host's profile could refuse it its namespace.
const UNCONFINED: [&str; 3] = ["seccomp=unconfined", "apparmor=unconfined", "label=disable"];

/// The pause container of a pod.
///
/// Its network mode is the host's in both cases: for a pod network the program leaves it by itself
/// before it says that it is ready (see [`super::pause`]).
pub(super) fn sandbox(config: &SandboxConfig) -> ContainerCreateBody {
    let own_network = !config.host_network;
    let host = HostConfig {
        network_mode: Some("host".to_owned()),
        uts_mode: config.host_network.then(|| "host".to_owned()),
        ipc_mode: Some("shareable".to_owned()),
        dns: Some(config.dns_servers.clone()),
        dns_search: Some(config.dns_searches.clone()),
        dns_options: Some(config.dns_options.clone()),
        extra_hosts: Some(extra_hosts(config)),
        cap_drop: Some(vec!["ALL".to_owned()]),
        cap_add: own_network.then(|| vec!["SYS_ADMIN".to_owned()]),
        security_opt: Some(UNCONFINED.map(str::to_owned).to_vec()),
        readonly_rootfs: Some(true),
        ..common_host()
    };
    ContainerCreateBody {
        image: Some(PAUSE_IMAGE.to_owned()),
        cmd: own_network.then(|| vec![OWN_NETWORK.to_owned()]),
        hostname: own_network.then(|| config.hostname.clone()),
        labels: Some(labels::of_sandbox(config)),
        // The program has no handler; an engine that shuts down would wait for it in vain.
        stop_signal: Some("SIGKILL".to_owned()),
        host_config: Some(host),
        ..ContainerCreateBody::default()
    }
}

/// A pod's own lines of the hosts file. Docker copies the host's file into a container of the
/// host's network unless there is at least one line, hence the loopback names.
fn extra_hosts(config: &SandboxConfig) -> Vec<String> {
    let own = (!config.host_network).then(|| format!("{}:127.0.1.1", config.hostname));
    let aliases = config
        .host_aliases
        .iter()
        .flat_map(|(address, names)| names.iter().map(move |name| format!("{name}:{address}")));
    own.into_iter().chain(aliases).collect()
}

/// A container in a sandbox.
pub(super) fn container(sandbox: &SandboxInfo, config: &ContainerConfig) -> ContainerCreateBody {
    let joined = format!("container:{}", sandbox.id.0);
    let sizes = Sizes::of(&config.resources);
    let host = HostConfig {
        network_mode: Some(joined.clone()),
        ipc_mode: Some(joined),
        pid_mode: config.target.as_ref().map(|target| format!("container:{}", target.0)),
        mounts: Some(config.mounts.iter().map(mount).collect()),
        nano_cpus: sizes.nano_cpus,
        cpu_shares: Some(sizes.cpu_shares),
        memory: sizes.memory,
        memory_swap: sizes.memory,
        privileged: Some(config.privileged),
        readonly_rootfs: Some(config.read_only_root),
        cap_add: Some(config.capabilities_add.clone()),
        cap_drop: Some(config.capabilities_drop.clone()),
        ..common_host()
    };
    ContainerCreateBody {
        image: Some(config.image.clone()),
        entrypoint: non_empty(&config.command),
        cmd: non_empty(&config.args),
        env: Some(config.env.iter().map(|(name, value)| format!("{name}={value}")).collect()),
        working_dir: Some(config.working_dir.clone()).filter(|dir| !dir.is_empty()),
        user: Some(config.user.clone()).filter(|user| !user.is_empty()),
        open_stdin: Some(config.stdin),
        stdin_once: Some(config.stdin_once),
        tty: Some(config.tty),
        labels: Some(labels::of_container(sandbox, config)),
        host_config: Some(host),
        ..ContainerCreateBody::default()
    }
}

/// What Docker is told to change of a container; it leaves what is not said.
pub(super) fn update(resources: &Resources) -> ContainerUpdateBody {
    let sizes = Sizes::of(resources);
    ContainerUpdateBody {
        nano_cpus: sizes.nano_cpus,
        cpu_shares: Some(sizes.cpu_shares),
        memory: sizes.memory,
        memory_swap: sizes.memory,
        ..ContainerUpdateBody::default()
    }
}

/// Resources in Docker's units.
struct Sizes {
    nano_cpus: Option<i64>,
    cpu_shares: i64,
    /// Also the limit of memory and swap together: no swap, as a Kubernetes memory limit means.
    memory: Option<i64>,
}

impl Sizes {
    fn of(resources: &Resources) -> Self {
        let Resources { cpu_limit_millis, cpu_request_millis, memory_limit_bytes } = *resources;
        Self {
            nano_cpus: positive(cpu_limit_millis.saturating_mul(NANOS_PER_MILLI)),
            cpu_shares: signed(shares(cpu_request_millis)),
            memory: positive(memory_limit_bytes),
        }
    }
}

/// The resources that Docker says a container has.
pub(super) fn resources(host: &HostConfig) -> Resources {
    let unsigned = |value: Option<i64>| value.and_then(|value| u64::try_from(value).ok());
    let shares = unsigned(host.cpu_shares).filter(|&shares| shares > MIN_SHARES).unwrap_or(0);
    Resources {
        cpu_limit_millis: unsigned(host.nano_cpus).unwrap_or(0) / NANOS_PER_MILLI,
        // Rounded up, as shares are rounded down.
        cpu_request_millis: (shares.saturating_mul(1000)).div_ceil(SHARES_PER_CORE),
        memory_limit_bytes: unsigned(host.memory).unwrap_or(0),
    }
}

/// Restarts are the agent's business; logs stay within bounds.
fn common_host() -> HostConfig {
    let log_options = [("max-size", LOG_FILE_SIZE), ("max-file", LOG_FILES)];
    HostConfig {
        restart_policy: Some(RestartPolicy {
            name: Some(RestartPolicyNameEnum::NO),
            maximum_retry_count: None,
        }),
        log_config: Some(HostConfigLogConfig {
            typ: Some("json-file".to_owned()),
            config: Some(HashMap::from(
                log_options.map(|(key, value)| (key.to_owned(), value.to_owned())),
            )),
        }),
        ..HostConfig::default()
    }
}

fn mount(mount: &crate::Mount) -> DockerMount {
    DockerMount {
        typ: Some(MountType::BIND),
        source: Some(mount.source.to_string_lossy().into_owned()),
        target: Some(mount.target.to_string_lossy().into_owned()),
        read_only: Some(mount.read_only),
        ..DockerMount::default()
    }
}

/// CPU shares of a request; without one the container gets the smallest part there is, as the
/// kubelet does.
fn shares(request_millis: u64) -> u64 {
    (request_millis.saturating_mul(SHARES_PER_CORE) / 1000).max(MIN_SHARES)
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn positive(value: u64) -> Option<i64> {
    (value > 0).then(|| signed(value))
}

fn non_empty(words: &[String]) -> Option<Vec<String>> {
    (!words.is_empty()).then(|| words.to_vec())
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::{ContainerId, Mount, SandboxId};

    fn pod() -> SandboxInfo {
        SandboxInfo {
            id: SandboxId("abc".to_owned()),
            namespace: "default".to_owned(),
            name: "web".to_owned(),
            uid: "u".to_owned(),
            attempt: 0,
            running: true,
            pid: Some(1),
            created: Timestamp::UNIX_EPOCH,
            labels: Default::default(),
        }
    }

    #[test]
    fn a_sandbox_leaves_the_host_network_unless_the_pod_wants_it() {
        let mut config = SandboxConfig { hostname: "web".to_owned(), ..SandboxConfig::default() };
        let body = sandbox(&config);
        assert_eq!(body.cmd, Some(vec!["net".to_owned()]));
        assert_eq!(body.hostname.as_deref(), Some("web"));
        config.host_network = true;
        let body = sandbox(&config);
        assert_eq!((body.cmd, body.hostname), (None, None));
        assert_eq!(body.host_config.unwrap().cap_add, None);
    }

    #[test]
    fn a_container_joins_its_sandbox() {
        let host = container(&pod(), &ContainerConfig::default()).host_config.unwrap();
        assert_eq!(host.network_mode.as_deref(), Some("container:abc"));
        assert_eq!(host.ipc_mode.as_deref(), Some("container:abc"));
        assert_eq!(host.pid_mode, None);
        let target = Some(ContainerId("def".to_owned()));
        let config = ContainerConfig { target, ..ContainerConfig::default() };
        let host = container(&pod(), &config).host_config.unwrap();
        assert_eq!(host.pid_mode.as_deref(), Some("container:def"));
    }

    #[test]
    fn command_replaces_the_entry_point_and_args_the_arguments() {
        let words = |list: &[&str]| list.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
        let config = ContainerConfig {
            command: words(&["a"]),
            args: words(&["b"]),
            ..ContainerConfig::default()
        };
        let body = container(&pod(), &config);
        assert_eq!((body.entrypoint, body.cmd), (Some(words(&["a"])), Some(words(&["b"]))));
        let body = container(&pod(), &ContainerConfig::default());
        assert_eq!((body.entrypoint, body.cmd), (None, None));
    }

    #[test]
    fn resources_become_dockers_units() {
        let config = ContainerConfig {
            resources: Resources {
                cpu_limit_millis: 1500,
                cpu_request_millis: 250,
                memory_limit_bytes: 64 << 20,
            },
            mounts: vec![Mount { source: "/a".into(), target: "/b".into(), read_only: true }],
            ..ContainerConfig::default()
        };
        let host = container(&pod(), &config).host_config.unwrap();
        assert_eq!(host.nano_cpus, Some(1_500_000_000));
        assert_eq!(host.cpu_shares, Some(256));
        assert_eq!((host.memory, host.memory_swap), (Some(64 << 20), Some(64 << 20)));
        assert_eq!(host.mounts.unwrap()[0].read_only, Some(true));
        let unlimited = container(&pod(), &ContainerConfig::default()).host_config.unwrap();
        assert_eq!(
            (unlimited.nano_cpus, unlimited.memory, unlimited.cpu_shares),
            (None, None, Some(2))
        );
    }

    #[test]
    fn an_update_says_what_is_limited_and_the_shares() {
        let sizes = Resources {
            cpu_limit_millis: 1500,
            cpu_request_millis: 250,
            memory_limit_bytes: 64 << 20,
        };
        let body = update(&sizes);
        assert_eq!((body.nano_cpus, body.cpu_shares), (Some(1_500_000_000), Some(256)));
        assert_eq!((body.memory, body.memory_swap), (Some(64 << 20), Some(64 << 20)));
        let none = update(&Resources::default());
        assert_eq!((none.nano_cpus, none.cpu_shares, none.memory), (None, Some(2), None));
    }

    #[test]
    fn resources_are_read_back_as_they_were_given() {
        for cpu_request_millis in 0..5000 {
            let given =
                Resources { cpu_limit_millis: 1, cpu_request_millis, memory_limit_bytes: 7 };
            let config = ContainerConfig { resources: given, ..ContainerConfig::default() };
            let host = container(&pod(), &config).host_config.unwrap();
            assert_eq!(resources(&host), given.in_effect());
        }
    }
}
