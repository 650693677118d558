//! Patches do what Kubernetes documents, and never more.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::kind::Kind;
use crate::registry;

fn deployment() -> &'static Kind {
    registry().by_resource("apps", "v1", "deployments").unwrap()
}

fn pod() -> &'static Kind {
    registry().by_resource("", "v1", "pods").unwrap()
}

fn strategic(object: Value, patch: Value) -> Value {
    strategic_merge_patch(pod(), &object, &patch).unwrap()
}

#[test]
fn containers_merge_by_name() {
    let object = json!({"spec": {"containers": [
        {"name": "a", "image": "one"}, {"name": "b", "image": "two"}]}});
    let patch = json!({"spec": {"containers": [{"name": "b", "image": "three"}, {"name": "c"}]}});
    assert_eq!(
        strategic(object, patch),
        json!({"spec": {"containers": [
            {"name": "a", "image": "one"}, {"name": "b", "image": "three"}, {"name": "c"}]}})
    );
}

#[test]
fn a_template_inside_a_deployment_merges_like_a_pod() {
    let object = json!({"spec": {"template": {"spec": {"containers": [
        {"name": "a", "env": [{"name": "X", "value": "1"}], "args": ["old"]}]}}}});
    let patch = json!({"spec": {"template": {"spec": {"containers": [
        {"name": "a", "env": [{"name": "Y", "value": "2"}], "args": ["new"]}]}}}});
    let patched = strategic_merge_patch(deployment(), &object, &patch).unwrap();
    let container = &patched["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(container["env"], json!([{"name": "X", "value": "1"}, {"name": "Y", "value": "2"}]));
    assert_eq!(container["args"], json!(["new"]));
}

#[test]
fn delete_and_replace_directives_are_carried_out() {
    let object = json!({"spec": {"containers": [{"name": "a"}, {"name": "b"}],
        "nodeSelector": {"x": "1"}}});
    let patch = json!({"spec": {"containers": [{"name": "a", "$patch": "delete"}],
        "nodeSelector": {"$patch": "replace", "y": "2"}}});
    assert_eq!(
        strategic(object.clone(), patch),
        json!({"spec": {"containers": [{"name": "b"}], "nodeSelector": {"y": "2"}}})
    );
    let replace = json!({"spec": {"containers": [{"$patch": "replace"}, {"name": "z"}]}});
    assert_eq!(strategic(object, replace)["spec"]["containers"], json!([{"name": "z"}]));
}

#[test]
fn retain_keys_drops_the_other_members_of_a_union() {
    let object =
        json!({"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}});
    let patch = json!({"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}});
    let patched = strategic_merge_patch(deployment(), &object, &patch).unwrap();
    assert_eq!(patched, json!({"spec": {"strategy": {"type": "Recreate"}}}));
}

#[test]
fn element_order_is_kept_with_strangers_in_their_place() {
    let object =
        json!({"spec": {"containers": [{"name": "a"}, {"name": "server"}, {"name": "b"}]}});
    let patch = json!({"spec": {
        "$setElementOrder/containers": [{"name": "new"}, {"name": "a"}, {"name": "b"}],
        "containers": [{"name": "new"}]}});
    let patched = strategic(object, patch);
    let names: Vec<&str> = patched["spec"]["containers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| c["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["new", "a", "server", "b"]);
}

#[test]
fn scalars_leave_primitive_lists_by_directive() {
    let object = json!({"metadata": {"finalizers": ["a", "b"]}});
    let patch =
        json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"], "finalizers": ["c"]}});
    assert_eq!(strategic(object, patch), json!({"metadata": {"finalizers": ["b", "c"]}}));
}

#[test]
fn null_removes_and_atomic_lists_are_replaced() {
    let object = json!({"metadata": {"labels": {"a": "1", "b": "2"}},
        "spec": {"tolerations": [{"key": "x"}]}});
    let patch =
        json!({"metadata": {"labels": {"a": null}}, "spec": {"tolerations": [{"key": "y"}]}});
    assert_eq!(
        strategic(object, patch),
        json!({"metadata": {"labels": {"b": "2"}}, "spec": {"tolerations": [{"key": "y"}]}})
    );
}

#[test]
fn the_selector_of_a_budget_is_replaced_as_a_whole() {
    let budgets = registry().by_resource("policy", "v1", "poddisruptionbudgets").unwrap();
    let selector = |label: &str| json!({"spec": {"selector": {"matchLabels": {label: "x"}}}});
    let patched = strategic_merge_patch(budgets, &selector("old"), &selector("new")).unwrap();
    assert_eq!(patched, selector("new"));
}

#[test]
fn an_item_without_its_merge_key_is_refused() {
    let object = json!({"spec": {"containers": [{"name": "a"}]}});
    let patch = json!({"spec": {"containers": [{"image": "x"}]}});
    let error = strategic_merge_patch(pod(), &object, &patch).unwrap_err();
    assert_eq!(error.code, 400);
    assert!(error.message.contains("does not contain declared merge key: name"), "{error}");
}

#[test]
fn a_json_patch_that_does_not_apply_is_unprocessable() {
    let object = json!({"a": 1});
    let failing = json!([{"op": "test", "path": "/a", "value": 2}]);
    assert_eq!(json_patch(&object, &failing).unwrap_err().code, 422);
    assert_eq!(json_patch(&object, &json!({"a": 2})).unwrap_err().code, 400);
    let fine = json!([{"op": "replace", "path": "/a", "value": 2}]);
    assert_eq!(json_patch(&object, &fine).unwrap(), json!({"a": 2}));
}

fn json_value() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        "[a-z$]{0,6}".prop_map(Value::from),
    ];
    let key = prop_oneof![
        Just("metadata".to_owned()),
        Just("spec".to_owned()),
        Just("containers".to_owned()),
        Just("name".to_owned()),
        Just("finalizers".to_owned()),
        Just("$patch".to_owned()),
        Just("$retainKeys".to_owned()),
        Just("$setElementOrder/containers".to_owned()),
        Just("$deleteFromPrimitiveList/finalizers".to_owned()),
        "[a-z]{1,3}",
    ];
    scalar.prop_recursive(5, 40, 5, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map(key.clone(), inner, 0..5)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn an_empty_patch_changes_nothing(object in json_value()) {
        let object = json!({"spec": object});
        prop_assert_eq!(&strategic_merge_patch(pod(), &object, &json!({})).unwrap(), &object);
        prop_assert_eq!(&merge_patch(&object, &json!({})).unwrap(), &object);
        prop_assert_eq!(&json_patch(&object, &json!([])).unwrap(), &object);
    }

    #[test]
    fn garbage_never_panics(object in json_value(), patch in json_value()) {
        let _ = strategic_merge_patch(pod(), &object, &patch);
        let _ = merge_patch(&object, &patch);
        let _ = json_patch(&object, &patch);
    }

    #[test]
    fn a_merge_patch_applied_twice_is_the_same_as_once(object in json_value(), patch in json_value()) {
        if let Ok(once) = merge_patch(&object, &patch) {
            prop_assert_eq!(&merge_patch(&once, &patch).unwrap(), &once);
        }
    }
}

#[test]
fn copies_of_copies_are_not_made_without_end() {
    let copy = |number| json!({"op": "copy", "from": "", "path": format!("/data/{number}")});
    let patch: Value = (0..40).map(copy).collect();
    let object = json!({"metadata": {"name": "a"}, "data": {"x": "y".repeat(1000)}});
    assert_eq!(json_patch(&object, &patch).unwrap_err().code, 413);
    let once = json!([{"op": "copy", "from": "/data/x", "path": "/data/z"}]);
    let patched = json_patch(&object, &once).unwrap();
    assert_eq!(patched["data"]["z"], patched["data"]["x"]);
}

#[test]
fn copies_into_copies_do_not_deepen_an_object_without_end() {
    let mut patch = vec![json!({"op": "add", "path": "/x", "value": {}})];
    let (mut depth, mut path) = (1, "/x".to_owned());
    while depth < 1 << 16 {
        patch.push(json!({"op": "copy", "from": "/x", "path": format!("{path}/x")}));
        (depth, path) = (depth * 2, "/x".repeat(depth * 2));
    }
    let error = json_patch(&json!({}), &Value::Array(patch)).unwrap_err();
    assert!(error.message.contains("levels deep"), "{}", error.message);
}

#[test]
fn what_moves_down_over_and_over_is_bounded_and_what_moves_up_is_not() {
    let object = json!({"a": {"x": "y".repeat(100_000)}, "b": {}});
    let there = json!({"op": "move", "from": "/a", "path": "/b/a"});
    let back = json!({"op": "move", "from": "/b/a", "path": "/a"});
    let rounds = |count| Value::Array(vec![[there.clone(), back.clone()]; count].concat());
    assert_eq!(json_patch(&object, &rounds(10)).unwrap(), object);
    assert_eq!(json_patch(&object, &rounds(100)).unwrap_err().code, 413);
}

#[test]
fn a_member_that_is_not_there_tests_as_null() {
    let object = json!({"metadata": {"name": "a"}});
    let test = |path: &str, value: Value| {
        let add = json!({"op": "add", "path": "/metadata/finalizers", "value": ["x"]});
        json_patch(&object, &json!([{"op": "test", "path": path, "value": value}, add]))
    };
    let patched = test("/metadata/finalizers", Value::Null).unwrap();
    assert_eq!(patched["metadata"]["finalizers"], json!(["x"]));
    assert_eq!(test("/metadata/finalizers", json!([])).unwrap_err().code, 422);
    assert_eq!(test("/metadata/name", Value::Null).unwrap_err().code, 422);
    assert_eq!(test("/spec/replicas", Value::Null).unwrap_err().code, 422);
}
