//! How long the cluster is without writes when its leader is killed, and without pods when a host
//! is cut.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use skein_tests::{Cluster, WriteLoad, wait_for};

use crate::statistics::Sample;

const DEADLINE: Duration = Duration::from_secs(120);

/// Longest gap between two acknowledged writes of a client on a surviving host around `kill -9` of
/// the leader.
pub(crate) fn leader_kill(cluster: &Cluster, trials: usize) -> Result<()> {
    let namespace = "bench-leader-kill";
    cluster.kubectl("", &["create", "namespace", namespace], None)?;
    let mut gaps = Vec::new();
    for trial in 0..trials {
        let leader = cluster.leader()?;
        let hosts: Vec<String> =
            cluster.hosts()?.into_iter().filter(|host| *host != leader).collect();
        let namespace_of_trial = format!("{namespace}-{trial}");
        cluster.kubectl(&hosts[0], &["create", "namespace", &namespace_of_trial], None)?;
        let load = WriteLoad::start(cluster, &namespace_of_trial, &hosts)?;
        writes_go_on(&load, 100)?;
        cluster.script(&["kill", &leader])?;
        writes_go_on(&load, 100)?;
        gaps.push(load.stop()?.longest_gap);
        cluster.script(&["start", &leader])?;
        all_ready(cluster, &leader)?;
        let delete = ["delete", "namespace", &namespace_of_trial, "--wait=false"];
        cluster.kubectl(&hosts[0], &delete, None)?;
    }
    println!("## Leader killed\n\nLongest gap without a write: {}.\n", Sample::new(gaps)?);
    cluster.kubectl("", &["delete", "namespace", namespace, "--wait=false"], None)?;
    Ok(())
}

/// Time from a host's cut until all its pods are ready elsewhere, by turns a host that leads and
/// one that does not.
pub(crate) fn host_cut(cluster: &Cluster, trials: usize) -> Result<()> {
    let namespace = "bench-cut";
    cluster.kubectl("", &["create", "namespace", namespace], None)?;
    cluster.apply("h1", &deployment(namespace))?;
    let mut leading = Vec::new();
    let mut following = Vec::new();
    for trial in 0..trials {
        let leader = cluster.leader()?;
        let hosts = cluster.hosts()?;
        let follower = hosts.iter().find(|host| **host != leader).context("two hosts")?;
        let leads = trial % 2 == 0;
        let victim = if leads { &leader } else { follower };
        let witness = hosts.iter().find(|host| *host != victim).context("two hosts")?;
        restart_pods(cluster, witness, namespace)?;
        cluster.wait_ready(witness, namespace, "app=sleep", 6, DEADLINE)?;
        let begun = Instant::now();
        cluster.script(&["cut", victim])?;
        wait_for("the pods to run elsewhere", DEADLINE, || {
            let pods = cluster.pods(witness, namespace, "app=sleep")?;
            let running =
                pods.iter().filter(|pod| pod.ready && !pod.terminating && pod.node != *victim);
            ensure!(running.count() == 6, "{pods:#?}");
            anyhow::Ok(())
        })?;
        if leads { &mut leading } else { &mut following }.push(begun.elapsed());
        cluster.script(&["heal", victim])?;
        all_ready(cluster, victim)?;
        cluster.wait_ready(witness, namespace, "app=sleep", 6, DEADLINE)?;
    }
    println!("## Host cut\n\n| host | cut → all pods ready elsewhere |\n| --- | --- |");
    for (host, times) in [("leads", leading), ("follows", following)] {
        if !times.is_empty() {
            println!("| {host} | {} |", Sample::new(times)?);
        }
    }
    println!();
    cluster.kubectl("", &["delete", "namespace", namespace, "--wait=false"], None)?;
    Ok(())
}

fn deployment(namespace: &str) -> String {
    format!(
        "{{apiVersion: apps/v1, kind: Deployment, metadata: {{name: sleep, namespace: {namespace}}}, \
         spec: {{replicas: 6, selector: {{matchLabels: {{app: sleep}}}}, template: {{metadata: \
         {{labels: {{app: sleep}}}}, spec: {{terminationGracePeriodSeconds: 0, containers: [{{name: \
         sleep, image: 'busybox:local', command: [sleep, '86400']}}]}}}}}}}}"
    )
}

/// Spreads the pods over all hosts again.
fn restart_pods(cluster: &Cluster, host: &str, namespace: &str) -> Result<()> {
    let restart = ["-n", namespace, "rollout", "restart", "deployment/sleep"];
    cluster.kubectl(host, &restart, None)?;
    let status = ["-n", namespace, "rollout", "status", "deployment/sleep", "--timeout=120s"];
    cluster.kubectl(host, &status, None)?;
    Ok(())
}

fn writes_go_on(load: &WriteLoad, more: usize) -> Result<()> {
    let goal = load.acknowledged() + more;
    wait_for("writes to go on", DEADLINE, || {
        let count = load.acknowledged();
        ensure!(count >= goal, "{count} of {goal}");
        anyhow::Ok(())
    })
}

fn all_ready(cluster: &Cluster, host: &str) -> Result<()> {
    wait_for("every node to be Ready", DEADLINE, || {
        let nodes = cluster.kubectl(host, &["get", "nodes", "--no-headers"], None)?;
        ensure!(
            nodes.lines().all(|line| line.split_whitespace().nth(1) == Some("Ready")),
            "{nodes}"
        );
        anyhow::Ok(())
    })
}
