//! Containers that are brought to what their pod was given.

use super::*;

fn given(cpu_limit_millis: u64, mebibytes: u64) -> Resources {
    Resources { cpu_limit_millis, cpu_request_millis: 0, memory_limit_bytes: mebibytes << 20 }
}

fn size(resources: Resources) -> Size {
    Size { resources, restarts_for_cpu: false, restarts_for_memory: true }
}

/// A pod whose only container was given this.
fn sized(restart: RestartPolicy, resources: Resources) -> Desired {
    let mut desired = pod(vec![], &["a"], restart);
    desired.main[0].size = Some(size(resources));
    desired
}

fn with(state: ContainerState, resources: Resources) -> Observed {
    let info = ContainerInfo { resources, ..made("a", 0, 0, state) };
    observed(&[sandbox(0, true)], &[info])
}

#[test]
fn a_change_is_made_in_place_unless_a_changed_resource_restarts_its_container() {
    let size = size(given(500, 64));
    for (actual, expected) in [
        (given(500, 64), None),
        (given(200, 64), Some(Change::Update(given(500, 64)))),
        (given(500, 32), Some(Change::Restart)),
        (given(200, 128), Some(Change::Restart)),
        (
            Resources { cpu_request_millis: 100, ..given(500, 64) },
            Some(Change::Update(given(500, 64))),
        ),
    ] {
        assert_eq!(size.change(actual), expected, "{actual:?}");
    }
    let unlimited = Size { resources: given(0, 0), ..size };
    assert_eq!(unlimited.change(given(500, 64)), None, "no limit is lifted while it runs");
    let barely = Resources { cpu_request_millis: 2, ..given(500, 64) };
    assert_eq!(Size { resources: barely, ..size }.change(given(500, 64)), None);
}

#[test]
fn a_container_says_what_restarts_it() {
    let container = serde_json::json!({
        "name": "a",
        "resources": {"requests": {"cpu": "250m"}, "limits": {"cpu": "1", "memory": "64Mi"}},
        "resizePolicy": [
            {"resourceName": "cpu", "restartPolicy": "RestartContainer"},
            {"resourceName": "memory", "restartPolicy": "NotRequired"},
        ],
    });
    let container = serde_json::from_value(container).expect("a container");
    let expected = Size {
        resources: Resources { cpu_request_millis: 250, ..given(1000, 64) },
        restarts_for_cpu: true,
        restarts_for_memory: false,
    };
    assert_eq!(Size::of(&container), Some(expected));
}

#[test]
fn only_a_running_container_is_given_more_and_only_once_at_a_time() {
    let desired = sized(RestartPolicy::Always, given(500, 64));
    let behind = with(RUNNING(), given(200, 64));
    let mut memory = memory(&[]);
    assert_eq!(words(&desired, &behind, &memory, 1), ["update a-0 500"]);
    memory.in_flight.insert(Step::Update(ContainerId("a-0".into())));
    assert_eq!(words(&desired, &behind, &memory, 1), [""; 0]);
    let created = with(ContainerState::Created, given(200, 64));
    assert_eq!(words(&desired, &created, &memory, 1), ["start a"]);
    let there = with(RUNNING(), given(500, 64));
    assert_eq!(
        words(&desired, &there, &Memory { in_flight: Default::default(), ..memory }, 1),
        [""; 0]
    );
}

#[test]
fn a_container_that_ended_to_be_made_anew_is_however_it_ended_and_at_once() {
    let desired = sized(RestartPolicy::OnFailure, given(500, 64));
    let behind = with(RUNNING(), given(500, 32));
    let mut memory = memory(&[("a", 1)]);
    assert_eq!(words(&desired, &behind, &memory, 1), ["stop a-0 30"]);
    memory.renew(&behind.containers[0]);
    let mut ended = with(exited(0, 1), given(500, 32));
    assert_eq!(words(&desired, &ended, &memory, 1), ["create a 1"]);
    assert!(memory.renews(&ended, "a"));
    ended.containers.push(ContainerInfo {
        resources: given(500, 64),
        ..made("a", 1, 0, ContainerState::Created)
    });
    assert!(memory.renews(&ended, "a"), "until it runs");
    assert_eq!(words(&desired, &ended, &memory, 1), ["start a"]);
    ended.containers[1].state = RUNNING();
    assert!(!memory.renews(&ended, "a"));
    ended.containers[1].state = exited(1, 2);
    memory.prepared.insert("a".into(), 2);
    assert_eq!(words(&desired, &ended, &memory, 2), ["create a 2"], "its delays start over");
    ended.containers[1].state = exited(0, 2);
    let finished = words(&desired, &ended, &memory, 2);
    assert!(!finished.contains(&"create a 2".to_owned()), "it has done its work: {finished:?}");
}
