//! How long the pods of a host that is cut off are missing.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, api::ListParams, config::Kubeconfig};
use skein_measure::Distribution;
use skein_tests::{Cluster, Link, client, wait_for};
use tokio::{runtime::Runtime, time::timeout};

use crate::{pod_start::docker_run, trials::Trials};

const NAMESPACE: &str = "bench-cut";
const PODS: usize = 6;
const DEADLINE: Duration = Duration::from_secs(120);
/// Between two looks at the pods, which is how exact the result is.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);
/// How long one look may take before the next.
const LOOK_TIMEOUT: Duration = Duration::from_millis(500);

/// One trial.
#[derive(Debug)]
struct Outcome {
    /// Whether the host that was cut led.
    led: bool,
    /// When each replacement was ready, in order.
    replaced: Vec<Duration>,
    /// `docker run -d` of as many containers.
    raw: Duration,
}

/// Time from a host's cut until each of its pods has a ready replacement, by turns a host that
/// leads and one that does not.
pub(crate) fn measure(cluster: &Cluster, trials: Trials) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    cluster.kubectl("", &["create", "namespace", NAMESPACE], None)?;
    cluster.apply("", &deployment())?;
    let (outcomes, ended) = trials.run("host cut", |trial| {
        let leader = cluster.leader()?;
        let hosts = cluster.hosts()?;
        let follower = hosts.iter().find(|host| **host != leader).context("two hosts")?;
        let led = trial % 2 == 0;
        let victim = if led { &leader } else { follower };
        let witness = hosts.iter().rfind(|host| *host != victim).context("two hosts")?;
        spread(cluster, victim)?;
        let replaced = cut(cluster, &runtime, victim, witness)?;
        let raw = docker_run(cluster, replaced.len())?;
        Ok(Outcome { led, replaced, raw })
    })?;
    println!("## Host cut\n\n{}", Distribution::head("cut → replacements ready"));
    for (host, led) in [("host led", true), ("host followed", false)] {
        let of_host = || outcomes.iter().filter(|outcome| outcome.led == led);
        let pods: Vec<Duration> = of_host().flat_map(|one| one.replaced.clone()).collect();
        if !pods.is_empty() {
            let last = of_host().filter_map(|one| one.replaced.last().copied()).collect();
            println!("{}", Distribution::new(pods)?.row(&format!("{host}, each pod")));
            let last = Distribution::new(last)?;
            println!("{}", last.row(&format!("{host}, last pod of each cut")));
        }
    }
    let raw = Distribution::new(outcomes.iter().map(|one| one.raw).collect())?;
    println!("{}\n", raw.row("`docker run -d` of as many containers at once"));
    println!(
        "Goal: p99 at most 3 s plus the start of the containers. Docker Swarm: 20 s, and 49 s for a \
         host that leads.\n"
    );
    cluster.kubectl("", &["delete", "namespace", NAMESPACE, "--wait=false"], None)?;
    ended
}

/// Cuts `victim`, waits for as many ready pods elsewhere as it had, heals it and waits until
/// everything is as before.
fn cut(cluster: &Cluster, runtime: &Runtime, victim: &str, witness: &str) -> Result<Vec<Duration>> {
    let before = cluster.pods(witness, NAMESPACE, "app=sleep")?;
    let lost = before.iter().filter(|pod| pod.node == victim).count();
    let known: BTreeSet<&str> = before.iter().map(|pod| pod.uid.as_str()).collect();
    let kubeconfig = Kubeconfig::read_from(cluster.kubeconfig(witness))?;
    let api: Api<Pod> =
        Api::namespaced(runtime.block_on(client(kubeconfig, LOOK_TIMEOUT))?, NAMESPACE);
    let begun = cluster.set_link(victim, Link::Cut)?;
    let replaced = runtime.block_on(replacements(&api, &known, lost, begun));
    cluster.set_link(victim, Link::Whole)?;
    all_ready(cluster, witness)?;
    cluster.wait_voters(cluster.hosts()?.len(), DEADLINE)?;
    cluster.wait_ready(witness, NAMESPACE, "app=sleep", PODS, DEADLINE)?;
    replaced
}

/// When each of `lost` new pods was first seen ready, in order.
async fn replacements(
    api: &Api<Pod>,
    known: &BTreeSet<&str>,
    lost: usize,
    begun: Instant,
) -> Result<Vec<Duration>> {
    // From the memory of the host that is asked, so that looking needs no leader.
    let list = ListParams::default().match_any();
    let (mut seen, mut times) = (BTreeSet::new(), Vec::new());
    let mut looks = tokio::time::interval(LOOK_INTERVAL);
    while times.len() < lost {
        looks.tick().await;
        ensure!(begun.elapsed() < DEADLINE, "{} of {lost} pods were replaced", times.len());
        let Ok(Ok(pods)) = timeout(LOOK_TIMEOUT, api.list(&list)).await else { continue };
        let ready = pods
            .iter()
            .filter(|pod| is_ready(pod))
            .filter_map(|pod| pod.metadata.uid.as_deref().filter(|uid| !known.contains(uid)));
        for uid in ready {
            if seen.insert(uid.to_owned()) {
                times.push(begun.elapsed());
            }
        }
    }
    Ok(times)
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    pod.metadata.deletion_timestamp.is_none()
        && conditions.into_iter().any(|one| one.type_ == "Ready" && one.status == "True")
}

/// New pods all over, if `victim` has none or not its share.
fn spread(cluster: &Cluster, victim: &str) -> Result<()> {
    let share = PODS / cluster.hosts()?.len();
    wait_for("pods on every host", DEADLINE, || {
        let pods = cluster.wait_ready("", NAMESPACE, "app=sleep", PODS, DEADLINE)?;
        if pods.iter().filter(|pod| pod.node == victim).count() == share {
            return Ok(());
        }
        let delete = ["-n", NAMESPACE, "delete", "pods", "-l", "app=sleep", "--wait"];
        cluster.kubectl("", &delete, None)?;
        anyhow::bail!("{pods:#?}")
    })
}

fn deployment() -> String {
    format!(
        "{{apiVersion: apps/v1, kind: Deployment, metadata: {{name: sleep, namespace: {NAMESPACE}}}, \
         spec: {{replicas: {PODS}, selector: {{matchLabels: {{app: sleep}}}}, template: {{metadata: \
         {{labels: {{app: sleep}}}}, spec: {{terminationGracePeriodSeconds: 0, containers: [{{name: \
         sleep, image: 'busybox:local', command: [sleep, '86400']}}]}}}}}}}}"
    )
}

fn all_ready(cluster: &Cluster, host: &str) -> Result<()> {
    wait_for("every node to be Ready", DEADLINE, || {
        let nodes = cluster.kubectl(host, &["get", "nodes", "--no-headers"], None)?;
        let ready = |line: &str| line.split_whitespace().nth(1) == Some("Ready");
        ensure!(nodes.lines().all(ready), "{nodes}");
        anyhow::Ok(())
    })
}
