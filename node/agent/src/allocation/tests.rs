//! Who is given how much, as tables.

use serde_json::{Value, json};

use super::{ledger::Ledger, *};

const GIVEN: Answer = Answer::Given { frees: false };
const FREES: Answer = Answer::Given { frees: true };

fn pod(spec: Value, status: Value) -> Arc<Pod> {
    let pod = json!({"metadata": {"name": "p", "uid": "u"}, "spec": spec, "status": status});
    Arc::new(serde_json::from_value(pod).expect("a pod"))
}

fn sized(name: &str, requests: Value, limits: Value) -> Value {
    json!({"name": name, "resources": {"requests": requests, "limits": limits}})
}

fn amounts(cpu_millis: u64, memory_bytes: u64) -> Amounts {
    Amounts { cpu_millis, memory_bytes }
}

#[test]
fn what_was_given_is_what_the_status_says_and_else_what_is_asked_for() {
    let mut side = sized("side", json!({"cpu": "2"}), json!({}));
    side["restartPolicy"] = json!("Always");
    let spec = json!({
        "initContainers": [side],
        "containers": [
            sized("a", json!({"cpu": "2"}), json!({"cpu": "4"})),
            sized("b", json!({"cpu": "2"}), json!({})),
            sized("c", json!({"cpu": "2"}), json!({})),
        ],
    });
    let status = json!({
        "initContainerStatuses": [{"name": "side", "allocatedResources": {"cpu": "1"},
            "resources": {"requests": {"cpu": "1"}}}],
        "containerStatuses": [
            {"name": "a", "allocatedResources": {"cpu": "1"},
                "resources": {"requests": {"cpu": "1"}, "limits": {"cpu": "3"}}},
            {"name": "b", "resources": {}},
            {"name": "c"},
        ],
    });
    let pod = pod(spec, status);
    let told = Allocation::told(&pod);
    assert_ne!(told, Allocation::asked(&pod));
    let given = told.applied_to(&pod);
    assert_eq!(Allocation::asked(&given), told);
    let expected =
        json!([{"requests": {"cpu": "1"}, "limits": {"cpu": "3"}}, {}, {"requests": {"cpu": "2"}}]);
    let spec = given.spec.as_ref().expect("a spec");
    let found: Vec<Value> = spec
        .containers
        .iter()
        .map(|container| serde_json::to_value(&container.resources).expect("json"))
        .collect();
    assert_eq!(Value::from(found), expected);
    assert_eq!(Amounts::requested(&given).cpu_millis, 4000);
    assert_eq!(Amounts::requested(&pod).cpu_millis, 8000);
    assert!(Arc::ptr_eq(&Allocation::asked(&pod).applied_to(&pod), &pod));
}

#[test]
fn an_init_container_counts_where_it_needs_more_than_what_runs_later() {
    let spec = |first: &str| {
        json!({
            "overhead": {"cpu": "100m"},
            "initContainers": [
                {"name": "side", "restartPolicy": "Always", "resources": {"requests": {"cpu": "1"}}},
                sized("first", json!({"cpu": first}), json!({})),
            ],
            "containers": [sized("a", json!({"cpu": "2", "memory": "1Ki"}), json!({}))],
        })
    };
    for (first, cpu_millis) in [("1", 3100), ("5", 6100)] {
        let pod = pod(spec(first), json!({}));
        assert_eq!(Amounts::requested(&pod), amounts(cpu_millis, 1024));
    }
}

#[test]
fn more_is_given_where_there_is_room() {
    let mut ledger = Ledger::default();
    assert!(ledger.set_allocatable(amounts(4000, 1000)));
    assert!(!ledger.set_allocatable(amounts(4000, 1000)));
    ledger.hold("other", amounts(1500, 600));
    ledger.hold("p", amounts(1000, 100));
    assert_eq!(ledger.claim("p", amounts(2500, 400)), GIVEN);
    let refused = |ledger: &mut Ledger, wanted| match ledger.claim("p", wanted) {
        Answer::Refused(refusal) => (refusal.shortage, refusal.message),
        answer => panic!("{answer:?}"),
    };
    let expected =
        "Node didn't have enough resource: cpu, requested: 2501, used: 1500, capacity: 4000";
    assert_eq!(refused(&mut ledger, amounts(2501, 400)), (Shortage::Deferred, expected.to_owned()));
    let expected = "Node didn't have enough capacity: cpu, requested: 4001, capacity: 4000";
    assert_eq!(
        refused(&mut ledger, amounts(4001, 401)),
        (Shortage::Infeasible, expected.to_owned()),
        "what can never be comes before what cannot be now"
    );
    assert_eq!(ledger.claim("p", amounts(2000, 400)), FREES);
    assert!(ledger.release("other"));
    assert!(!ledger.release("other"));
    assert_eq!(ledger.claim("p", amounts(4000, 1000)), GIVEN);
}

#[test]
fn what_does_not_grow_has_room_even_on_a_host_that_is_too_full() {
    let mut ledger = Ledger::default();
    ledger.hold("p", amounts(5000, 100));
    assert_eq!(ledger.claim("p", amounts(5000, 50)), FREES);
    assert_eq!(ledger.claim("p", amounts(5001, 50)), Answer::Unknown);
    ledger.set_allocatable(amounts(1000, 1000));
    ledger.hold("other", amounts(1000, 1000));
    assert_eq!(ledger.claim("p", amounts(4000, 50)), FREES);
    assert!(matches!(ledger.claim("p", amounts(4000, 60)), Answer::Refused(_)));
}

#[tokio::test]
async fn who_waits_for_room_hears_of_it() {
    let room = Room::new();
    let mut freed = room.freed();
    room.set_allocatable(amounts(1000, 1000));
    assert!(freed.has_changed().expect("open"));
    freed.borrow_and_update();
    let (first, second) = (room.place("a", amounts(600, 0)), room.place("b", amounts(400, 0)));
    assert!(matches!(second.claim(amounts(500, 0)), Answer::Refused(_)));
    assert!(!freed.has_changed().expect("open"));
    drop(first);
    assert!(freed.has_changed().expect("open"));
    assert_eq!(second.claim(amounts(1000, 0)), GIVEN);
}
