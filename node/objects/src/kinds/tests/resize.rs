//! What a resize changes, and what it refuses.

use super::*;
use crate::{Applier, apply};

fn sized(requests: Value, limits: Value) -> Value {
    json!({"resources": {"requests": requests, "limits": limits}})
}

/// A pod whose container states some of each resource, with a sidecar and an init container.
fn stored() -> Value {
    let container =
        sized(json!({"cpu": "100m", "memory": "64Mi"}), json!({"cpu": "200m", "memory": "64Mi"}));
    let more = json!({"initContainers": [
        {"name": "first", "image": "hello:1", "resources": {"requests": {"cpu": "10m"}}},
        {"name": "side", "image": "hello:1", "restartPolicy": "Always",
            "resources": {"requests": {"cpu": "10m"}}},
    ]});
    create("pods", pod(container, more)).unwrap()
}

fn resize(new: Value, old: &Value) -> Result<Value, StatusError> {
    let pods = kind("pods");
    let new = check(pods, new, FieldValidation::Strict)?.object;
    prepare_update(pods, new, old, Part::Resize, stamp().now, Some("kubectl-patch"))
}

/// The pod with something else at a place of its spec.
fn with(old: &Value, pointer: &str, value: Value) -> Value {
    let mut new = old.clone();
    crate::set_at(&mut new, "/metadata/labels", json!({"a": "b"})).unwrap();
    let (parent, member) = pointer.rsplit_once('/').unwrap();
    new.pointer_mut(parent).unwrap()[member] = value;
    new
}

const RESOURCES: &str = "/spec/containers/0/resources";

#[test]
fn policies_are_not_required_for_each_resource_stated() {
    let old = stored();
    let policy = |name: &str| json!({"resourceName": name, "restartPolicy": "NotRequired"});
    let policies = |pointer: &str| old.pointer(pointer).cloned();
    let of_all = policies("/spec/containers/0/resizePolicy");
    assert_eq!(of_all, Some(json!([policy("cpu"), policy("memory")])));
    assert_eq!(policies("/spec/initContainers/0/resizePolicy"), None);
    assert_eq!(policies("/spec/initContainers/1/resizePolicy"), Some(json!([policy("cpu")])));
    let restarts = json!({"resourceName": "memory", "restartPolicy": "RestartContainer"});
    let mut container = sized(json!({"cpu": "1"}), json!({}));
    container["resizePolicy"] = json!([restarts]);
    let made = create("pods", pod(container, json!({}))).unwrap();
    let expected = json!([restarts, policy("cpu")]);
    assert_eq!(made["spec"]["containers"][0]["resizePolicy"], expected);
}

#[test]
fn broken_policies_are_refused_with_the_field_at_fault() {
    let cases = [
        (
            json!([{"resourceName": "disk", "restartPolicy": "NotRequired"}]),
            "Always",
            "[0].resourceName: Unsupported value: \"disk\"",
        ),
        (
            json!([{"resourceName": "cpu", "restartPolicy": "Maybe"}]),
            "Always",
            "[0].restartPolicy: Unsupported value: \"Maybe\"",
        ),
        (
            json!([{"resourceName": "cpu", "restartPolicy": ""}]),
            "Always",
            "[0].restartPolicy: Required value",
        ),
        (
            json!([{"resourceName": "cpu", "restartPolicy": "RestartContainer"}]),
            "Never",
            "[0].restartPolicy: Invalid value: \"RestartContainer\": must be 'NotRequired'",
        ),
        (
            json!([{"resourceName": "cpu", "restartPolicy": "NotRequired"},
                {"resourceName": "cpu", "restartPolicy": "NotRequired"}]),
            "Always",
            "[1].resourceName: Duplicate value: \"cpu\"",
        ),
    ];
    for (policies, restart, expected) in cases {
        let broken = pod(json!({"resizePolicy": policies}), json!({"restartPolicy": restart}));
        let error = create("pods", broken).unwrap_err();
        let expected = format!("spec.containers[0].resizePolicy{expected}");
        assert!(error.message.contains(&expected), "{error}\n  should contain {expected}");
    }
    let mut first = json!({"name": "first", "image": "hello:1"});
    first["resizePolicy"] = json!([{"resourceName": "cpu", "restartPolicy": "NotRequired"}]);
    let error = create("pods", pod(json!({}), json!({"initContainers": [first]}))).unwrap_err();
    assert!(error.message.contains("must not be set for init containers"), "{error}");
}

#[test]
fn sizes_change_and_nothing_else_is_taken() {
    let old = stored();
    let mut new = with(&old, "/spec/containers/0/resources/requests/cpu", json!("150m"));
    new["spec"]["containers"][0]["resources"]["limits"] = json!({"cpu": "1", "memory": "1Gi"});
    new["spec"]["initContainers"][1]["resources"]["requests"]["memory"] = json!("1Mi");
    let mut expected = old.clone();
    expected["metadata"]["generation"] = json!(2);
    expected["spec"]["containers"][0]["resources"] =
        new["spec"]["containers"][0]["resources"].clone();
    let side = &mut expected["spec"]["initContainers"][1];
    side["resources"]["requests"]["memory"] = json!("1Mi");
    let policy = json!({"resourceName": "memory", "restartPolicy": "NotRequired"});
    side["resizePolicy"].as_array_mut().unwrap().push(policy);
    new["spec"]["containers"][0]["image"] = json!("other:1");
    new["spec"]["nodeName"] = json!("elsewhere");
    new["status"]["phase"] = json!("Running");
    assert_eq!(resize(new, &old).unwrap(), expected);
    assert_eq!(resize(old.clone(), &old).unwrap(), old);
}

#[test]
fn what_a_resize_may_not_do_is_named() {
    let old = stored();
    let policy = json!([{"resourceName": "cpu", "restartPolicy": "RestartContainer"},
        {"resourceName": "memory", "restartPolicy": "NotRequired"}]);
    let two = json!([old["spec"]["containers"][0], {"name": "more", "image": "hello:1"}]);
    let at = "spec.containers[0].resources";
    let cases = [
        (
            "containers/0/resources/requests/ephemeral-storage",
            json!("1Gi"),
            "spec: Forbidden: only cpu and memory resources are mutable".to_owned(),
        ),
        (
            "initContainers/1/resources/requests",
            json!({}),
            "spec.initContainers[1].resources.requests: Forbidden: resource requests cannot be removed".to_owned(),
        ),
        (
            "containers/0/resources/limits",
            json!({"cpu": "200m"}),
            format!("{at}.limits: Forbidden: resource limits cannot be removed"),
        ),
        (
            "containers/0/resources/requests/cpu",
            json!("1"),
            format!("{at}.requests: Invalid value: \"1\": must be less than or equal to cpu limit"),
        ),
        (
            "containers/0/resources/limits/memory",
            json!("32Mi"),
            format!("{at}.limits[memory]: Forbidden: memory limits cannot be decreased unless resizePolicy is RestartContainer"),
        ),
        ("containers/0/resizePolicy", policy, "spec: Forbidden: only cpu and memory".to_owned()),
        (
            "containers/0/name",
            json!("other"),
            "spec.containers[0].name: Forbidden: containers may not be renamed or reordered"
                .to_owned(),
        ),
        (
            "containers",
            two,
            "spec.containers: Forbidden: containers may not be added or removed".to_owned(),
        ),
        (
            "initContainers/0/resources/requests/cpu",
            json!("20m"),
            "spec: Forbidden: resources for non-sidecar init containers are immutable".to_owned(),
        ),
        (
            "initContainers/1/resources/requests/ephemeral-storage",
            json!("1Gi"),
            "spec: Forbidden: only cpu and memory resources for sidecar containers are mutable"
                .to_owned(),
        ),
    ];
    for (place, value, expected) in cases {
        let error = match resize(with(&old, &format!("/spec/{place}"), value), &old) {
            Err(error) => error,
            Ok(taken) => panic!("{place} is taken: {taken}"),
        };
        assert!(error.message.contains(&expected), "{error}\n  should contain {expected}");
        assert_eq!(error.code, 422);
    }
}

#[test]
fn the_class_of_a_pod_stays() {
    let fixed = json!({"cpu": "100m", "memory": "64Mi"});
    let guaranteed = create("pods", pod(sized(fixed.clone(), fixed), json!({}))).unwrap();
    let free = create("pods", pod(json!({}), json!({}))).unwrap();
    let rule = "Pod QOS Class may not change as a result of resizing";
    for (old, place, value) in [
        (&guaranteed, "/limits/cpu", json!("1")),
        (&free, "", json!({"requests": {"cpu": "100m"}})),
    ] {
        let error = resize(with(old, &format!("{RESOURCES}{place}"), value), old).unwrap_err();
        let class = "spec: Invalid value: \"Burstable\": ";
        assert!(error.message.contains(&format!("{class}{rule}")), "{error}");
    }
    let larger = json!({"cpu": "1", "memory": "64Mi"});
    let larger = json!({"requests": larger, "limits": larger});
    let new = resize(with(&guaranteed, RESOURCES, larger), &guaranteed).unwrap();
    assert_eq!(new["status"]["qosClass"], "Guaranteed");
}

#[test]
fn a_container_that_restarts_for_its_memory_may_have_less_of_it() {
    let mut container = sized(json!({"memory": "64Mi"}), json!({"memory": "64Mi"}));
    container["resizePolicy"] =
        json!([{"resourceName": "memory", "restartPolicy": "RestartContainer"}]);
    let old = create("pods", pod(container, json!({}))).unwrap();
    let less = json!({"requests": {"memory": "32Mi"}, "limits": {"memory": "32Mi"}});
    assert!(resize(with(&old, RESOURCES, less), &old).is_ok());

    let unlimited = create("pods", pod(sized(json!({"memory": "1Mi"}), json!({})), json!({})));
    let unlimited = unlimited.unwrap();
    let limited = with(&unlimited, "/spec/containers/0/resources/limits", json!({"memory": "1Gi"}));
    let error = resize(limited, &unlimited).unwrap_err();
    assert!(error.message.contains("memory limits cannot be added unless"), "{error}");
}

#[test]
fn ordinary_updates_leave_sizes_alone_and_pods_without_policies_can_be_updated() {
    let old = stored();
    let grown = with(&old, "/spec/containers/0/resources/limits/cpu", json!("1"));
    let error = update("pods", grown, &old).unwrap_err();
    assert!(error.message.contains("pod updates may not change fields other than"), "{error}");
    let mut early = old.clone();
    crate::lifecycle::remove(&mut early["spec"]["containers"][0], "resizePolicy");
    let labelled = with(&early, "/metadata/labels", json!({"c": "d"}));
    assert_eq!(update("pods", labelled, &early).unwrap()["metadata"]["labels"]["c"], "d");
}

#[test]
fn no_other_kind_is_resized() {
    let old = create("deployments.apps", deployment()).unwrap();
    let refused = prepare_update(
        kind("deployments.apps"),
        old.clone(),
        &old,
        Part::Resize,
        stamp().now,
        None,
    );
    assert_eq!(refused.unwrap_err().code, 404);
}

#[test]
fn who_applies_sizes_owns_them_under_their_subresource() {
    let (pods, part, old) = (kind("pods"), Part::Resize, stored());
    let by = Applier { manager: "me", force: true, now: stamp().now };
    let wish = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "labels": {"a": "b"}},
        "spec": {"nodeName": "elsewhere", "containers": [
            {"name": "web", "image": "other:1", "resources": {"limits": {"cpu": "1"}}},
        ]},
    });
    let applied = apply(pods, &old, &wish, part, &by).unwrap();
    let new = prepare_update(pods, applied, &old, part, by.now, None).unwrap();
    assert_eq!(new["metadata"].get("labels"), None);
    assert_eq!(new["spec"]["containers"][0]["image"], "hello:1");
    assert_eq!(new["spec"]["containers"][0]["resources"]["limits"]["cpu"], "1");
    let entries = new["metadata"]["managedFields"].as_array().unwrap();
    let own = entries.iter().find(|entry| entry["manager"] == "me").unwrap();
    assert_eq!(own["subresource"], "resize");
}
