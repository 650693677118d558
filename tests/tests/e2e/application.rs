//! One application from apply to rollback, through different hosts.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use skein_tests::{Cluster, wait_for};

use crate::support::{IMAGE, NEXT_IMAGE, Namespace, POD_DEADLINE, deployment};

#[test]
fn a_deployment_lives_its_life_through_any_host() -> Result<()> {
    let cluster = Cluster::attach()?;
    let ns = Namespace::create(&cluster, "e2e-application")?;
    let n = ns.name.as_str();

    cluster.apply("h2", &deployment(n, "web", 6))?;
    let pods = cluster.wait_ready("h3", n, "app=web", 6, POD_DEADLINE)?;
    let mut by_node: BTreeMap<&str, usize> = BTreeMap::new();
    pods.iter().for_each(|pod| *by_node.entry(&pod.node).or_default() += 1);
    ensure!(by_node.len() == 3 && by_node.values().all(|count| *count == 2), "{by_node:?}");

    let again = cluster.apply("h1", &deployment(n, "web", 6))?;
    ensure!(again.contains("unchanged"), "a second apply changes nothing: {again}");

    for host in ["h1", "h2", "h3"] {
        let logs = cluster.kubectl(host, &["-n", n, "logs", &pods[0].name], None)?;
        ensure!(logs.contains("listening"), "logs through {host}: {logs:?}");
    }
    let described = cluster.kubectl("h2", &["-n", n, "describe", "pod", &pods[0].name], None)?;
    for expected in ["Scheduled", "Started", &pods[0].node, &pods[0].ip] {
        ensure!(described.contains(expected), "describe lacks {expected}: {described}");
    }

    cluster.kubectl("h3", &["-n", n, "scale", "deployment/web", "--replicas=12"], None)?;
    cluster.wait_ready("h1", n, "app=web", 12, POD_DEADLINE)?;
    cluster.kubectl("h1", &["-n", n, "scale", "deployment/web", "--replicas=6"], None)?;
    cluster.wait_ready("h2", n, "app=web", 6, POD_DEADLINE)?;

    let image = format!("hello={NEXT_IMAGE}");
    cluster.kubectl("h1", &["-n", n, "set", "image", "deployment/web", &image], None)?;
    rollout_status(&cluster, "h2", n)?;
    let pods = cluster.wait_ready("h3", n, "app=web", 6, POD_DEADLINE)?;
    ensure!(pods.iter().all(|pod| pod.image == NEXT_IMAGE), "{pods:#?}");

    cluster.kubectl("h2", &["-n", n, "rollout", "undo", "deployment/web"], None)?;
    rollout_status(&cluster, "h3", n)?;
    let pods = cluster.wait_ready("h1", n, "app=web", 6, POD_DEADLINE)?;
    ensure!(pods.iter().all(|pod| pod.image == IMAGE), "{pods:#?}");
    let history =
        cluster.kubectl("h1", &["-n", n, "rollout", "history", "deployment/web"], None)?;
    ensure!(history.lines().filter(|line| line.starts_with(['2', '3'])).count() == 2, "{history}");

    let victim = pods[0].name.as_str();
    cluster.kubectl("h3", &["-n", n, "delete", "pod", victim], None)?;
    let pods = cluster.wait_ready("h2", n, "app=web", 6, POD_DEADLINE)?;
    ensure!(pods.iter().all(|pod| pod.name != victim), "{pods:#?}");
    Ok(())
}

fn rollout_status(cluster: &Cluster, host: &str, namespace: &str) -> Result<()> {
    let args = ["-n", namespace, "rollout", "status", "deployment/web", "--timeout=90s"];
    let status = cluster.kubectl(host, &args, None)?;
    ensure!(status.contains("successfully rolled out"), "{status}");
    Ok(())
}

#[test]
fn a_deleted_namespace_takes_its_pods_with_it() -> Result<()> {
    let cluster = Cluster::attach()?;
    let ns = Namespace::create(&cluster, "e2e-namespace")?;
    cluster.apply("h1", &deployment(&ns.name, "web", 3))?;
    let pods = cluster.wait_ready("h2", &ns.name, "app=web", 3, POD_DEADLINE)?;

    cluster.kubectl("h3", &["delete", "namespace", &ns.name, "--timeout=60s"], None)?;

    for pod in &pods {
        wait_for("the containers to be gone", POD_DEADLINE, || {
            let filter = format!("label=io.kubernetes.pod.uid={}", pod.uid);
            let left = cluster.docker(&pod.node, &["ps", "-aq", "--filter", &filter])?;
            ensure!(left.trim().is_empty(), "{left}");
            Ok::<_, anyhow::Error>(())
        })?;
    }
    Ok(())
}

#[test]
fn configuration_reaches_the_container() -> Result<()> {
    let cluster = Cluster::attach()?;
    let ns = Namespace::create(&cluster, "e2e-configuration")?;
    let manifest = format!(
        "
apiVersion: v1
kind: ConfigMap
metadata: {{name: settings, namespace: {n}}}
data: {{greeting: good morning, settings.txt: from a file}}
---
apiVersion: v1
kind: Secret
metadata: {{name: password, namespace: {n}}}
stringData: {{password: open sesame}}
---
apiVersion: v1
kind: Pod
metadata: {{name: configured, namespace: {n}, labels: {{app: configured}}}}
spec:
  restartPolicy: Never
  volumes: [{{name: settings, configMap: {{name: settings}}}}]
  containers:
  - name: shell
    image: busybox:local
    command: [sh, -c]
    args: ['echo \"$GREETING|$PASSWORD|$NODE|$(cat /settings/settings.txt)\"']
    volumeMounts: [{{name: settings, mountPath: /settings}}]
    env:
    - {{name: GREETING, valueFrom: {{configMapKeyRef: {{name: settings, key: greeting}}}}}}
    - {{name: PASSWORD, valueFrom: {{secretKeyRef: {{name: password, key: password}}}}}}
    - {{name: NODE, valueFrom: {{fieldRef: {{fieldPath: spec.nodeName}}}}}}
",
        n = ns.name
    );
    cluster.apply("h1", &manifest)?;
    let node = wait_for("the pod to succeed", POD_DEADLINE, || {
        let pod = cluster.kubectl_json("h2", &["-n", &ns.name, "get", "pod", "configured"])?;
        ensure!(pod["status"]["phase"] == "Succeeded", "{}", pod["status"]);
        Ok::<_, anyhow::Error>(pod["spec"]["nodeName"].as_str().unwrap_or_default().to_owned())
    })?;
    let logs = cluster.kubectl("h3", &["-n", &ns.name, "logs", "configured"], None)?;
    ensure!(logs.trim() == format!("good morning|open sesame|{node}|from a file"), "{logs:?}");
    Ok(())
}
