//! The pods that are created by the thousand, left alone by everything but the store.

use serde_json::{Value, json};

/// Bytes of one small pod as sent.
pub(crate) const POD_BYTES: usize = 1_200;

/// Bytes of one pod of realistic size as sent: what a Deployment makes of a service with probes,
/// settings and volumes. Stored it has half a kilobyte more, of defaults.
pub(crate) const REALISTIC_BYTES: usize = 2_200;

/// Stands where the name will be, with as many letters as every name has.
const PLACEHOLDER: &str = "name-of-thirteen";

/// The JSON of a pod in two parts, between which its name belongs.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    before: String,
    after: String,
}

impl Template {
    /// A small pod of `namespace`.
    pub(crate) fn new(namespace: &str) -> Self {
        let container = json!({
            "name": "main",
            "image": "registry.example/measured:1",
            "command": ["/bin/main", "--listen", "0.0.0.0:8080"],
            "env": [{"name": "LEVEL", "value": "info"}, {"name": "ZONE", "value": "a"}],
            "ports": [{"name": "http", "containerPort": 8080}],
            "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}}
        });
        Self::padded(namespace, &json!({"containers": [container]}), POD_BYTES)
    }

    /// A pod of realistic size of `namespace`.
    pub(crate) fn realistic(namespace: &str) -> Self {
        let probe =
            |path: &str| json!({"httpGet": {"path": path, "port": "http"}, "periodSeconds": 5});
        let env: Vec<Value> = (0..8)
            .map(|number| json!({"name": format!("SETTING_{number}"), "value": format!("value of {number}")}))
            .collect();
        let spec = json!({
            "serviceAccountName": "measured",
            "terminationGracePeriodSeconds": 20,
            "securityContext": {"runAsNonRoot": true, "runAsUser": 1000, "fsGroup": 1000},
            "tolerations": [
                {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300},
                {"key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
            ],
            "volumes": [
                {"name": "settings", "configMap": {"name": "measured-settings"}},
                {"name": "scratch", "emptyDir": {"sizeLimit": "64Mi"}}
            ],
            "containers": [{
                "name": "main",
                "image": "registry.example/measured:1",
                "command": ["/bin/main", "--listen", "0.0.0.0:8080"],
                "env": env,
                "ports": [{"name": "http", "containerPort": 8080}, {"name": "metrics", "containerPort": 9090}],
                "livenessProbe": probe("/livez"),
                "readinessProbe": probe("/readyz"),
                "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"memory": "64Mi"}},
                "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},
                "volumeMounts": [
                    {"name": "settings", "mountPath": "/etc/measured", "readOnly": true},
                    {"name": "scratch", "mountPath": "/scratch"}
                ]
            }]
        });
        Self::padded(namespace, &spec, REALISTIC_BYTES)
    }

    /// A pod of `spec` that names a scheduler which does not exist: nobody places it, and no host
    /// starts it, so that only its way into the store and out of it is measured.
    fn padded(namespace: &str, spec: &Value, bytes: usize) -> Self {
        let of = |padding: &str| {
            let mut spec = spec.clone();
            spec["schedulerName"] = json!("nobody");
            json!({
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {
                    "name": PLACEHOLDER,
                    "namespace": namespace,
                    "labels": {
                        "app.kubernetes.io/name": "measured", "app.kubernetes.io/part-of": "bench"
                    },
                    "annotations": {"measured/padding": padding}
                },
                "spec": spec
            })
            .to_string()
        };
        let padding = bytes.saturating_sub(of("").len());
        let pod = of(&"x".repeat(padding));
        let (before, after) = pod.split_once(PLACEHOLDER).unwrap_or_default();
        Self { before: before.to_owned(), after: after.to_owned() }
    }

    /// The pod `number`, its name as long as the placeholder.
    pub(crate) fn pod(&self, number: usize) -> String {
        format!("{}{}{}", self.before, name(number), self.after)
    }
}

/// The name of the pod `number`.
pub(crate) fn name(number: usize) -> String {
    format!("measured-{number:07}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pod_has_the_promised_size_and_its_own_name() {
        let templates =
            [(Template::new("bench"), POD_BYTES), (Template::realistic("bench"), REALISTIC_BYTES)];
        for (template, bytes) in templates {
            for number in [0, 1, 149_999, 9_999_999] {
                let pod = template.pod(number);
                assert_eq!(pod.len(), bytes);
                let parsed: Value = serde_json::from_str(&pod).unwrap();
                assert_eq!(parsed["metadata"]["name"], name(number));
            }
        }
    }
}
