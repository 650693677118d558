//! Hosts that lose their data, change their address or leave for good.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use skein_tests::{Cluster, WriteLoad, wait_for};

use crate::support::{NODE_DEADLINE, Namespace, Undo, node_ready, other_than, writes_go_on};

/// How long it may take until the voters are as they should be again.
const SETTLED_DEADLINE: Duration = Duration::from_secs(90);

#[test]
fn a_wiped_host_joins_anew_and_votes_while_writes_go_on() -> Result<()> {
    let cluster = Cluster::attach()?;
    let ns = Namespace::create(&cluster, "e2e-wiped")?;
    let leader = cluster.leader()?;
    let wiped = other_than(&cluster.hosts()?, &leader);
    let before = member(&cluster, &wiped)?.context("the host is a member")?;
    let load = WriteLoad::start(&cluster, &ns.name, std::slice::from_ref(&leader))?;
    writes_go_on(&load, 20)?;

    cluster.script(&["wipe", &wiped])?;
    cluster.script(&["start", &wiped])?;
    cluster.wait_voters(3, SETTLED_DEADLINE)?;

    node_ready(&cluster, &wiped)?;
    writes_go_on(&load, 20)?;
    let written = load.stop()?.acknowledged;
    let after = member(&cluster, &wiped)?.context("the host is a member again")?;
    ensure!(before["id"] != after["id"], "a wiped disk is a new node: {after}");
    let list = ["-n", &ns.name, "get", "configmaps", "-o", "name"];
    let found = cluster.kubectl(&wiped, &list, None)?;
    let there = |name: &&String| found.lines().any(|line| line == format!("configmap/{name}"));
    ensure!(written.iter().filter(there).count() == written.len(), "{wiped} lacks some of them");
    Ok(())
}

#[test]
fn a_voter_that_moves_to_another_address_goes_on_voting() -> Result<()> {
    let cluster = Cluster::attach()?;
    let moved = other_than(&cluster.hosts()?, &cluster.leader()?);
    let before = member(&cluster, &moved)?.context("the host is a member")?;
    let undo = Undo { cluster: &cluster, command: "move", host: moved.clone() };

    cluster.script(&["move", &moved])?;
    cluster.wait_voters(3, SETTLED_DEADLINE)?;

    let after = member(&cluster, &moved)?.context("the host is a member")?;
    ensure!(before["id"] == after["id"], "it is the same node: {after}");
    ensure!(before["address"] != after["address"], "{after}");
    node_ready(&cluster, &moved)?;
    drop(undo);
    cluster.wait_voters(3, SETTLED_DEADLINE)?;
    node_ready(&cluster, &moved)
}

#[test]
fn a_removed_node_is_gone_and_may_not_come_back() -> Result<()> {
    let cluster = Cluster::attach()?;
    let before = cluster.hosts()?;
    cluster.script(&["add"])?;
    let added = cluster.hosts()?.into_iter().find(|host| !before.contains(host));
    let added = added.context("a further host")?;
    let undo = Undo { cluster: &cluster, command: "remove", host: added.clone() };
    node_ready(&cluster, &added)?;
    cluster.script(&["kill", &added])?;

    cluster.skein(&["node", "remove", &added, "--yes"])?;

    wait_for("the node to be gone", NODE_DEADLINE, || {
        let nodes = cluster.kubectl("h1", &["get", "nodes", "-o", "name"], None)?;
        ensure!(!nodes.contains(&added), "{nodes}");
        ensure!(member(&cluster, &added)?.is_none(), "{added} is still a member");
        anyhow::Ok(())
    })?;
    cluster.script(&["start", &added])?;
    cluster.wait_ended(&added, NODE_DEADLINE).context("a removed node does not stay up")?;
    drop(undo);
    cluster.wait_voters(3, SETTLED_DEADLINE)
}

/// What the cluster says of the member `name`.
fn member(cluster: &Cluster, name: &str) -> Result<Option<Value>> {
    let status: Value = serde_json::from_str(&cluster.skein(&["status", "-o", "json"])?)?;
    let members = status["members"].as_array().cloned().unwrap_or_default();
    Ok(members.into_iter().find(|member| member["name"] == name))
}
