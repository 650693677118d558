//! Manifests and namespaces of the tests.

use std::time::Duration;

use anyhow::Result;
use skein_tests::Cluster;

/// The demo image, as `scripts/test` loads it onto every host.
pub(crate) const IMAGE: &str = "hello:1";
/// The same under another name, to roll out to.
pub(crate) const NEXT_IMAGE: &str = "hello:2";

/// How long pods may take to become ready on a loaded machine.
pub(crate) const POD_DEADLINE: Duration = Duration::from_secs(90);

/// A namespace of one test, removed with everything in it when dropped.
pub(crate) struct Namespace<'a> {
    cluster: &'a Cluster,
    pub(crate) name: String,
}

impl<'a> Namespace<'a> {
    /// Makes the namespace, waiting for one of the same name from an earlier run to be gone.
    pub(crate) fn create(cluster: &'a Cluster, name: &str) -> Result<Self> {
        cluster.kubectl("", &["delete", "namespace", name, "--ignore-not-found"], None)?;
        let manifest = format!("{{apiVersion: v1, kind: Namespace, metadata: {{name: {name}}}}}");
        cluster.apply("", &manifest)?;
        Ok(Self { cluster, name: name.to_owned() })
    }
}

impl Drop for Namespace<'_> {
    fn drop(&mut self) {
        let deleted =
            self.cluster.kubectl("", &["delete", "namespace", &self.name, "--wait=false"], None);
        if let Err(error) = deleted {
            eprintln!("namespace {} was not deleted: {error:#}", self.name);
        }
    }
}

/// A Deployment of the demo server.
pub(crate) fn deployment(namespace: &str, name: &str, replicas: u32) -> String {
    format!(
        "
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  replicas: {replicas}
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}}}}}
    spec:
      terminationGracePeriodSeconds: 2
      containers:
      - {{name: hello, image: '{IMAGE}', ports: [{{containerPort: 8080}}]}}
"
    )
}
