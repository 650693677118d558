//! What the status says of a pod that is resized.

use super::*;
use crate::allocation::{Refusal, Shortage};

fn sized() -> Pod {
    let resources = json!({"requests": {"cpu": "500m", "memory": "32Mi"},
        "limits": {"cpu": "1", "memory": "64Mi"}});
    pod(json!({"restartPolicy": "OnFailure", "containers": [
        {"name": "a", "image": "app:1", "resources": resources}]}))
}

fn with(resources: Resources, state: ContainerState) -> ContainerInfo {
    ContainerInfo { resources, ..made("a", 0, state) }
}

const GIVEN: Resources =
    Resources { cpu_limit_millis: 1000, cpu_request_millis: 500, memory_limit_bytes: 64 << 20 };

/// What the status says of the container: its requests given, and what it has.
fn told(status: &PodStatus) -> (Value, Value) {
    let told = &status.container_statuses.as_ref().expect("statuses")[0];
    (json!(told.allocated_resources), json!(told.resources))
}

fn resizes(status: &PodStatus) -> Vec<(String, Option<String>, Option<String>)> {
    let conditions = status.conditions.iter().flatten();
    conditions
        .filter(|condition| condition.type_.starts_with("PodResize"))
        .map(|one| (one.type_.clone(), one.reason.clone(), one.message.clone()))
        .collect()
}

#[test]
fn a_container_has_what_it_was_given_once_its_runtime_says_so() {
    let pod = sized();
    let requests = json!({"cpu": "500m", "memory": "32Mi"});
    let given = json!({"requests": requests, "limits": {"cpu": "1", "memory": "64Mi"}});
    for info in [with(GIVEN, running()), with(Resources::default(), ContainerState::Created)] {
        let status = fresh(&pod, &[info], &attached(), 2);
        assert_eq!(told(&status), (requests.clone(), given.clone()));
        assert_eq!(resizes(&status), []);
    }
    let behind =
        Resources { cpu_limit_millis: 750, cpu_request_millis: 0, memory_limit_bytes: 1000 };
    let status = fresh(&pod, &[with(behind, running())], &attached(), 2);
    let has = json!({"requests": {"memory": "32Mi"}, "limits": {"cpu": "750m", "memory": "1000"}});
    assert_eq!(told(&status), (requests, has));
    assert_eq!(resizes(&status), [("PodResizeInProgress".into(), None, None)]);
    assert_eq!(told(&fresh(&simple("Always"), &[], &attached(), 2)), (Value::Null, json!({})));
}

#[test]
fn a_failed_update_and_a_shortage_are_told_and_taken_back() {
    let pod = sized();
    let info = with(Resources::default(), running());
    let mut memory = attached();
    let step = Step::Update(info.id.clone());
    memory.failures.insert(step, Failure::next(None, Cause::Resize, "busy".into(), at(1)));
    let message = "not enough".to_owned();
    memory.shortage = Some(Refusal { shortage: Shortage::Deferred, message });
    let status = fresh(&pod, &[info], &memory, 2);
    let told = |type_: &str, reason: &str, message: &str| {
        (type_.to_owned(), Some(reason.to_owned()), Some(message.to_owned()))
    };
    let expected = [
        told("PodResizePending", "Deferred", "not enough"),
        told("PodResizeInProgress", "Error", "busy"),
    ];
    assert_eq!(resizes(&status), expected);

    let mut stored = status.clone();
    let foreign = PodCondition { type_: "theirs".into(), ..PodCondition::default() };
    stored.conditions.get_or_insert_default().push(foreign);
    let settled = fresh(&pod, &[with(GIVEN, running())], &attached(), 3);
    let merged = merge(&stored, settled);
    assert_eq!(resizes(&merged), []);
    assert_eq!(condition(&merged, "theirs").type_, "theirs");
}

#[test]
fn a_pod_whose_container_is_made_anew_runs_however_that_one_ended() {
    let pod = sized();
    let old = with(Resources::default(), exited(0));
    let mut memory = attached();
    memory.renew(&old);
    let new = ContainerInfo { resources: GIVEN, ..made("a", 1, ContainerState::Created) };
    for containers in [vec![old.clone()], vec![old, new]] {
        let status = fresh(&pod, &containers, &memory, 11);
        assert_eq!(status.phase.as_deref(), Some("Running"));
        assert_eq!(
            waiting(&status).map(|(reason, _)| reason).as_deref(),
            Some("ContainerCreating")
        );
        assert_eq!(resizes(&status), [("PodResizeInProgress".into(), None, None)]);
    }
}
