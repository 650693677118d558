//! A majority of the voters is lost: what still works, and the way back. The same steps, for
//! people, are in docs/operations.md.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;
use serde_json::json;
use skein_tests::{Answer, Cluster, Http, WriteLoad, wait_for};
use tokio::runtime::Runtime;

use crate::support::{
    NODE_DEADLINE, Namespace, POD_DEADLINE, Undo, node_ready, other_than, start_times, writes_go_on,
};

/// How soon a host knows that it is alone.
const KNOWN_DEADLINE: Duration = Duration::from_secs(10);
/// How long an answer may take once it does.
const AT_ONCE: Duration = Duration::from_secs(1);
/// Longer than any answer should take, so that a slow one is measured.
const PATIENCE: Duration = Duration::from_secs(5);

#[test]
fn a_cluster_without_quorum_reads_on_and_is_recovered_by_one_command() -> Result<()> {
    let cluster = Cluster::attach()?;
    let ns = Namespace::create(&cluster, "e2e-quorum")?;
    let hosts = cluster.hosts()?;
    for host in &hosts {
        cluster.apply("", &pinned(&ns.name, host))?;
    }
    let pods = cluster.wait_ready("", &ns.name, "app=pinned", hosts.len(), POD_DEADLINE)?;
    let started = start_times(&cluster, &pods)?;
    let leader = cluster.leader()?;
    let survivor = other_than(&hosts, &leader);
    let lost: Vec<&String> = hosts.iter().filter(|host| **host != survivor).collect();
    let load = WriteLoad::start(&cluster, &ns.name, std::slice::from_ref(&survivor))?;
    writes_go_on(&load, 100)?;
    let written = load.stop()?.acknowledged;
    let mut undo = Vec::new();
    for host in &lost {
        cluster.signal(host, Signal::SIGKILL)?;
        undo.push(Undo { cluster: &cluster, command: "start", host: (*host).clone() });
    }

    let alone = Alone::new(&cluster, &survivor, &ns.name)?;
    alone.refuses_writes_at_once(&lost)?;
    alone.reads_and_says_that_they_may_be_stale()?;
    let status = cluster.skein_at(&survivor, &["status", "-o", "json"])?;
    let status: serde_json::Value = serde_json::from_str(&status)?;
    ensure!(status["quorum"] == false, "{status}");
    ensure!(start_times(&cluster, &pods)? == started, "a container was restarted");

    cluster.skein_at(&survivor, &["recover", "--yes"])?;
    alone.takes_writes_again()?;
    alone.still_has(&written)?;

    drop(undo);
    for host in &lost {
        is_told_to_rejoin(&cluster, host)?;
        cluster.skein_at(host, &["rejoin", "--yes"])?;
    }
    cluster.wait_voters(hosts.len(), NODE_DEADLINE)?;
    for host in &hosts {
        node_ready(&cluster, host)?;
        Alone::new(&cluster, host, &ns.name)?.still_has(&written)?;
    }
    cluster.wait_ready("", &ns.name, "app=pinned", hosts.len(), POD_DEADLINE)?;
    ensure!(start_times(&cluster, &pods)? == started, "a container was restarted");
    Ok(())
}

/// A pod that stays on its host whatever is thought of that host.
fn pinned(namespace: &str, host: &str) -> String {
    format!(
        "
apiVersion: v1
kind: Pod
metadata: {{name: on-{host}, namespace: {namespace}, labels: {{app: pinned}}}}
spec:
  nodeSelector: {{kubernetes.io/hostname: {host}}}
  tolerations: [{{operator: Exists}}]
  terminationGracePeriodSeconds: 0
  containers: [{{name: sleep, image: 'busybox:local', command: [sleep, '86400']}}]
"
    )
}

/// A host that was returned to learns that the cluster went on without it.
fn is_told_to_rejoin(cluster: &Cluster, host: &str) -> Result<()> {
    wait_for(&format!("{host} to be told to rejoin"), NODE_DEADLINE, || {
        let status = cluster.skein_at(host, &["status"])?;
        ensure!(status.contains("skein rejoin"), "{status}");
        anyhow::Ok(())
    })
}

/// The API of one host, asked directly.
struct Alone {
    runtime: Runtime,
    http: Http,
    collection: String,
}

impl Alone {
    fn new(cluster: &Cluster, host: &str, namespace: &str) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let http = runtime.block_on(Http::new(cluster, host, PATIENCE))?;
        Ok(Self { runtime, http, collection: format!("/api/v1/namespaces/{namespace}/configmaps") })
    }

    fn create(&self, name: &str) -> Result<(Answer, Duration)> {
        let begun = Instant::now();
        let object = json!({"metadata": {"name": name}});
        let answer = self.runtime.block_on(self.http.post(&self.collection, &object))?;
        Ok((answer, begun.elapsed()))
    }

    fn list(&self) -> Result<(Answer, Duration)> {
        let begun = Instant::now();
        let answer = self.runtime.block_on(self.http.get(&self.collection))?;
        Ok((answer, begun.elapsed()))
    }

    fn refuses_writes_at_once(&self, missing: &[&String]) -> Result<()> {
        wait_for("a refused write", KNOWN_DEADLINE, || {
            let (answer, took) = self.create("refused")?;
            let said = answer.body["message"].as_str().unwrap_or_default();
            ensure!(answer.code == 503 && answer.body["kind"] == "Status", "{answer:?}");
            ensure!(answer.body["reason"] == "ServiceUnavailable", "{answer:?}");
            ensure!(missing.iter().all(|host| said.contains(host.as_str())), "{said}");
            ensure!(said.contains("skein recover"), "{said}");
            ensure!(took < AT_ONCE, "refused after {took:?}");
            Ok(())
        })
    }

    fn reads_and_says_that_they_may_be_stale(&self) -> Result<()> {
        let (answer, took) = self.list()?;
        ensure!(answer.succeeded() && answer.stale(), "{} {}", answer.code, answer.warning);
        ensure!(answer.warning.starts_with("299 "), "{}", answer.warning);
        ensure!(took < AT_ONCE, "read after {took:?}");
        Ok(())
    }

    fn takes_writes_again(&self) -> Result<()> {
        wait_for("an accepted write", NODE_DEADLINE, || {
            let (answer, _) = self.create("accepted")?;
            // An earlier try may have been carried out without an answer.
            ensure!(answer.code == 201 || answer.code == 409, "{answer:?}");
            anyhow::Ok(())
        })
    }

    fn still_has(&self, written: &[String]) -> Result<()> {
        let (answer, _) = self.list()?;
        ensure!(answer.succeeded() && !answer.stale(), "{} {}", answer.code, answer.warning);
        let items = answer.body["items"].as_array().context("a list has items")?;
        let names: std::collections::BTreeSet<&str> =
            items.iter().filter_map(|item| item["metadata"]["name"].as_str()).collect();
        let lost: Vec<&String> =
            written.iter().filter(|name| !names.contains(name.as_str())).collect();
        ensure!(lost.is_empty(), "lost {lost:?}");
        Ok(())
    }
}
