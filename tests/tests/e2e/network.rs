//! Pods reach each other, on one host and across hosts.

use anyhow::{Result, ensure};
use skein_tests::{Cluster, wait_for};

use crate::support::{Namespace, POD_DEADLINE, deployment};

#[test]
fn every_pod_reaches_every_pod_by_its_address() -> Result<()> {
    let cluster = Cluster::attach()?;
    let ns = Namespace::create(&cluster, "e2e-network")?;
    cluster.apply("h1", &deployment(&ns.name, "web", 4))?;
    let pods = cluster.wait_ready("h2", &ns.name, "app=web", 4, POD_DEADLINE)?;

    let targets: Vec<String> = pods.iter().map(|pod| format!("http://{}:8080/", pod.ip)).collect();
    let script = format!("for url in {}; do wget -q -O - $url || exit 1; done", targets.join(" "));
    for host in cluster.hosts()? {
        let name = format!("asks-from-{host}");
        let manifest = format!(
            "
apiVersion: v1
kind: Pod
metadata: {{name: {name}, namespace: {n}}}
spec:
  restartPolicy: Never
  nodeSelector: {{kubernetes.io/hostname: {host}}}
  containers: [{{name: shell, image: 'busybox:local', command: [sh, -c, '{script}']}}]
",
            n = ns.name
        );
        cluster.apply(&host, &manifest)?;
        wait_for("the asking pod to end", POD_DEADLINE, || {
            let pod = cluster.kubectl_json("", &["-n", &ns.name, "get", "pod", &name])?;
            let phase = pod["status"]["phase"].as_str().unwrap_or_default().to_owned();
            ensure!(phase == "Succeeded" || phase == "Failed", "{}", pod["status"]);
            Ok::<_, anyhow::Error>(())
        })?;
        let answers = cluster.kubectl("", &["-n", &ns.name, "logs", &name], None)?;
        for pod in &pods {
            ensure!(answers.contains(&pod.name), "{host} did not reach {}: {answers}", pod.name);
        }
    }
    Ok(())
}
