//! Processes in pods, talked to through any host.

use anyhow::{Result, ensure};
use skein_tests::Cluster;

use crate::support::{Namespace, POD_DEADLINE};

#[test]
fn commands_run_in_pods_wherever_they_are() -> Result<()> {
    let cluster = Cluster::attach()?;
    let ns = Namespace::create(&cluster, "e2e-exec")?;
    let n = ns.name.as_str();
    cluster.apply("h1", &pods(n))?;
    cluster.wait_ready("h2", n, "app=shell", 3, POD_DEADLINE)?;
    let pods = cluster.pods("h1", n, "app=shell")?;
    let big = "0123456789abcdef".repeat(1 << 16);
    for host in ["h1", "h2", "h3"] {
        for pod in &pods {
            let (name, at) = (pod.name.as_str(), format!("{} through {host}", pod.node));
            let run = |command: &[&str], stdin: Option<&str>| {
                let args = [&["-n", n, "exec", "-i", name, "--"], command].concat();
                cluster.kubectl(host, &args, stdin)
            };
            let hostname = run(&["hostname"], None)?;
            ensure!(hostname.trim() == name, "{at}: {hostname}");
            let copied = run(&["cat"], Some(&big))?;
            ensure!(copied == big, "{at}: {} of {} bytes", copied.len(), big.len());
            let failed = run(&["sh", "-c", "echo bad >&2; exit 42"], None);
            let error = format!("{:#}", failed.expect_err("it exits with 42"));
            ensure!(error.contains("bad") && error.contains("exit code 42"), "{at}: {error}");
        }
    }

    let directory = tempfile::tempdir()?;
    let (from, to) = (directory.path().join("from"), directory.path().join("to"));
    std::fs::write(&from, &big)?;
    let (pod, inside) = (&pods[0].name, format!("{n}/{}:/copied", pods[0].name));
    let path = |path: &std::path::Path| path.display().to_string();
    cluster.kubectl("h3", &["cp", &path(&from), &inside], None)?;
    cluster.kubectl("h2", &["cp", &inside, &path(&to)], None)?;
    ensure!(std::fs::read_to_string(&to)? == big, "the file comes back as it was");

    let absent = cluster.kubectl("h1", &["-n", n, "exec", pod, "--", "no-such-program"], None);
    let error = format!("{:#}", absent.expect_err("there is no such program"));
    ensure!(error.contains("no-such-program"), "{error}");
    let ended = ["-n", n, "wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/ends"];
    cluster.kubectl("h2", &ended, None)?;
    let attached = cluster.kubectl("h2", &["-n", n, "attach", "ends", "-c", "ends"], None);
    let error = format!("{:#}", attached.expect_err("it has ended"));
    ensure!(error.contains("current phase is Succeeded"), "{error}");
    Ok(())
}

/// A shell on each host, and a pod that ends.
fn pods(namespace: &str) -> String {
    format!(
        "
apiVersion: apps/v1
kind: Deployment
metadata: {{name: shell, namespace: {namespace}}}
spec:
  replicas: 3
  selector: {{matchLabels: {{app: shell}}}}
  template:
    metadata: {{labels: {{app: shell}}}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - {{name: shell, image: 'busybox:local', command: [sleep, '86400']}}
---
apiVersion: v1
kind: Pod
metadata: {{name: ends, namespace: {namespace}}}
spec:
  restartPolicy: Never
  containers:
  - {{name: ends, image: 'busybox:local', command: ['true']}}
"
    )
}
