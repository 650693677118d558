//! The pod that is created by the thousand: 1.2 KB as sent, and left alone by everything but the
//! store.

use serde_json::json;

/// Bytes of one pod as sent.
pub(crate) const POD_BYTES: usize = 1_200;

/// Stands where the name will be, with as many letters as every name has.
const PLACEHOLDER: &str = "name-of-thirteen";

/// The JSON of a pod in two parts, between which its name belongs.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    before: String,
    after: String,
}

impl Template {
    /// A pod of `namespace` that names a scheduler which does not exist: nobody places it, and no
    /// host starts it, so that only creating it is measured.
    pub(crate) fn new(namespace: &str) -> Self {
        let of = |padding: &str| {
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
                "spec": {
                    "schedulerName": "nobody",
                    "containers": [{
                        "name": "main",
                        "image": "registry.example/measured:1",
                        "command": ["/bin/main", "--listen", "0.0.0.0:8080"],
                        "env": [{"name": "LEVEL", "value": "info"}, {"name": "ZONE", "value": "a"}],
                        "ports": [{"name": "http", "containerPort": 8080}],
                        "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}}
                    }]
                }
            })
            .to_string()
        };
        let padding = POD_BYTES.saturating_sub(of("").len());
        let pod = of(&"x".repeat(padding));
        let (before, after) = pod.split_once(PLACEHOLDER).unwrap_or_default();
        Self { before: before.to_owned(), after: after.to_owned() }
    }

    /// The pod `number`, its name as long as the placeholder.
    pub(crate) fn pod(&self, number: usize) -> String {
        format!("{}measured-{number:07}{}", self.before, self.after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pod_has_the_promised_size_and_its_own_name() {
        let template = Template::new("bench");
        for number in [0, 1, 149_999, 9_999_999] {
            let pod = template.pod(number);
            assert_eq!(pod.len(), POD_BYTES);
            let parsed: serde_json::Value = serde_json::from_str(&pod).unwrap();
            assert_eq!(parsed["metadata"]["name"], format!("measured-{number:07}"));
        }
    }
}
