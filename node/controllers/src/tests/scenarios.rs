//! What a user sees happen.

use std::collections::BTreeSet;

use k8s_openapi::api::{
    core::v1::{Event, Namespace},
    policy::v1::PodDisruptionBudget,
};
use skein_objects::Propagation;

use super::*;

fn over_hosts(counts: &[(&str, usize)]) -> BTreeMap<String, usize> {
    counts.iter().map(|(host, count)| ((*host).to_owned(), *count)).collect()
}

fn set_image(image: &str) -> impl FnMut(&mut Deployment) + Send {
    move |deployment| {
        let template = &mut deployment.spec.as_mut().unwrap().template;
        template.spec.as_mut().unwrap().containers[0].image = Some(image.to_owned());
    }
}

fn set_replicas(replicas: i32) -> impl FnMut(&mut Deployment) + Send {
    move |deployment| deployment.spec.as_mut().unwrap().replicas = Some(replicas)
}

fn revision(deployment: &Deployment) -> String {
    let annotations = deployment.metadata.annotations.as_ref().unwrap();
    annotations["deployment.kubernetes.io/revision"].clone()
}

fn progress(deployment: &Deployment) -> (String, String) {
    let conditions = deployment.status.as_ref().unwrap().conditions.as_ref().unwrap();
    let progressing = conditions.iter().find(|one| one.type_ == "Progressing").unwrap();
    (progressing.status.clone(), progressing.reason.clone().unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_deployment_reaches_its_pods_spread_over_the_hosts() {
    let world = World::with_hosts(&["h1", "h2", "h3"]).await;
    world.deploy("web", 6, "web:1").await;
    world.until_rolled_out("web").await;
    assert_eq!(world.running().await, over_hosts(&[("h1", 2), ("h2", 2), ("h3", 2)]));
    assert_eq!(world.pods().await.len(), 6, "no pod more was ever made");
    let deployment = world.deployment("web").await;
    assert_eq!(revision(&deployment), "1");
    assert_eq!(progress(&deployment), ("True".into(), "NewReplicaSetAvailable".into()));
}

#[tokio::test(start_paused = true)]
async fn a_budget_says_how_many_pods_may_go() {
    let world = World::with_hosts(&["h1", "h2"]).await;
    world.deploy("web", 3, "web:1").await;
    let budgets = world.storage.typed::<PodDisruptionBudget>();
    let budget = json!({"metadata": {"name": "web", "namespace": "default"},
        "spec": {"maxUnavailable": 1, "selector": {"matchLabels": {"app": "web"}}}});
    budgets.create(&serde_json::from_value(budget).unwrap()).await.unwrap();
    let allows = async |count: i32| {
        world
            .until("the budget is counted", async |_| {
                let budget = budgets.get("default", "web").await.unwrap().unwrap();
                let status = budget.status.unwrap_or_default();
                status.disruptions_allowed == Some(count) && status.expected_pods == Some(3)
            })
            .await;
    };
    allows(1).await;
    let name = world.pods().await.remove(0).metadata.name.unwrap();
    budgets
        .modify_status("default", "web", |budget| {
            let status = budget.status.as_mut().unwrap();
            let evicted = status.disrupted_pods.get_or_insert_default();
            evicted.insert(name.clone(), Timestamp::now().into());
        })
        .await
        .unwrap();
    allows(0).await;
    let pods = world.storage.typed::<Pod>();
    pods.delete("default", &name, &DeleteOptions::default()).await.unwrap();
    allows(1).await;
}

#[tokio::test(start_paused = true)]
async fn every_node_gets_a_pod_range_of_its_own() {
    let world = World::with_hosts(&["h1", "h2", "h3"]).await;
    world
        .until("all have ranges", async |world| {
            let nodes: Vec<Node> = world.storage.typed().list(None).await.unwrap();
            let ranges: BTreeSet<_> = nodes.into_iter().filter_map(|n| n.spec?.pod_cidr).collect();
            ranges == ["10.42.0.0/24", "10.42.1.0/24", "10.42.2.0/24"].map(str::to_owned).into()
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn scaling_changes_the_number_of_pods_both_ways() {
    let world = World::with_hosts(&["h1", "h2"]).await;
    world.deploy("web", 3, "web:1").await;
    world.until_rolled_out("web").await;
    for replicas in [12, 4, 0, 2] {
        world.change("web", set_replicas(replicas)).await;
        world.until_rolled_out("web").await;
        let running: usize = world.running().await.values().sum();
        assert_eq!(i32::try_from(running), Ok(replicas));
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_image_rolls_out_within_the_bounds_and_rolls_back_to_the_former_set() {
    let world = World::with_hosts(&["h1", "h2"]).await;
    world.deploy("web", 8, "web:1").await;
    world.until_rolled_out("web").await;
    world.change("web", set_image("web:2")).await;
    world
        .until("the rollout is complete and never strays", async |world| {
            let pods = world.pods().await;
            let active: Vec<_> = pods.iter().map(seen).filter(|pod| pod.is_active()).collect();
            let ready = active.iter().filter(|pod| pod.ready_since.is_some()).count();
            let active = active.len();
            assert!(active <= 10, "{active} pods are more than 8 and a quarter");
            assert!(ready >= 6, "{ready} ready pods are less than three quarters of 8");
            let status = world.deployment("web").await.status.unwrap();
            status.updated_replicas == Some(8) && status.replicas == Some(8) && ready == 8
        })
        .await;
    world.until_rolled_out("web").await;
    assert_eq!(revision(&world.deployment("web").await), "2");

    world.change("web", set_image("web:1")).await;
    world
        .until("the former set has the next revision", async |world| {
            revision(&world.deployment("web").await) == "3"
        })
        .await;
    world.until_rolled_out("web").await;
    let sets: Vec<ReplicaSet> = world.storage.typed().list(Some("default")).await.unwrap();
    assert_eq!(sets.len(), 2, "the former set is used again");
    let history: Vec<_> = sets
        .iter()
        .filter_map(|set| {
            set.metadata.annotations.as_ref()?.get("deployment.kubernetes.io/revision-history")
        })
        .collect();
    assert_eq!(history, ["1"]);
}

#[tokio::test(start_paused = true)]
async fn a_broken_image_leaves_the_old_pods_serving_and_undo_recovers() {
    let world = World::with_hosts(&["h1"]).await;
    world.deploy("web", 4, "web:1").await;
    world.until_rolled_out("web").await;
    world.change("web", set_image(BROKEN)).await;
    world
        .until("the broken pods are there", async |world| {
            world.pods().await.iter().filter(|pod| is_broken(pod)).count() == 2
        })
        .await;
    assert_eq!(world.running().await, over_hosts(&[("h1", 3)]));
    world.change("web", set_image("web:1")).await;
    world.until_rolled_out("web").await;
    assert_eq!(world.running().await, over_hosts(&[("h1", 4)]));
    assert!(!world.pods().await.iter().any(is_broken));
}

#[tokio::test(start_paused = true)]
async fn recreate_ends_all_old_pods_before_it_starts_a_new_one() {
    let world = World::with_hosts(&["h1"]).await;
    world.deploy("web", 3, "web:1").await;
    world
        .change("web", |deployment| {
            let strategy = deployment.spec.as_mut().unwrap().strategy.get_or_insert_default();
            strategy.type_ = Some("Recreate".into());
            strategy.rolling_update = None;
        })
        .await;
    world.until_rolled_out("web").await;
    world.change("web", set_image("web:2")).await;
    world
        .until("only new pods are there", async |world| {
            let pods = world.pods().await;
            let images: BTreeSet<_> = pods
                .iter()
                .map(|pod| pod.spec.as_ref().unwrap().containers[0].image.clone())
                .collect();
            assert!(images.len() < 2, "old and new pods were there together");
            pods.len() == 3 && images == [Some("web:2".to_owned())].into()
        })
        .await;
    world.until_rolled_out("web").await;
}

#[tokio::test(start_paused = true)]
async fn a_deleted_pod_is_replaced() {
    let world = World::with_hosts(&["h1"]).await;
    world.deploy("web", 2, "web:1").await;
    world.until_rolled_out("web").await;
    let victim = world.pods().await.swap_remove(0).metadata.name.unwrap();
    let pods = world.storage.typed::<Pod>();
    pods.delete("default", &victim, &DeleteOptions::default()).await.unwrap();
    world
        .until("two pods run and the victim is gone", async |world| {
            world.running().await == over_hosts(&[("h1", 2)])
                && !world.pods().await.iter().any(|pod| pod.metadata.name.as_ref() == Some(&victim))
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_dead_host_is_replaced_at_once_and_leaves_no_duplicates_when_it_heals() {
    let world = World::with_hosts(&["h1", "h2", "h3"]).await;
    world.deploy("web", 6, "web:1").await;
    world.until_rolled_out("web").await;
    let died = tokio::time::Instant::now();
    world.set_alive("h2", false);
    world
        .until("all pods run elsewhere", async |world| {
            world.running().await == over_hosts(&[("h1", 3), ("h3", 3)])
        })
        .await;
    assert!(died.elapsed() < Duration::from_secs(1), "it took {:?}", died.elapsed());
    let mut stuck: Vec<_> = world.pods().await.iter().map(seen).collect();
    stuck.retain(|pod| pod.is_terminating);
    assert!(stuck.len() == 2 && stuck.iter().all(|pod| pod.ready_since.is_none()));
    let h2: Node = world.storage.typed().get("", "h2").await.unwrap().unwrap();
    assert!(!is_ready(&h2));

    world.set_alive("h2", true);
    world
        .until("the host is ready and empty, without taints", async |world| {
            let h2: Node = world.storage.typed().get("", "h2").await.unwrap().unwrap();
            is_ready(&h2)
                && h2.spec.unwrap_or_default().taints.is_none()
                && world.pods().await.len() == 6
        })
        .await;
    assert_eq!(world.running().await, over_hosts(&[("h1", 3), ("h3", 3)]));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_evicted_while_no_other_host_could_take_it() {
    let world = World::with_hosts(&["h1", "h2"]).await;
    world.deploy("web", 4, "web:1").await;
    world.until_rolled_out("web").await;
    world.set_alive("h1", false);
    world.set_alive("h2", false);
    world
        .until("both are marked", async |world| {
            let nodes: Vec<Node> = world.storage.typed().list(None).await.unwrap();
            !nodes.iter().any(is_ready)
        })
        .await;
    world.set_alive("h1", true);
    world.set_alive("h2", true);
    world
        .until("both are ready again", async |world| {
            let nodes: Vec<Node> = world.storage.typed().list(None).await.unwrap();
            nodes.iter().all(is_ready)
                && nodes
                    .iter()
                    .all(|node| node.spec.as_ref().is_none_or(|spec| spec.taints.is_none()))
        })
        .await;
    assert!(!world.pods().await.iter().any(|pod| seen(pod).is_terminating));
}

#[tokio::test(start_paused = true)]
async fn pods_of_a_removed_node_are_forgotten_and_replaced() {
    let world = World::with_hosts(&["h1", "h2"]).await;
    world.deploy("web", 4, "web:1").await;
    world.until_rolled_out("web").await;
    world.set_alive("h2", false);
    let nodes = world.storage.typed::<Node>();
    nodes.delete("", "h2", &DeleteOptions::default()).await.unwrap();
    world
        .until("all pods run on the other host", async |world| {
            world.running().await == over_hosts(&[("h1", 4)]) && world.pods().await.len() == 4
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_fits_nowhere_says_why_and_is_placed_once_it_fits() {
    let world = World::with_hosts(&["h1"]).await;
    let mut web = deployment("web", 1, "web:1");
    let selector = BTreeMap::from([("disk".to_owned(), "ssd".to_owned())]);
    web.spec.as_mut().unwrap().template.spec.as_mut().unwrap().node_selector = Some(selector);
    world.storage.typed().create(&web).await.unwrap();
    let why = "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector.";
    world
        .until("the pod says why it waits", async |world| {
            world.pods().await.iter().any(|pod| seen(pod).refusal.as_deref() == Some(why))
        })
        .await;
    world
        .until("an event says so too", async |world| {
            let events: Vec<Event> = world.storage.typed().list(Some("default")).await.unwrap();
            events.iter().any(|event| {
                event.reason.as_deref() == Some("FailedScheduling")
                    && event.message.as_deref() == Some(why)
            })
        })
        .await;
    let label = |node: &mut Node| {
        let labels = node.metadata.labels.get_or_insert_default();
        labels.insert("disk".into(), "ssd".into());
    };
    world.storage.typed::<Node>().modify("", "h1", label).await.unwrap();
    world.until_rolled_out("web").await;
}

#[tokio::test(start_paused = true)]
async fn what_the_leader_does_is_counted_and_what_waits_ends_with_its_term() {
    let world = World::with_hosts(&["h1"]).await;
    world.deploy("web", 3, "web:1").await;
    world.until_rolled_out("web").await;
    let mut large = deployment("large", 1, "web:1");
    let selector = BTreeMap::from([("disk".to_owned(), "ssd".to_owned())]);
    large.spec.as_mut().unwrap().template.spec.as_mut().unwrap().node_selector = Some(selector);
    world.storage.typed().create(&large).await.unwrap();
    let waits = "scheduler_pending_pods{queue=\"unschedulable\"} 1";
    world.until("a pod waits", async |world| world.scraped().contains(waits)).await;
    let text = world.scraped();
    for line in [
        "scheduler_schedule_attempts_total{result=\"scheduled\",profile=\"default-scheduler\"} 3",
        "scheduler_pod_scheduling_sli_duration_seconds_count 3",
        "scheduler_pending_pods{queue=\"active\"} 0",
        "workqueue_depth{name=\"deployment\"} 0",
        "workqueue_work_duration_seconds_count{name=\"replicaset\"}",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
    world.leader.cancel();
    world.until("nothing waits", async |world| !world.scraped().contains("{queue=")).await;
}

#[tokio::test(start_paused = true)]
async fn deleting_a_deployment_takes_its_sets_and_pods_with_it() {
    for propagation in [None, Some(Propagation::Background), Some(Propagation::Foreground)] {
        let world = World::with_hosts(&["h1"]).await;
        world.deploy("web", 3, "web:1").await;
        world.until_rolled_out("web").await;
        let options = DeleteOptions { propagation, ..DeleteOptions::default() };
        world.storage.typed::<Deployment>().delete("default", "web", &options).await.unwrap();
        world
            .until("nothing is left", async |world| {
                let sets: Vec<ReplicaSet> = world.storage.typed().list(None).await.unwrap();
                let deployments: Vec<Deployment> = world.storage.typed().list(None).await.unwrap();
                sets.is_empty() && deployments.is_empty() && world.pods().await.is_empty()
            })
            .await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_orphaning_deletion_leaves_pods_that_a_new_deployment_adopts() {
    let world = World::with_hosts(&["h1"]).await;
    world.deploy("web", 3, "web:1").await;
    world.until_rolled_out("web").await;
    let names = async || -> BTreeSet<_> {
        world.pods().await.into_iter().filter_map(|pod| pod.metadata.name).collect()
    };
    let before = names().await;
    let options =
        DeleteOptions { propagation: Some(Propagation::Orphan), ..DeleteOptions::default() };
    world.storage.typed::<Deployment>().delete("default", "web", &options).await.unwrap();
    world
        .until("the set has no owner", async |world| {
            let sets: Vec<ReplicaSet> = world.storage.typed().list(None).await.unwrap();
            sets.len() == 1
                && sets[0].metadata.owner_references.as_ref().is_none_or(Vec::is_empty)
                && world
                    .storage
                    .typed::<Deployment>()
                    .get("default", "web")
                    .await
                    .unwrap()
                    .is_none()
        })
        .await;
    world.deploy("web", 3, "web:1").await;
    world.until_rolled_out("web").await;
    assert_eq!(names().await, before);
}

#[tokio::test(start_paused = true)]
async fn a_namespace_ends_with_everything_in_it() {
    let world = World::with_hosts(&["h1"]).await;
    let shop = r#"{"metadata": {"name": "shop"}}"#;
    let shop: Namespace = serde_json::from_str(shop).unwrap();
    world.storage.typed().create(&shop).await.unwrap();
    let mut web = deployment("web", 3, "web:1");
    web.metadata.namespace = Some("shop".into());
    world.storage.typed().create(&web).await.unwrap();
    world
        .until("its pods run", async |world| {
            let pods: Vec<Pod> = world.storage.typed().list(Some("shop")).await.unwrap();
            pods.iter().filter(|pod| seen(pod).ready_since.is_some()).count() == 3
        })
        .await;
    let namespaces = world.storage.typed::<Namespace>();
    namespaces.delete("", "shop", &DeleteOptions::default()).await.unwrap();
    world
        .until("it is gone", async |world| {
            let pods: Vec<Pod> = world.storage.typed().list(Some("shop")).await.unwrap();
            pods.is_empty() && namespaces.get("", "shop").await.unwrap().is_none()
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_new_leader_goes_on_and_the_former_makes_nothing_more() {
    let mut world = World::with_hosts(&["h1", "h2"]).await;
    world.deploy("web", 4, "web:1").await;
    world.leader.cancel();
    world.lead("h2");
    world.until_rolled_out("web").await;
    world.change("web", set_replicas(9)).await;
    world.until_rolled_out("web").await;
    assert_eq!(world.pods().await.len(), 9);
}
