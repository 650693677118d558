//! The plan of a deployment: rollouts step by step, and bounds that hold whatever the order of
//! events.

mod simulation;

use std::fmt::Write;

use k8s_openapi::{
    api::apps::v1::{Deployment, ReplicaSet},
    jiff::{SignedDuration, Timestamp},
};
use serde_json::{Value, json};

use super::plan::{Observed, Plan, Step, plan};
use simulation::Simulation;

fn now() -> Timestamp {
    "2026-01-01T12:00:00Z".parse().unwrap()
}

fn deployment(replicas: i32, image: &str, changes: Value) -> Deployment {
    let mut deployment = json!({
        "metadata": {"name": "web", "namespace": "default", "uid": "web", "generation": 1},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "c", "image": image}]},
            },
        },
    });
    json_patch::merge(&mut deployment, &changes);
    serde_json::from_value(deployment).unwrap()
}

fn planned(deployment: &Deployment, sets: &[ReplicaSet], now: Timestamp) -> Plan {
    let sets: Vec<&ReplicaSet> = sets.iter().collect();
    plan(&Observed { deployment, sets: &sets, pods: &[] }, now)
}

/// A plan in lines a person can compare.
fn told(plan: &Plan) -> String {
    let mut told = String::new();
    for step in &plan.steps {
        let line = match step {
            Step::Make(set) => {
                let replicas = set.spec.as_ref().unwrap().replicas.unwrap();
                format!("make {} with {replicas}", set.metadata.name.as_ref().unwrap())
            }
            Step::Change { set, replicas, before, .. } if replicas == before => {
                format!("annotate {set}")
            }
            Step::Change { set, replicas, before, .. } => {
                format!("scale {set} from {before} to {replicas}")
            }
            Step::Adopt(set) => format!("adopt {set}"),
            Step::Release(set) => format!("release {set}"),
            Step::Delete(set) => format!("delete {set}"),
            Step::NoteRevision(number) => format!("revision {number}"),
        };
        writeln!(told, "{line}").unwrap();
    }
    for condition in plan.status.iter().flat_map(|status| status.conditions.iter().flatten()) {
        let reason = condition.reason.as_deref().unwrap();
        writeln!(told, "{}={} {reason}", condition.type_, condition.status).unwrap();
    }
    told
}

#[test]
fn a_new_deployment_makes_its_set_at_full_size() {
    let plan = planned(&deployment(3, "web:1", json!({})), &[], now());
    insta::assert_snapshot!(told(&plan));
}

#[test]
fn a_rollout_tells_its_steps() {
    let mut simulation = Simulation::settled(deployment(4, "web:1", json!({})));
    simulation.set_image("web:2");
    let mut log = String::new();
    for round in 0..20 {
        let plan = simulation.plan();
        if !plan.steps.is_empty() {
            writeln!(log, "-- {round}\n{}", told(&plan)).unwrap();
        }
        simulation.apply(plan);
        simulation.settle_pods();
    }
    insta::assert_snapshot!(log);
}

#[test]
fn an_undo_scales_the_former_set_up_under_a_new_revision() {
    let mut simulation = Simulation::settled(deployment(2, "web:1", json!({})));
    simulation.set_image("web:2");
    simulation.settle();
    simulation.set_image("web:1");
    insta::assert_snapshot!(told(&simulation.plan()));
    simulation.settle();
    assert_eq!(simulation.sets.len(), 2);
}

#[test]
fn history_beyond_the_limit_is_forgotten_oldest_first() {
    let limit = json!({"spec": {"revisionHistoryLimit": 2}});
    let mut simulation = Simulation::settled(deployment(1, "web:0", limit));
    for version in 1..6 {
        simulation.set_image(&format!("web:{version}"));
        simulation.settle();
    }
    let mut revisions: Vec<i64> = simulation.sets.iter().map(super::revision::of_set).collect();
    revisions.sort_unstable();
    assert_eq!(revisions, [4, 5, 6]);
}

#[test]
fn a_paused_deployment_scales_but_does_not_roll_out() {
    let mut simulation = Simulation::settled(deployment(2, "web:1", json!({})));
    simulation.deployment.spec.as_mut().unwrap().paused = Some(true);
    simulation.set_image("web:2");
    simulation.deployment.spec.as_mut().unwrap().replicas = Some(5);
    simulation.settle();
    assert_eq!(simulation.sets.len(), 1);
    assert_eq!(simulation.sizes(), [5]);
    simulation.deployment.spec.as_mut().unwrap().paused = Some(false);
    simulation.settle();
    assert_eq!(simulation.sizes(), [0, 5]);
}

#[test]
fn scaling_during_a_rollout_is_shared_in_proportion() {
    let mut simulation = Simulation::settled(deployment(10, "web:1", json!({})));
    simulation.set_image("web:2");
    for _ in 0..3 {
        let plan = simulation.plan();
        simulation.apply(plan);
        simulation.observe_pods();
    }
    assert_eq!(simulation.sizes(), [8, 5]);
    simulation.deployment.spec.as_mut().unwrap().replicas = Some(20);
    let plan = simulation.plan();
    simulation.apply(plan);
    assert_eq!(simulation.sizes(), [15, 10]);
}

#[test]
fn a_rollout_without_progress_is_reported_once_the_deadline_passed() {
    let deadline = json!({"spec": {"progressDeadlineSeconds": 30}});
    let mut simulation = Simulation::settled(deployment(1, "web:1", deadline));
    simulation.set_image("web:2");
    for _ in 0..5 {
        let plan = simulation.plan();
        simulation.apply(plan);
        simulation.observe_pods();
    }
    let plan = simulation.plan();
    assert_eq!(plan.recheck, Some(std::time::Duration::from_secs(30)));
    simulation.now += SignedDuration::from_secs(30);
    let plan = simulation.plan();
    insta::assert_snapshot!(told(&plan));
    simulation.apply(plan);
    simulation.settle();
    insta::assert_snapshot!(told(&simulation.plan()));
}

#[test]
fn ownership_is_settled_before_anything_else() {
    let set: ReplicaSet = serde_json::from_value(json!({
        "metadata": {"name": "stray", "namespace": "default", "uid": "s", "labels": {"app": "web"}},
        "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "web"}}},
    }))
    .unwrap();
    let plan = planned(&deployment(1, "web:1", json!({})), &[set], now());
    assert_eq!(plan.steps, [Step::Adopt("stray".into())]);
    assert_eq!(plan.status, None);
}
