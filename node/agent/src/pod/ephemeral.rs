//! Ephemeral containers as containers like the others.

use k8s_openapi::api::core::v1::{Container, EphemeralContainer};

/// The container that an ephemeral one is, but for its target.
pub(crate) fn container_of(ephemeral: &EphemeralContainer) -> Container {
    let EphemeralContainer {
        args,
        command,
        env,
        env_from,
        image,
        image_pull_policy,
        lifecycle,
        liveness_probe,
        name,
        ports,
        readiness_probe,
        resize_policy,
        resources,
        restart_policy,
        restart_policy_rules,
        security_context,
        startup_probe,
        stdin,
        stdin_once,
        target_container_name: _,
        termination_message_path,
        termination_message_policy,
        tty,
        volume_devices,
        volume_mounts,
        working_dir,
    } = ephemeral.clone();
    Container {
        args,
        command,
        env,
        env_from,
        image,
        image_pull_policy,
        lifecycle,
        liveness_probe,
        name,
        ports,
        readiness_probe,
        resize_policy,
        resources,
        restart_policy,
        restart_policy_rules,
        security_context,
        startup_probe,
        stdin,
        stdin_once,
        termination_message_path,
        termination_message_policy,
        tty,
        volume_devices,
        volume_mounts,
        working_dir,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nothing_but_the_target_is_lost() {
        let mut shell = json!({
            "name": "shell", "image": "app:1", "command": ["sh"], "stdin": true, "tty": true,
            "targetContainerName": "main", "env": [{"name": "A", "value": "1"}],
            "volumeMounts": [{"name": "v", "mountPath": "/v"}], "workingDir": "/",
            "securityContext": {"capabilities": {"add": ["SYS_PTRACE"]}},
        });
        let ephemeral = serde_json::from_value(shell.clone()).expect("an ephemeral container");
        let container = serde_json::to_value(container_of(&ephemeral)).expect("a container");
        shell.as_object_mut().expect("a map").remove("targetContainerName");
        assert_eq!(container, shell);
    }
}
