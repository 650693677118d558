//! `kubectl apply` of a pod until its container has started, over `docker run -d` of the same
//! image on the same engines.

use std::{
    process::{Command, Stdio},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result, ensure};
use skein_tests::{Cluster, wait_for};

use skein_measure::Distribution;

const IMAGE: &str = "busybox:local";
const NAMESPACE: &str = "bench-start";

pub(crate) fn measure(cluster: &Cluster, trials: usize) -> Result<()> {
    println!("## Pod start\n\n| at once | docker run -d | kubectl apply → started | ratio |");
    println!("| --- | --- | --- | --- |");
    cluster.kubectl("", &["create", "namespace", NAMESPACE], None)?;
    for count in [1, 10] {
        let mut raw = Vec::new();
        let mut pods = Vec::new();
        for trial in 0..trials {
            raw.push(docker_run(cluster, count)?);
            pods.push(apply(cluster, trial, count)?);
        }
        let (raw, pods) = (Distribution::new(raw)?, Distribution::new(pods)?);
        println!("| {count} | {raw} | {pods} | {:.2} |", pods.over(&raw));
    }
    cluster.kubectl("", &["delete", "namespace", NAMESPACE], None)?;
    println!("\nGoal: a ratio of 1. Docker Swarm on such a machine: 1.5.\n");
    Ok(())
}

/// Time from the first command's start until the last container has started, `count` containers
/// spread over the hosts' engines.
pub(crate) fn docker_run(cluster: &Cluster, count: usize) -> Result<Duration> {
    let hosts = cluster.hosts()?;
    let begun = SystemTime::now();
    let mut children = Vec::new();
    for index in 0..count {
        let host = &hosts[index % hosts.len()];
        let socket = format!("unix://{}", cluster.path(host).join("docker.sock").display());
        let child = Command::new("docker")
            .args(["-H", &socket, "run", "-d", "--network=none", IMAGE, "sleep", "3600"])
            .stdout(Stdio::piped())
            .spawn()?;
        children.push((host, child));
    }
    let mut last = begun;
    let mut containers = Vec::new();
    for (host, child) in children {
        let output = child.wait_with_output()?;
        ensure!(output.status.success(), "docker run failed on {host}");
        containers.push((host, String::from_utf8(output.stdout)?.trim().to_owned()));
    }
    for (host, id) in containers {
        last = last.max(started_at(cluster, host, &id)?);
        cluster.docker(host, &["rm", "-f", &id])?;
    }
    Ok(last.duration_since(begun)?)
}

/// Time from kubectl's start until the last of `count` pods' containers has started.
fn apply(cluster: &Cluster, trial: usize, count: usize) -> Result<Duration> {
    let names: Vec<String> =
        (0..count).map(|index| format!("start-{trial}-{count}-{index}")).collect();
    let manifest: String = names
        .iter()
        .map(|name| {
            format!(
                "---\n{{apiVersion: v1, kind: Pod, metadata: {{name: {name}, namespace: \
                 {NAMESPACE}, labels: {{app: start}}}}, spec: {{terminationGracePeriodSeconds: 0, \
                 containers: [{{name: sleep, image: '{IMAGE}', command: [sleep, '3600']}}]}}}}\n"
            )
        })
        .collect();
    let begun = SystemTime::now();
    cluster.apply("h2", &manifest)?;
    let pods = cluster.wait_ready("h2", NAMESPACE, "app=start", count, Duration::from_secs(120))?;
    let mut last = begun;
    for pod in &pods {
        let id = pod.containers.get("sleep").context("a ready pod has its container")?;
        last = last.max(started_at(cluster, &pod.node, id)?);
    }
    cluster.kubectl("", &["-n", NAMESPACE, "delete", "pods", "-l", "app=start"], None)?;
    wait_for("the pods to be gone", Duration::from_secs(120), || {
        let left = cluster.pods("h2", NAMESPACE, "app=start")?;
        ensure!(left.is_empty(), "{left:?}");
        anyhow::Ok(())
    })?;
    Ok(last.duration_since(begun)?)
}

fn started_at(cluster: &Cluster, host: &str, id: &str) -> Result<SystemTime> {
    let text = cluster.docker(host, &["inspect", "--format", "{{.State.StartedAt}}", id])?;
    let started: k8s_openapi::jiff::Timestamp = text.trim().parse()?;
    let since_epoch = u64::try_from(started.as_nanosecond())?;
    Ok(UNIX_EPOCH + Duration::from_nanos(since_epoch))
}
