use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::lifecycle::prepare_update;
use crate::registry;

fn kind(resource: &str) -> &'static Kind {
    registry().all().iter().find(|kind| kind.plural == resource).unwrap()
}

fn at(second: u32) -> Timestamp {
    format!("2026-01-01T00:00:{second:02}Z").parse().unwrap()
}

fn by(manager: &str) -> Applier<'_> {
    Applier { manager, force: false, now: at(1) }
}

fn deployments(live: &Value, config: &Value, by: &Applier<'_>) -> Result<Value, StatusError> {
    apply(kind("deployments"), live, config, Part::Main, by)
}

/// A deployment whose containers are these.
fn config(containers: Value) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
        "spec": {"template": {"spec": {"containers": containers}}},
    })
}

fn first(config: &Value, manager: &str) -> Value {
    apply_new(kind("deployments"), config, &by(manager)).unwrap()
}

/// The fields of a manager, as the leaves of its set.
fn fields(object: &Value, manager: &str) -> Vec<String> {
    let entries = object["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
    let entry = entries.iter().find(|entry| entry["manager"] == manager);
    let set = entry.map(|entry| FieldSet::from_fields_v1(&entry["fieldsV1"]).unwrap());
    set.map(|set| set.leaves()).unwrap_or_default()
}

fn containers(object: &Value) -> &Value {
    &object["spec"]["template"]["spec"]["containers"]
}

#[test]
fn what_is_applied_is_noted_as_its_managers() {
    let object = first(&config(json!([{"name": "a", "image": "x:1"}])), "me");
    assert_eq!(
        object["metadata"]["managedFields"],
        json!([{
            "manager": "me", "operation": "Apply", "apiVersion": "apps/v1",
            "time": "2026-01-01T00:00:01Z", "fieldsType": "FieldsV1",
            "fieldsV1": {"f:spec": {"f:template": {"f:spec": {"f:containers": {
                "k:{\"name\":\"a\"}": {".": {}, "f:name": {}, "f:image": {}},
            }}}}},
        }])
    );
}

#[test]
fn what_is_no_longer_applied_goes_with_what_was_filled_in_below() {
    let mut live = first(
        &config(json!([{"name": "a", "image": "x:1"}, {"name": "b", "image": "y:1", "tty": true}])),
        "me",
    );
    live["spec"]["replicas"] = json!(1);
    live["spec"]["template"]["spec"]["containers"][1]["imagePullPolicy"] = json!("Always");
    let less = config(json!([{"name": "b", "image": "y:1"}]));
    let next = deployments(&live, &less, &by("me")).unwrap();
    let wanted = json!([{"name": "b", "image": "y:1", "imagePullPolicy": "Always"}]);
    assert_eq!(containers(&next), &wanted);
    assert_eq!(next["spec"]["replicas"], 1, "nobody applied it, it stays");
    let none = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}});
    let last = deployments(&next, &none, &by("me")).unwrap();
    assert_eq!(last["metadata"]["name"], "web");
    assert_eq!(last["metadata"]["managedFields"], json!([]), "who owns nothing is not noted");
}

#[test]
fn a_field_of_two_managers_stays_until_both_have_left_it() {
    let one = config(json!([{"name": "a", "image": "x:1"}]));
    let live = deployments(&first(&one, "first"), &one, &by("second")).unwrap();
    let none = config(json!([]));
    let live = deployments(&live, &none, &by("first")).unwrap();
    assert_eq!(containers(&live), &json!([{"name": "a", "image": "x:1"}]));
    let live = deployments(&live, &none, &by("second")).unwrap();
    assert!(containers(&live).is_null() || containers(&live) == &json!([]), "{live}");
}

#[test]
fn another_value_for_a_field_of_another_manager_is_a_conflict_that_force_ends() {
    let live = first(&config(json!([{"name": "a", "image": "x:1", "tty": true}])), "first");
    let wish = config(json!([{"name": "a", "image": "x:2", "tty": false}]));
    let error = deployments(&live, &wish, &by("second")).unwrap_err();
    let image = ".spec.template.spec.containers[name=\"a\"].image";
    let tty = ".spec.template.spec.containers[name=\"a\"].tty";
    assert_eq!(
        error.message,
        format!("Apply failed with 2 conflicts: conflicts with \"first\":\n- {image}\n- {tty}")
    );
    assert_eq!((error.code, error.details.causes.len()), (409, 2));
    assert_eq!(error.details.causes[0].reason, "FieldManagerConflict");
    let forced = Applier { force: true, ..by("second") };
    let taken = deployments(&live, &wish, &forced).unwrap();
    assert_eq!(containers(&taken), containers(&wish));
    assert!(!fields(&taken, "first").contains(&image.to_owned()), "{taken}");
    assert!(fields(&taken, "second").contains(&image.to_owned()), "{taken}");
}

#[test]
fn whoever_updates_a_field_owns_it_and_the_applier_no_longer_does() {
    let kind = kind("configmaps");
    let wish =
        json!({"metadata": {"name": "a", "labels": {"l": "1"}}, "data": {"x": "1", "y": "1"}});
    let live = apply_new(kind, &wish, &by("me")).unwrap();
    let mut edited = live.clone();
    edited["data"] = json!({"x": "2", "z": "1"});
    let live = prepare_update(kind, edited, &live, Part::Main, at(2), Some("editor")).unwrap();
    assert_eq!(fields(&live, "editor"), [".data.x", ".data.z"]);
    assert_eq!(fields(&live, "me"), [".metadata.labels.l"], "y is gone, x is the editor's");
    let error = apply(kind, &live, &wish, Part::Main, &by("me")).unwrap_err();
    let wanted = "Apply failed with 1 conflict: conflict with \"editor\" using v1: .data.x";
    assert_eq!(error.message, wanted);
}

#[test]
fn nothing_is_noted_before_the_first_apply_and_then_everything_was_there_before() {
    let kind = kind("configmaps");
    let live = json!({"metadata": {"name": "a"}, "data": {"x": "1"}});
    let mut edited = live.clone();
    edited["data"]["x"] = json!("2");
    let live = prepare_update(kind, edited, &live, Part::Main, at(2), Some("editor")).unwrap();
    assert_eq!(live["metadata"].get("managedFields"), None);
    let wish = json!({"metadata": {"name": "a"}, "data": {"y": "1"}});
    let next = apply(kind, &live, &wish, Part::Main, &by("me")).unwrap();
    assert_eq!(next["data"], json!({"x": "2", "y": "1"}));
    assert_eq!(fields(&next, BEFORE), [".data.x"]);
    assert_eq!(fields(&next, "me"), [".data.y"]);
}

#[test]
fn what_kubectl_has_applied_before_is_its_own() {
    let kind = kind("configmaps");
    let last = json!({"metadata": {"name": "a"}, "data": {"x": "1", "y": "1"}});
    let live = json!({
        "metadata": {"name": "a", "annotations": {LAST_APPLIED: last.to_string()}},
        "data": {"x": "1", "y": "1", "z": "1"},
    });
    let wish = json!({"metadata": {"name": "a"}, "data": {"x": "2"}});
    let next = apply(kind, &live, &wish, Part::Main, &by(KUBECTL)).unwrap();
    assert_eq!(next["data"], json!({"x": "2", "z": "1"}));
    let note = next["metadata"]["annotations"][LAST_APPLIED].as_str().unwrap();
    assert_eq!(serde_json::from_str::<Value>(note).unwrap(), wish);
    let other = apply(kind, &live, &wish, Part::Main, &by("helm")).unwrap_err();
    assert!(other.message.contains("conflict with \"kubectl\": .data.x"), "{}", other.message);
}

#[test]
fn an_applied_status_touches_nothing_else() {
    let kind = kind("deployments");
    let live = json!({"metadata": {"name": "web"}, "spec": {"replicas": 2}});
    let wish = json!({"metadata": {"name": "web", "labels": {"a": "b"}}, "spec": {"replicas": 9},
        "status": {"replicas": 2}});
    let next = apply(kind, &live, &wish, Part::Status, &by("me")).unwrap();
    assert_eq!((&next["spec"]["replicas"], &next["status"]["replicas"]), (&json!(2), &json!(2)));
    assert_eq!(next["metadata"].get("labels"), None);
    let entry = &next["metadata"]["managedFields"][0];
    assert_eq!((&entry["subresource"], &entry["operation"]), (&json!("status"), &json!("Apply")));
}

#[test]
fn lists_take_the_order_of_the_configuration() {
    let named = |names: &[&str]| {
        json!(names.iter().map(|name| json!({"name": name, "image": "x"})).collect::<Vec<_>>())
    };
    let live = first(&config(named(&["a", "b", "c"])), "first");
    let next = deployments(&live, &config(named(&["c", "new", "a"])), &by("second")).unwrap();
    let names: Vec<&str> = containers(&next)
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|one| one["name"].as_str())
        .collect();
    assert_eq!(names, ["b", "c", "new", "a"]);
}

#[test]
fn atomic_lists_and_maps_are_replaced_and_sets_united() {
    let kind = kind("pods");
    let live = json!({"metadata": {"name": "a", "finalizers": ["a/b"]},
        "spec": {"nodeSelector": {"x": "1"}, "tolerations": [{"key": "a"}]}});
    let wish = json!({"metadata": {"name": "a", "finalizers": ["c/d"]},
        "spec": {"nodeSelector": {"y": "1"}, "tolerations": [{"key": "b"}]}});
    let next = apply(kind, &live, &wish, Part::Main, &Applier { force: true, ..by("me") }).unwrap();
    assert_eq!(next["spec"], wish["spec"]);
    assert_eq!(next["metadata"]["finalizers"], json!(["a/b", "c/d"]));
}

#[test]
fn ports_without_a_protocol_are_tcp() {
    let kind = kind("services");
    let live = json!({"metadata": {"name": "a"},
        "spec": {"ports": [{"port": 80, "protocol": "TCP", "nodePort": 30000}]}});
    let wish = json!({"metadata": {"name": "a"}, "spec": {"ports": [{"port": 80, "name": "web"}]}});
    let next = apply(kind, &live, &wish, Part::Main, &by("me")).unwrap();
    let wanted = json!([{"port": 80, "protocol": "TCP", "nodePort": 30000, "name": "web"}]);
    assert_eq!(next["spec"]["ports"], wanted);
}

#[test]
fn broken_configurations_are_refused() {
    let twice = config(json!([{"name": "a"}, {"name": "a"}]));
    let error = apply_new(kind("deployments"), &twice, &by("me")).unwrap_err();
    assert!(error.message.contains(".spec.template.spec.containers: k:"), "{}", error.message);
    let noted = json!({"metadata": {"managedFields": [{}]}});
    assert_eq!(apply_new(kind("pods"), &noted, &by("me")).unwrap_err().code, 400);
}

#[test]
fn notes_are_replaced_and_ended_by_writers_that_say_so() {
    let kind = kind("configmaps");
    let live = apply_new(kind, &json!({"metadata": {"name": "a"}, "data": {"x": "1"}}), &by("me"));
    let live = live.unwrap();
    let written = |notes: Value| {
        let mut new = live.clone();
        new["metadata"]["managedFields"] = notes;
        prepare_update(kind, new, &live, Part::Main, at(2), Some("w")).unwrap()["metadata"]
            ["managedFields"]
            .clone()
    };
    assert_eq!(written(json!([])), Value::Null);
    assert_eq!(written(json!([{}])), Value::Null);
    let notes = json!([{"manager": "other", "operation": "Apply", "apiVersion": "v1",
        "time": "2026-01-01T00:00:00Z", "fieldsType": "FieldsV1",
        "fieldsV1": {"f:data": {"f:x": {}}}}]);
    assert_eq!(written(notes.clone()), notes);
    assert_eq!(written(json!([{"operation": "?"}])), live["metadata"]["managedFields"]);
}

#[test]
fn old_updaters_become_one() {
    let kind = kind("configmaps");
    let mut live = apply_new(kind, &json!({"metadata": {"name": "a"}}), &by("me")).unwrap();
    live["metadata"]["managedFields"] = json!([{"manager": "me", "operation": "Apply",
        "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": {"f:data": {"f:x": {}}}}]);
    for second in 1..20 {
        let mut new = live.clone();
        new["data"][format!("k{second}")] = json!("1");
        let manager = format!("w{second}");
        live = prepare_update(kind, new, &live, Part::Main, at(second), Some(&manager)).unwrap();
    }
    assert_eq!(live["metadata"]["managedFields"].as_array().unwrap().len(), 12);
    assert_eq!(fields(&live, "ancient-changes").len(), 9);
}

/// Data of a config map over few keys, so that configurations overlap.
fn data() -> impl Strategy<Value = Value> {
    let map = prop::collection::btree_map("[a-d]", "[12]", 0..4);
    map.prop_map(|data| json!({"metadata": {"name": "a"}, "data": data}))
}

proptest! {
    #[test]
    fn applying_is_idempotent_and_says_what_holds(live in data(), one in data(), other in data()) {
        let kind = kind("configmaps");
        let forced = |manager| Applier { force: true, ..by(manager) };
        let live = apply(kind, &live, &one, Part::Main, &forced("one")).unwrap();
        let live = apply(kind, &live, &other, Part::Main, &forced("other")).unwrap();
        for (key, value) in other["data"].as_object().unwrap() {
            prop_assert_eq!(&live["data"][key], value);
        }
        let later = Applier { now: at(9), ..forced("other") };
        prop_assert_eq!(&apply(kind, &live, &other, Part::Main, &later).unwrap(), &live);
        // Every field has an owner, and no owner a field that is not there.
        let all = Managers::read(&live["metadata"]["managedFields"]).unwrap();
        let data = |fields: FieldSet| fields.leaves().into_iter().filter(|path| path != ".data");
        let (owned, there) = (data(all.owned()), data(owned_fields(kind, &live)));
        prop_assert_eq!(owned.collect::<Vec<_>>(), there.collect::<Vec<_>>());
    }
}
