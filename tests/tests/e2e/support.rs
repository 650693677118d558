//! Manifests and namespaces of the tests.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Result, ensure};
use skein_tests::{Cluster, Pod, WriteLoad, wait_for};

/// The demo image, as `scripts/test` loads it onto every host.
pub(crate) const IMAGE: &str = "hello:1";
/// The same under another name, to roll out to.
pub(crate) const NEXT_IMAGE: &str = "hello:2";

/// How long pods may take to become ready on a loaded machine.
pub(crate) const POD_DEADLINE: Duration = Duration::from_secs(90);

/// How long a host may take from its process's start until its node is Ready.
pub(crate) const NODE_DEADLINE: Duration = Duration::from_secs(60);

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

/// Undoes a fault when the test ends, also half-way.
pub(crate) struct Undo<'a> {
    pub(crate) cluster: &'a Cluster,
    pub(crate) command: &'static str,
    pub(crate) host: String,
}

impl Drop for Undo<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.cluster.script(&[self.command, &self.host]) {
            eprintln!("{} {} failed: {error:#}", self.command, self.host);
        }
    }
}

/// A host besides `host`.
pub(crate) fn other_than(hosts: &[String], host: &str) -> String {
    hosts.iter().find(|other| *other != host).cloned().unwrap_or_default()
}

/// Waits until the load has had `more` further writes acknowledged.
pub(crate) fn writes_go_on(load: &WriteLoad, more: usize) -> Result<()> {
    let goal = load.acknowledged() + more;
    wait_for("writes to go on", Duration::from_secs(60), || {
        let count = load.acknowledged();
        ensure!(count >= goal, "{count} of {goal}");
        anyhow::Ok(())
    })
}

/// Waits until the node of `host` is Ready, as it says itself.
pub(crate) fn node_ready(cluster: &Cluster, host: &str) -> Result<()> {
    wait_for(&format!("{host} to be Ready"), NODE_DEADLINE, || {
        let nodes = cluster.kubectl_json(host, &["get", "node", host])?;
        let ready = nodes["status"]["conditions"].as_array().is_some_and(|conditions| {
            conditions.iter().any(|one| one["type"] == "Ready" && one["status"] == "True")
        });
        ensure!(ready && nodes["spec"]["taints"].is_null(), "{}", nodes);
        anyhow::Ok(())
    })
}

/// When each container of the pods started, by container id, as Docker tells.
pub(crate) fn start_times(cluster: &Cluster, pods: &[Pod]) -> Result<BTreeMap<String, String>> {
    let mut times = BTreeMap::new();
    for pod in pods {
        for id in pod.containers.values() {
            let format = ["inspect", "--format", "{{.State.StartedAt}}", id];
            times.insert(id.clone(), cluster.docker(&pod.node, &format)?.trim().to_owned());
        }
    }
    Ok(times)
}
