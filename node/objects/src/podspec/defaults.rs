//! What a pod spec gets where the user wrote nothing, as the Kubernetes API reference has it.

use serde_json::{Map, Value, json};

/// Octal 0644, for files that come from config maps, secrets and the pod itself.
const FILE_MODE: i32 = 0o644;

/// Seconds a projected service account token lives.
const TOKEN_SECONDS: i64 = 3600;

/// Sets a member that is absent.
pub(crate) fn set(map: &mut Map<String, Value>, name: &str, value: impl Into<Value>) {
    if map.get(name).is_none_or(Value::is_null) {
        map.insert(name.to_owned(), value.into());
    }
}

/// Sets a text that is absent or empty.
pub(crate) fn set_text(map: &mut Map<String, Value>, name: &str, value: &str) {
    if map.get(name).and_then(Value::as_str).is_none_or(str::is_empty) {
        map.insert(name.to_owned(), Value::from(value));
    }
}

/// Sets a list or a map that is absent or empty.
pub(crate) fn set_content(map: &mut Map<String, Value>, name: &str, value: Value) {
    let is_empty = match map.get(name) {
        None | Some(Value::Null) => true,
        Some(Value::Array(items)) => items.is_empty(),
        Some(Value::Object(members)) => members.is_empty(),
        Some(_) => false,
    };
    if is_empty {
        map.insert(name.to_owned(), value);
    }
}

/// The maps in the list of this name; nothing when it is absent.
pub(crate) fn items<'v>(
    map: &'v mut Map<String, Value>,
    name: &str,
) -> impl Iterator<Item = &'v mut Map<String, Value>> {
    let list = map.get_mut(name).and_then(Value::as_array_mut);
    list.into_iter().flatten().filter_map(Value::as_object_mut)
}

/// The map of this name, if there is one.
pub(crate) fn member<'v>(
    map: &'v mut Map<String, Value>,
    name: &str,
) -> Option<&'v mut Map<String, Value>> {
    map.get_mut(name).and_then(Value::as_object_mut)
}

/// The map of this name, made when it is absent; `None` when there is something else.
pub(crate) fn made_member<'v>(
    map: &'v mut Map<String, Value>,
    name: &str,
) -> Option<&'v mut Map<String, Value>> {
    set(map, name, Map::new());
    member(map, name)
}

/// Fills a pod spec.
pub(crate) fn default_pod_spec(spec: &mut Value) {
    let Some(spec) = spec.as_object_mut() else { return };
    set_text(spec, "restartPolicy", "Always");
    set_text(spec, "dnsPolicy", "ClusterFirst");
    set_text(spec, "schedulerName", "default-scheduler");
    set(spec, "terminationGracePeriodSeconds", 30);
    set(spec, "securityContext", json!({}));
    mirror_service_account(spec);
    let host_network = spec.get("hostNetwork") == Some(&Value::Bool(true));
    for list in ["initContainers", "containers", "ephemeralContainers"] {
        for container in items(spec, list) {
            default_container(container, host_network);
        }
    }
    items(spec, "volumes").for_each(default_volume);
}

/// `serviceAccount` is the old name of `serviceAccountName`; both are kept alike.
fn mirror_service_account(spec: &mut Map<String, Value>) {
    let text = |spec: &Map<String, Value>, name: &str| {
        spec.get(name).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
    };
    if let Some(name) = text(spec, "serviceAccountName").or_else(|| text(spec, "serviceAccount")) {
        spec.insert("serviceAccountName".to_owned(), Value::from(name.clone()));
        spec.insert("serviceAccount".to_owned(), Value::from(name));
    }
}

fn default_container(container: &mut Map<String, Value>, host_network: bool) {
    let image = container.get("image").and_then(Value::as_str).unwrap_or("");
    let pull = pull_policy(image);
    set_text(container, "imagePullPolicy", pull);
    set_text(container, "terminationMessagePath", "/dev/termination-log");
    set_text(container, "terminationMessagePolicy", "File");
    set(container, "resources", json!({}));
    for port in items(container, "ports") {
        set_text(port, "protocol", "TCP");
        if let (true, Some(number)) = (host_network, port.get("containerPort").cloned()) {
            set(port, "hostPort", number);
        }
    }
    for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(probe) = member(container, probe) {
            default_probe(probe);
        }
    }
    if let Some(lifecycle) = member(container, "lifecycle") {
        for hook in ["postStart", "preStop"] {
            if let Some(hook) = member(lifecycle, hook) {
                default_handler(hook);
            }
        }
    }
    for env in items(container, "env") {
        let field = member(env, "valueFrom").and_then(|from| member(from, "fieldRef"));
        if let Some(field) = field {
            set_text(field, "apiVersion", "v1");
        }
    }
}

/// `Always` for images whose tag is `latest` or that have neither tag nor digest.
fn pull_policy(image: &str) -> &'static str {
    if image.contains('@') {
        return "IfNotPresent";
    }
    let last = image.rsplit('/').next().unwrap_or(image);
    match last.split_once(':') {
        None | Some((_, "latest")) => "Always",
        Some(_) => "IfNotPresent",
    }
}

fn default_probe(probe: &mut Map<String, Value>) {
    set(probe, "timeoutSeconds", 1);
    set(probe, "periodSeconds", 10);
    set(probe, "successThreshold", 1);
    set(probe, "failureThreshold", 3);
    default_handler(probe);
    if let Some(grpc) = member(probe, "grpc") {
        set(grpc, "service", "");
    }
}

fn default_handler(handler: &mut Map<String, Value>) {
    if let Some(get) = member(handler, "httpGet") {
        set_text(get, "path", "/");
        set_text(get, "scheme", "HTTP");
    }
}

fn default_volume(volume: &mut Map<String, Value>) {
    if volume.len() <= 1 {
        volume.insert("emptyDir".to_owned(), json!({}));
    }
    for source in ["configMap", "secret", "projected", "downwardAPI"] {
        if let Some(source) = member(volume, source) {
            set(source, "defaultMode", FILE_MODE);
            default_field_items(source);
        }
    }
    if let Some(path) = member(volume, "hostPath") {
        set(path, "type", "");
    }
    for source in member(volume, "projected").into_iter().flat_map(|all| items(all, "sources")) {
        if let Some(token) = member(source, "serviceAccountToken") {
            set(token, "expirationSeconds", TOKEN_SECONDS);
        }
        if let Some(fields) = member(source, "downwardAPI") {
            default_field_items(fields);
        }
    }
}

fn default_field_items(source: &mut Map<String, Value>) {
    for item in items(source, "items") {
        if let Some(field) = member(item, "fieldRef") {
            set_text(field, "apiVersion", "v1");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pull_policy_follows_the_tag() {
        for (image, policy) in [
            ("nginx", "Always"),
            ("nginx:latest", "Always"),
            ("nginx:1.27", "IfNotPresent"),
            ("registry:5000/nginx", "Always"),
            ("registry:5000/nginx:1", "IfNotPresent"),
            ("nginx@sha256:00", "IfNotPresent"),
        ] {
            assert_eq!(pull_policy(image), policy, "{image}");
        }
    }
}
