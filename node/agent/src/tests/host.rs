//! The node's object, and what outlives the agent.

use std::time::Duration;

use skein_runtime::ContainerRuntime;
use tokio::time::Instant;

use super::world::World;
use crate::checkpoint;

#[tokio::test(start_paused = true)]
async fn the_node_registers_with_what_the_runtime_tells_of_the_host() {
    let world = World::start().await;
    let node = world.node().await.expect("node");
    let labels = node.metadata.labels.expect("labels");
    assert_eq!(labels["kubernetes.io/hostname"], "h1");
    assert_eq!(labels["zone"], "a");
    let status = node.status.expect("status");
    assert_eq!(status.capacity.expect("capacity")["cpu"].0, "4");
    let info = status.node_info.expect("node info");
    assert!(info.container_runtime_version.starts_with("simulated://"));
    assert!(status.addresses.expect("addresses").iter().any(|a| a.address == "10.77.0.1"));
}

#[tokio::test(start_paused = true)]
async fn a_stopped_runtime_makes_the_node_not_ready_until_it_answers() {
    let world = World::start().await;
    world.run("web", &["serve"]).await;
    world.until_ready("web").await;
    let before = world.containers().await;

    world.runtime.set_reachable(false);
    world.until("the node is not ready", async |world| world.ready().await.status == "False").await;
    let ready = world.ready().await;
    assert_eq!(ready.reason.as_deref(), Some("RuntimeNotReady"));
    assert!(ready.message.is_some_and(|message| message.contains("stopped")));

    world.runtime.set_reachable(true);
    world.until("the node is ready", async |world| world.ready().await.status == "True").await;
    assert_eq!(world.containers().await, before);
}

#[tokio::test(start_paused = true)]
async fn a_node_declared_unknown_says_that_it_is_alive() {
    let world = World::start().await;
    world.doubt().await;
    assert_eq!(world.ready().await.status, "Unknown");
    world.until("the node is ready", async |world| world.ready().await.status == "True").await;
}

#[tokio::test(start_paused = true)]
async fn a_node_declared_unknown_again_and_again_answers_less_and_less_often() {
    let world = World::start().await;
    let mut answers = 0;
    let end = Instant::now() + Duration::from_secs(60);
    while Instant::now() < end {
        world.doubt().await;
        world.until("the node is ready", async |world| world.ready().await.status == "True").await;
        answers += 1;
    }
    assert!((5..=12).contains(&answers), "{answers} answers in a minute");
}

#[tokio::test(start_paused = true)]
async fn routes_lead_to_the_ranges_of_the_other_nodes() {
    let world = World::start().await;
    world.add_peer().await;
    world
        .until("the route is set", async |world| {
            let routes = world.network.routes();
            routes.len() == 1
                && routes[0].cidr == "10.42.9.0/24"
                && routes[0].via.to_string() == "10.77.0.2"
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn routes_that_were_lost_come_back() {
    let world = World::start().await;
    world.add_peer().await;
    for _ in 0..2 {
        world.until("the route is set", async |world| world.network.routes().len() == 1).await;
        world.network.flush_routes();
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_without_a_way_to_it_does_not_cost_the_next_start_its_range() {
    let mut world = World::start().await;
    world.network.set_routes_error(Some("network is unreachable"));
    world.add_peer().await;
    world
        .until("range and route are on disk", async |world| {
            let kept = checkpoint::network(world.data.path());
            kept.range.is_some() && kept.routes.len() == 1
        })
        .await;
    world.store.set_cut(true);
    world.stop_agent().await;
    world.network.set_routes_error(None);
    world.start_agent();
    world.until("the kept route is set", async |world| world.network.routes().len() == 1).await;
}

#[tokio::test(start_paused = true)]
async fn restarting_the_agent_restarts_no_container() {
    let mut world = World::start().await;
    let pod = world.run("web", &["serve"]).await;
    world.until_ready("web").await;
    let before = world.containers().await;
    let status = world.status("web").await;

    world.stop_agent().await;
    assert_eq!(world.containers().await, before);
    world.start_agent();
    world.run("second", &["serve"]).await;
    world.until_ready("second").await;

    let after = world.containers().await;
    assert!(before.iter().all(|container| after.contains(container)));
    assert_eq!(after.len(), 2);
    assert_eq!(world.status("web").await, status);
    let uid = pod.metadata.uid.expect("uid");
    assert_eq!(world.network.address(&uid).map(|ip| ip.to_string()), status.pod_ip);
    assert_ne!(world.status("second").await.pod_ip, status.pod_ip);
}

#[tokio::test(start_paused = true)]
async fn a_pod_deleted_while_the_agent_was_down_is_ended() {
    let mut world = World::start().await;
    world.run("web", &["serve"]).await;
    world.run("kept", &["serve"]).await;
    world.until_ready("web").await;
    world.until_ready("kept").await;
    world.stop_agent().await;
    world.delete("web", Some(0)).await;

    world.start_agent();
    world
        .until("only the other pod is left", async |world| {
            let sandboxes = world.runtime.list_sandboxes(None).await.expect("sandboxes");
            sandboxes.len() == 1 && sandboxes[0].name == "kept"
        })
        .await;
    assert_eq!(world.containers().await.len(), 1);
}
