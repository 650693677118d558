//! Leaders killed, hosts cut, everything restarted.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, ensure};
use skein_tests::{Cluster, Pod, WriteLoad, wait_for};

use crate::support::{
    NODE_DEADLINE, Namespace, POD_DEADLINE, Undo, deployment, node_ready, other_than, start_times,
    writes_go_on,
};

#[test]
fn every_acknowledged_write_survives_the_killed_leader() -> Result<()> {
    let cluster = Cluster::attach()?;
    let ns = Namespace::create(&cluster, "e2e-leader-kill")?;
    let load = WriteLoad::start(&cluster, &ns.name, &cluster.hosts()?)?;
    writes_go_on(&load, 200)?;

    let leader = cluster.leader()?;
    cluster.script(&["kill", &leader])?;
    let undo = Undo { cluster: &cluster, command: "start", host: leader.clone() };
    writes_go_on(&load, 200)?;
    drop(undo);
    node_ready(&cluster, &leader)?;
    writes_go_on(&load, 50)?;

    let report = load.stop()?;
    for host in cluster.hosts()? {
        let list =
            cluster.kubectl(&host, &["-n", &ns.name, "get", "configmaps", "-o", "name"], None)?;
        let there: BTreeSet<&str> =
            list.lines().filter_map(|line| line.strip_prefix("configmap/")).collect();
        let lost: Vec<&String> =
            report.acknowledged.iter().filter(|name| !there.contains(name.as_str())).collect();
        ensure!(lost.is_empty(), "{host} lost {lost:?}");
    }
    Ok(())
}

#[test]
fn the_pods_of_a_cut_host_run_elsewhere_and_none_is_doubled_after_healing() -> Result<()> {
    let cluster = Cluster::attach()?;
    let ns = Namespace::create(&cluster, "e2e-cut")?;
    cluster.apply("h1", &deployment(&ns.name, "web", 6))?;
    cluster.wait_ready("h1", &ns.name, "app=web", 6, POD_DEADLINE)?;

    let leader = cluster.leader()?;
    let hosts = cluster.hosts()?;
    for victim in [leader.clone(), other_than(&hosts, &leader)] {
        let witness = other_than(&hosts, &victim);
        cluster.script(&["cut", &victim])?;
        let undo = Undo { cluster: &cluster, command: "heal", host: victim.clone() };
        wait_for("the pods to run elsewhere", POD_DEADLINE, || {
            let pods = cluster.pods(&witness, &ns.name, "app=web")?;
            let running: Vec<&Pod> = pods
                .iter()
                .filter(|pod| pod.ready && !pod.terminating && pod.node != victim)
                .collect();
            ensure!(running.len() == 6, "{pods:#?}");
            anyhow::Ok(())
        })?;
        drop(undo);
        node_ready(&cluster, &victim)?;
        cluster.wait_ready(&witness, &ns.name, "app=web", 6, POD_DEADLINE)?;
        no_container_beside_the_pods(&cluster, &ns.name)?;
    }
    Ok(())
}

#[test]
fn all_processes_killed_and_started_keep_the_state_and_every_container() -> Result<()> {
    let cluster = Cluster::attach()?;
    let ns = Namespace::create(&cluster, "e2e-restart")?;
    cluster.apply("h1", &deployment(&ns.name, "web", 6))?;
    let before = cluster.wait_ready("h1", &ns.name, "app=web", 6, POD_DEADLINE)?;
    let started = start_times(&cluster, &before)?;

    let hosts = cluster.hosts()?;
    let mut undo = Vec::new();
    for host in &hosts {
        cluster.script(&["kill", host])?;
        undo.push(Undo { cluster: &cluster, command: "start", host: host.clone() });
    }
    drop(undo);
    for host in &hosts {
        node_ready(&cluster, host)?;
    }

    let after = cluster.wait_ready("h2", &ns.name, "app=web", 6, POD_DEADLINE)?;
    let identity = |pods: &[Pod]| -> BTreeMap<String, (String, BTreeMap<String, String>, u64)> {
        pods.iter()
            .map(|pod| (pod.uid.clone(), (pod.ip.clone(), pod.containers.clone(), pod.restarts)))
            .collect()
    };
    ensure!(identity(&before) == identity(&after), "before {before:#?}\nafter {after:#?}");
    ensure!(started == start_times(&cluster, &after)?, "a container was restarted");
    Ok(())
}

#[test]
fn a_stopped_docker_makes_its_node_not_ready_and_it_recovers_by_itself() -> Result<()> {
    let cluster = Cluster::attach()?;
    cluster.script(&["docker-stop", "h3"])?;
    let undo = Undo { cluster: &cluster, command: "docker-start", host: "h3".into() };
    let message = wait_for("h3 to be NotReady", NODE_DEADLINE, || {
        let ready = ready_condition(&cluster, "h3")?;
        ensure!(ready["status"] == "False", "{ready}");
        anyhow::Ok(ready["message"].as_str().unwrap_or_default().to_owned())
    })?;
    ensure!(message.contains("runtime"), "the reason is told: {message:?}");
    drop(undo);
    node_ready(&cluster, "h3")
}

fn ready_condition(cluster: &Cluster, host: &str) -> Result<serde_json::Value> {
    let node = cluster.kubectl_json("h1", &["get", "node", host])?;
    let conditions = node["status"]["conditions"].as_array().cloned().unwrap_or_default();
    Ok(conditions.into_iter().find(|condition| condition["type"] == "Ready").unwrap_or_default())
}

/// The containers that run in the namespace are exactly those of its pods.
fn no_container_beside_the_pods(cluster: &Cluster, namespace: &str) -> Result<()> {
    wait_for("stray containers to end", POD_DEADLINE, || {
        let pods = cluster.pods("h1", namespace, "app=web")?;
        let expected: BTreeSet<String> =
            pods.iter().flat_map(|pod| pod.containers.values().cloned()).collect();
        let mut running = BTreeSet::new();
        for host in cluster.hosts()? {
            let of_namespace = format!("label=io.kubernetes.pod.namespace={namespace}");
            let args = ["ps", "-q", "--no-trunc", "--filter", &of_namespace];
            let args = [&args[..], &["--filter", "label=io.kubernetes.container.name=hello"]];
            running.extend(cluster.docker(&host, &args.concat())?.lines().map(str::to_owned));
        }
        ensure!(running == expected, "running {running:?}, pods {pods:#?}");
        anyhow::Ok(())
    })
}
