//! Two hosts and a witness. On a cluster of its own, which `scripts/test` makes after the other.

use anyhow::{Result, ensure};
use nix::sys::signal::Signal;
use serde_json::Value;
use skein_tests::{Cluster, WriteLoad};

use crate::support::{NODE_DEADLINE, Namespace, Undo, node_ready, writes_go_on};

#[test]
fn with_a_witness_either_of_two_hosts_may_fail() -> Result<()> {
    let cluster = Cluster::attach()?;
    let hosts = cluster.hosts()?;
    ensure!(hosts.len() == 2, "this test needs `scripts/cluster up 2`, there are {hosts:?}");
    let ns = Namespace::create(&cluster, "e2e-witness")?;

    cluster.script(&["add", "--witness"])?;
    cluster.wait_voters(3, NODE_DEADLINE)?;

    let nodes = cluster.kubectl("h1", &["get", "nodes", "-o", "name"], None)?;
    ensure!(nodes.lines().count() == hosts.len(), "a witness runs no pods: {nodes}");
    let status: Value = serde_json::from_str(&cluster.skein(&["status", "-o", "json"])?)?;
    let members = status["members"].as_array().cloned().unwrap_or_default();
    let witnesses = members.iter().filter(|member| member["witness"] == true).count();
    ensure!(witnesses == 1 && status["warnings"] == Value::Array(Vec::new()), "{status}");

    let load = WriteLoad::start(&cluster, &ns.name, &hosts)?;
    for host in &hosts {
        writes_go_on(&load, 50)?;
        cluster.signal(host, Signal::SIGKILL)?;
        let undo = Undo { cluster: &cluster, command: "start", host: host.clone() };
        writes_go_on(&load, 50)?;
        drop(undo);
        cluster.wait_voters(3, NODE_DEADLINE)?;
        node_ready(&cluster, host)?;
    }
    load.stop()?;
    Ok(())
}
