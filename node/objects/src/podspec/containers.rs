//! Rules of containers.

use std::collections::BTreeSet;

use crate::field::{Errors, Field};
use crate::names;

use super::{probes, resources};

/// What `fieldRef` of an environment variable may name.
const ENV_FIELDS: [&str; 9] = [
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
];

const POLICIES: [&str; 3] = ["Always", "IfNotPresent", "Never"];
const RESTARTS: [&str; 3] = ["Always", "OnFailure", "Never"];
const MESSAGES: [&str; 2] = ["File", "FallbackToLogsOnError"];
/// What ports speak.
pub(crate) const PROTOCOLS: [&str; 3] = ["SCTP", "TCP", "UDP"];

/// What an ephemeral container may have. The rest is for containers that a pod's service relies on.
const EPHEMERAL_FIELDS: [&str; 17] = [
    "args",
    "command",
    "env",
    "envFrom",
    "image",
    "imagePullPolicy",
    "name",
    "securityContext",
    "stdin",
    "stdinOnce",
    "targetContainerName",
    "terminationMessagePath",
    "terminationMessagePolicy",
    "tty",
    "volumeDevices",
    "volumeMounts",
    "workingDir",
];
const NOT_EPHEMERAL: &str = "cannot be set for an Ephemeral Container";

/// Checks that a set text is one of the allowed.
pub(crate) fn validate_choice(at: &Field<'_>, allowed: &[&str], errors: &mut Errors) {
    if at.is_set() && !allowed.contains(&at.text()) {
        errors.not_supported(at, allowed);
    }
}

/// What one pod's containers must agree on.
pub(super) struct Shared<'a> {
    pub(super) volumes: &'a BTreeSet<&'a str>,
    pub(super) host_network: bool,
    pub(super) names: BTreeSet<String>,
    pub(super) host_ports: BTreeSet<String>,
}

/// Checks a list of containers.
pub(super) fn validate(list: &Field<'_>, shared: &mut Shared<'_>, errors: &mut Errors) {
    for container in list.items() {
        let name = container.get("name");
        if name.text().is_empty() {
            errors.required(&name, "");
        } else if let Err(rule) = names::label(name.text()) {
            errors.invalid(&name, rule);
        } else if !shared.names.insert(name.text().to_owned()) {
            errors.duplicate(&name);
        }
        let image = container.get("image");
        if image.text().is_empty() {
            errors.required(&image, "");
        } else if image.text().trim() != image.text() {
            errors.invalid(&image, "must not have leading or trailing whitespace");
        }
        validate_choice(&container.get("imagePullPolicy"), &POLICIES, errors);
        validate_choice(&container.get("terminationMessagePolicy"), &MESSAGES, errors);
        validate_choice(&container.get("restartPolicy"), &RESTARTS, errors);
        validate_ports(&container.get("ports"), shared, errors);
        validate_env(&container.get("env"), errors);
        validate_env_from(&container.get("envFrom"), errors);
        validate_mounts(&container.get("volumeMounts"), shared.volumes, errors);
        resources::validate(&container.get("resources"), errors);
        probes::validate(&container, errors);
    }
}

/// Checks a list of ephemeral containers; the others of the pod have been checked before.
pub(super) fn validate_ephemeral(list: &Field<'_>, shared: &mut Shared<'_>, errors: &mut Errors) {
    let others = shared.names.clone();
    validate(list, shared, errors);
    for container in list.items() {
        let target = container.get("targetContainerName");
        if !target.text().is_empty() && !others.contains(target.text()) {
            errors.not_found(&target);
        }
        for (name, _) in container.entries() {
            let field = container.get(name);
            if !EPHEMERAL_FIELDS.contains(&name) && !field.is_empty() {
                errors.forbidden(&field, NOT_EPHEMERAL);
            }
        }
        let mounts = container.get("volumeMounts");
        for mount in mounts.items() {
            for part in ["subPath", "subPathExpr"] {
                let part = mount.get(part);
                if !part.is_empty() {
                    errors.forbidden(&part, NOT_EPHEMERAL);
                }
            }
        }
    }
}

/// Checks a port number.
pub(crate) fn validate_port_number(port: &Field<'_>, errors: &mut Errors) {
    if !port.integer().is_some_and(|number| (1..=65535).contains(&number)) {
        errors.invalid(port, "must be between 1 and 65535, inclusive");
    }
}

fn validate_ports(ports: &Field<'_>, shared: &mut Shared<'_>, errors: &mut Errors) {
    let mut seen = BTreeSet::new();
    for port in ports.items() {
        let name = port.get("name");
        if !name.text().is_empty() {
            if let Err(rule) = names::port(name.text()) {
                errors.invalid(&name, rule);
            } else if !seen.insert(name.text().to_owned()) {
                errors.duplicate(&name);
            }
        }
        let number = port.get("containerPort");
        if number.integer().unwrap_or(0) == 0 {
            errors.required(&number, "");
        } else {
            validate_port_number(&number, errors);
        }
        let protocol = port.get("protocol");
        validate_choice(&protocol, &PROTOCOLS, errors);
        let host = port.get("hostPort");
        let Some(on_host) = host.integer().filter(|number| *number != 0) else { continue };
        validate_port_number(&host, errors);
        if shared.host_network && number.integer() != Some(on_host) {
            errors.invalid(&number, "must match `hostPort` when `hostNetwork` is true");
        }
        let taken = format!("{}/{}/{on_host}", protocol.text(), port.get("hostIP").text());
        if !shared.host_ports.insert(taken) {
            errors.duplicate(&host);
        }
    }
}

fn validate_env(list: &Field<'_>, errors: &mut Errors) {
    for env in list.items() {
        let name = env.get("name");
        if name.text().is_empty() {
            errors.required(&name, "");
        } else if let Err(rule) = names::env(name.text()) {
            errors.invalid(&name, rule);
        }
        let from = env.get("valueFrom");
        if from.is_set() {
            if !env.get("value").text().is_empty() {
                errors.invalid(&from, "may not be specified when `value` is not empty");
            }
            validate_env_source(&from, errors);
        }
    }
}

fn validate_env_source(from: &Field<'_>, errors: &mut Errors) {
    let count = from.entries().count();
    if count == 0 {
        errors.invalid(
            from,
            "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`",
        );
    } else if count > 1 {
        errors.invalid(from, "may not have more than one field specified at a time");
    }
    let field = from.get("fieldRef");
    let path = field.get("fieldPath");
    if field.is_set() {
        let text = path.text();
        let keyed =
            text.starts_with("metadata.labels['") || text.starts_with("metadata.annotations['");
        if text.is_empty() {
            errors.required(&path, "");
        } else if !keyed && !ENV_FIELDS.contains(&text) {
            errors.not_supported(&path, &ENV_FIELDS);
        }
    }
    for name in ["configMapKeyRef", "secretKeyRef"] {
        let reference = from.get(name);
        let key = reference.get("key");
        if !reference.is_set() {
            continue;
        }
        require_text(&reference.get("name"), errors);
        if key.text().is_empty() {
            errors.required(&key, "");
        } else if let Err(rule) = names::config_key(key.text()) {
            errors.invalid(&key, rule);
        }
    }
}

fn validate_env_from(list: &Field<'_>, errors: &mut Errors) {
    for source in list.items() {
        let sources = ["configMapRef", "secretRef"];
        let set: Vec<&str> = sources.into_iter().filter(|name| source.get(name).is_set()).collect();
        match set.as_slice() {
            [] => errors.invalid(&source, "must specify one of: `configMapRef` or `secretRef`"),
            [one] => require_text(&source.get(one).get("name"), errors),
            _ => errors.invalid(&source, "may not have more than one field specified at a time"),
        }
    }
}

/// Demands a text that is not empty.
pub(crate) fn require_text(at: &Field<'_>, errors: &mut Errors) {
    if at.text().is_empty() {
        errors.required(at, "");
    }
}

fn validate_mounts(list: &Field<'_>, volumes: &BTreeSet<&str>, errors: &mut Errors) {
    let mut paths = BTreeSet::new();
    for mount in list.items() {
        let name = mount.get("name");
        if name.text().is_empty() {
            errors.required(&name, "");
        } else if !volumes.contains(name.text()) {
            errors.not_found(&name);
        }
        let path = mount.get("mountPath");
        if path.text().is_empty() {
            errors.required(&path, "");
        } else if !paths.insert(path.text().to_owned()) {
            errors.invalid(&path, "must be unique");
        }
        for part in ["subPath", "subPathExpr"] {
            let part = mount.get(part);
            if part.text().starts_with('/') {
                errors.invalid(&part, "must be a relative path");
            } else if part.text().split('/').any(|step| step == "..") {
                errors.invalid(&part, "must not contain '..'");
            }
        }
    }
}
