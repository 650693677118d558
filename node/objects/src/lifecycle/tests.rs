//! What the server stamps, keeps and refuses, whatever the kind.

use serde_json::{Value, json};

use super::*;
use crate::registry;

const CREATED: &str = "2026-01-01T00:00:00Z";

fn kind(resource: &str) -> &'static Kind {
    registry().by_store_resource(resource).unwrap()
}

fn stamp() -> Stamp {
    Stamp {
        now: CREATED.parse().unwrap(),
        uid: uuid::Uuid::from_u128(7),
        suffix: "abcde".to_owned(),
    }
}

fn config_map(metadata: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})
}

fn create(metadata: Value) -> Result<Value, StatusError> {
    prepare_create(kind("configmaps"), config_map(metadata), "default", &stamp(), Some("any"))
}

fn bound_pod(grace: Value) -> Value {
    json!({"metadata": {"name": "p", "generation": 1}, "status": {"phase": "Running"},
        "spec": {"nodeName": "h1", "terminationGracePeriodSeconds": grace}})
}

fn delete_pod(pod: &Value, grace: Option<u64>) -> DeletePlan {
    begin_delete(kind("pods"), pod, grace, None, stamp().now)
}

#[test]
fn a_new_object_is_stamped_by_the_server_alone() {
    let object = create(json!({"name": "a", "uid": "mine", "generation": 9,
        "creationTimestamp": "1999-01-01T00:00:00Z", "deletionTimestamp": CREATED}));
    assert_eq!(
        object.unwrap()["metadata"],
        json!({"name": "a", "namespace": "default", "creationTimestamp": CREATED,
            "uid": "00000000-0000-0000-0000-000000000007"})
    );
}

#[test]
fn names_are_generated_within_their_limit() {
    let generated = create(json!({"generateName": "web-"})).unwrap();
    assert_eq!(generated["metadata"]["name"], "web-abcde");
    let long = create(json!({"generateName": "x".repeat(80)})).unwrap();
    assert_eq!(long["metadata"]["name"].as_str().unwrap().len(), 63);
}

#[test]
fn objects_that_contradict_the_request_are_refused() {
    for (metadata, code, sentence) in [
        (json!({}), 422, "metadata.name: Required value: name or generateName is required"),
        (json!({"name": "a", "namespace": "other"}), 400, "does not match the namespace"),
        (json!({"name": "a", "resourceVersion": "1"}), 400, "resourceVersion should not be set"),
        (
            json!({"name": "a", "labels": {"a b": "c"}}),
            422,
            "metadata.labels: Invalid value: \"a b\"",
        ),
        (json!({"name": "a", "labels": {"a": "-"}}), 422, "metadata.labels: Invalid value: \"-\""),
        (json!({"name": "a", "annotations": {"/x": "c"}}), 422, "prefix part must be non-empty"),
        (json!({"name": "a", "ownerReferences": [{"kind": "Pod"}]}), 422, "ownerReferences[0].uid"),
        (json!({"name": "a", "finalizers": ["a b"]}), 422, "metadata.finalizers[0]: Invalid value"),
        (json!("text"), 400, "is not a map"),
    ] {
        let error = create(metadata).unwrap_err();
        assert_eq!(error.code, code, "{error}");
        assert!(error.message.contains(sentence), "{error}\n  should contain {sentence}");
    }
}

#[test]
fn an_update_keeps_what_the_server_wrote_and_refuses_another_object() {
    let old = create(json!({"name": "a"})).unwrap();
    let update = |metadata: Value| {
        prepare_update(
            kind("configmaps"),
            config_map(metadata),
            &old,
            Part::Main,
            stamp().now,
            None,
        )
    };
    let new = update(json!({"name": "a", "labels": {"x": "y"}, "resourceVersion": "4"})).unwrap();
    let mut expected = old["metadata"].clone();
    expected["labels"] = json!({"x": "y"});
    assert_eq!(new["metadata"], expected);
    assert_eq!(update(json!({"name": "b"})).unwrap_err().code, 400);
    assert_eq!(update(json!({"uid": "other"})).unwrap_err().reason, crate::Reason::Conflict);
}

#[test]
fn each_part_touches_only_itself() {
    let kind = kind("deployments.apps");
    let template = json!({"metadata": {"labels": {"a": "b"}},
        "spec": {"containers": [{"name": "c", "image": "i"}]}});
    let spec = json!({"selector": {"matchLabels": {"a": "b"}}, "template": template});
    let object = json!({"metadata": {"name": "d"}, "spec": spec, "status": {"replicas": 9}});
    let old = prepare_create(kind, object, "default", &stamp(), Some("any")).unwrap();
    assert_eq!(old.get("status"), None);
    let mut new = old.clone();
    new["spec"]["replicas"] = json!(3);
    new["spec"]["minReadySeconds"] = json!(5);
    new["status"] = json!({"replicas": 2});
    let update = |part| prepare_update(kind, new.clone(), &old, part, stamp().now, None).unwrap();

    let main = update(Part::Main);
    assert_eq!((&main["spec"]["minReadySeconds"], main.get("status")), (&json!(5), None));
    assert_eq!(main["metadata"]["generation"], 2);
    let status = update(Part::Status);
    assert_eq!((&status["spec"], &status["status"]["replicas"]), (&old["spec"], &json!(2)));
    assert_eq!(status["metadata"]["generation"], 1);
    let scale = update(Part::Scale);
    assert_eq!(scale["spec"]["replicas"], 3);
    assert_eq!(scale["spec"].get("minReadySeconds"), None);
}

#[test]
fn a_bound_pod_ends_gracefully_and_sooner_when_asked_again() {
    let DeletePlan::Update(marked) = delete_pod(&bound_pod(json!(20)), None) else {
        panic!("a bound pod stays until its host has ended it");
    };
    assert_eq!(marked["metadata"]["deletionTimestamp"], "2026-01-01T00:00:20Z");
    assert_eq!(marked["metadata"]["deletionGracePeriodSeconds"], 20);
    assert_eq!(marked["metadata"]["generation"], 2);
    assert!(!deletion_complete(kind("pods"), &marked));

    assert_eq!(delete_pod(&marked, Some(60)), DeletePlan::Update(marked.clone()));
    let DeletePlan::Update(sooner) = delete_pod(&marked, Some(5)) else {
        panic!("a shorter grace shortens the end");
    };
    assert_eq!(sooner["metadata"]["deletionGracePeriodSeconds"], 5);
    assert_eq!(sooner["metadata"]["generation"], 2);
    assert_eq!(delete_pod(&marked, Some(0)), DeletePlan::Remove);
}

#[test]
fn pods_that_nothing_runs_go_at_once() {
    let unbound = json!({"metadata": {"name": "p"}, "spec": {}});
    let mut over = bound_pod(json!(30));
    over["status"]["phase"] = json!("Succeeded");
    for pod in [unbound, over] {
        assert_eq!(delete_pod(&pod, Some(30)), DeletePlan::Remove);
    }
}

#[test]
fn finalizers_hold_an_object_and_none_may_be_added_then() {
    let kind = kind("configmaps");
    let old = create(json!({"name": "a", "finalizers": ["x.dev/hold"]})).unwrap();
    let plan = begin_delete(kind, &old, None, None, stamp().now);
    let DeletePlan::Update(marked) = plan else { panic!("a finalizer holds the object") };
    assert_eq!(marked["metadata"]["deletionTimestamp"], CREATED);
    let with = |finalizers: Value| {
        let mut new = marked.clone();
        new["metadata"]["finalizers"] = finalizers;
        prepare_update(kind, new, &marked, Part::Main, stamp().now, None)
    };
    let error = with(json!(["x.dev/hold", "x.dev/more"])).unwrap_err();
    assert!(error.message.contains("no new finalizers can be added"), "{error}");
    assert!(deletion_complete(kind, &with(json!([])).unwrap()));
}

#[test]
fn propagation_becomes_a_finalizer() {
    let kind = kind("replicasets.apps");
    let object = json!({"metadata": {"name": "r"}});
    let plan = |propagation| begin_delete(kind, &object, None, propagation, stamp().now);
    assert_eq!(plan(None), DeletePlan::Remove);
    assert_eq!(plan(Some(Propagation::Background)), DeletePlan::Remove);
    for (propagation, finalizer) in
        [(Propagation::Foreground, "foregroundDeletion"), (Propagation::Orphan, "orphan")]
    {
        let DeletePlan::Update(held) = plan(Some(propagation)) else {
            panic!("{finalizer} holds the object");
        };
        assert_eq!(held["metadata"]["finalizers"], json!([finalizer]));
    }
}

#[test]
fn a_namespace_terminates_until_its_content_is_gone() {
    let kind = kind("namespaces");
    let object = json!({"metadata": {"name": "n"}});
    let old = prepare_create(kind, object, "", &stamp(), Some("any")).unwrap();
    let plan = begin_delete(kind, &old, None, None, stamp().now);
    let DeletePlan::Update(marked) = plan else { panic!("its finalizer holds a namespace") };
    assert_eq!(marked["status"]["phase"], "Terminating");
    let mut empty = marked.clone();
    empty["spec"]["finalizers"] = json!([]);
    let emptied = prepare_update(kind, empty, &marked, Part::Main, stamp().now, None).unwrap();
    assert!(deletion_complete(kind, &emptied));
}

#[test]
fn members_are_set_where_there_is_a_place_for_them() {
    let cases = [
        (json!({}), Ok(json!({"spec": {"size": 1}}))),
        (json!({"spec": {"size": 5, "x": 2}}), Ok(json!({"spec": {"size": 1, "x": 2}}))),
        (json!({"spec": "text"}), Err(400)),
        (json!({"spec": [1]}), Err(400)),
    ];
    for (object, expected) in cases {
        let mut changed = object.clone();
        let set = set_at(&mut changed, "/spec/size", json!(1));
        assert_eq!(set.map(|()| changed).map_err(|error| error.code), expected, "{object}");
    }
}
