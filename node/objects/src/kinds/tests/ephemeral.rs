//! Ephemeral containers: how they come to a pod, and that they stay as they are.

use super::*;
use crate::{Applier, apply};

/// A pod with an init container and a volume, and its only container.
fn stored() -> Value {
    let more = json!({
        "initContainers": [{"name": "first", "image": "hello:1"}],
        "volumes": [{"name": "v", "emptyDir": {}}],
    });
    create("pods", pod(json!({}), more)).unwrap()
}

/// Puts a pod to its ephemeral containers, as the API does.
fn put(new: Value, old: &Value) -> Result<Value, StatusError> {
    let pods = kind("pods");
    let new = check(pods, new, FieldValidation::Strict)?.object;
    prepare_update(pods, new, old, Part::EphemeralContainers, stamp().now, Some("kubectl-debug"))
}

fn with(old: &Value, containers: Value) -> Value {
    let mut new = old.clone();
    new["spec"]["ephemeralContainers"] = containers;
    new
}

fn debugged() -> Value {
    let shell = json!({"name": "shell", "image": "busybox", "targetContainerName": "web"});
    put(with(&stored(), json!([shell])), &stored()).unwrap()
}

#[test]
fn they_get_defaults_and_nothing_else_is_taken() {
    let old = stored();
    let mut new = with(&old, json!([{"name": "shell", "image": "busybox", "stdin": true}]));
    new["metadata"]["labels"] = json!({"a": "b"});
    new["metadata"]["annotations"] = json!({"a": "b"});
    new["metadata"]["finalizers"] = json!(["a/b"]);
    new["spec"]["containers"][0]["image"] = json!("other:1");
    new["spec"]["nodeName"] = json!("elsewhere");
    new["status"]["phase"] = json!("Running");
    let mut expected = old.clone();
    expected["metadata"]["generation"] = json!(2);
    expected["spec"]["ephemeralContainers"] = json!([{
        "name": "shell", "image": "busybox", "stdin": true, "imagePullPolicy": "Always",
        "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File",
        "resources": {},
    }]);
    assert_eq!(put(new, &old).unwrap(), expected);
}

#[test]
fn more_may_come_but_none_may_go_or_change() {
    let old = debugged();
    assert_eq!(put(old.clone(), &old).unwrap(), old);
    let known = &old["spec"]["ephemeralContainers"][0];
    let next = json!({"name": "second", "image": "busybox", "targetContainerName": "first"});
    let more = put(with(&old, json!([next, known])), &old).unwrap();
    assert_eq!(more["metadata"]["generation"], 3);

    let mut other = known.clone();
    other["image"] = json!("alpine");
    let list = "spec.ephemeralContainers: Forbidden: existing ephemeral containers";
    for (containers, verb) in
        [(json!([]), "removed"), (Value::Null, "removed"), (json!([other]), "changed")]
    {
        let error = put(with(&old, containers), &old).unwrap_err();
        let expected = format!("{list} \"shell\" may not be {verb}");
        assert!(error.message.ends_with(&expected), "{error}");
        assert_eq!(error.code, 422);
    }
}

#[test]
fn broken_ones_are_refused_with_the_field_at_fault() {
    let shell = |more: Value| {
        let mut shell = json!({"name": "shell", "image": "busybox"});
        shell.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        shell
    };
    let probe = json!({"tcpSocket": {"port": 1}});
    let limit = json!({"limits": {"cpu": "1"}});
    let mount = |part: &str| json!({"volumeMounts": [{"name": "v", "mountPath": "/v", part: "x"}]});
    let forbidden = "Forbidden: cannot be set for an Ephemeral Container";
    let cases = [
        (json!({"image": ""}), "image: Required value"),
        (json!({"name": ""}), "name: Required value"),
        (json!({"name": "web"}), "name: Duplicate value: \"web\""),
        (json!({"name": "first"}), "name: Duplicate value: \"first\""),
        (json!({"targetContainerName": "none"}), "targetContainerName: Not found: \"none\""),
        (json!({"targetContainerName": "shell"}), "targetContainerName: Not found: \"shell\""),
        (json!({"ports": [{"containerPort": 1}]}), &format!("ports: {forbidden}")),
        (json!({"livenessProbe": probe}), &format!("livenessProbe: {forbidden}")),
        (json!({"readinessProbe": probe}), &format!("readinessProbe: {forbidden}")),
        (json!({"startupProbe": probe}), &format!("startupProbe: {forbidden}")),
        (json!({"lifecycle": {"preStop": probe}}), &format!("lifecycle: {forbidden}")),
        (json!({"resources": limit}), &format!("resources: {forbidden}")),
        (json!({"restartPolicy": "Always"}), &format!("restartPolicy: {forbidden}")),
        (
            json!({"resizePolicy": [{"resourceName": "cpu", "restartPolicy": "NotRequired"}]}),
            &format!("resizePolicy: {forbidden}"),
        ),
        (mount("subPath"), &format!("volumeMounts[0].subPath: {forbidden}")),
        (mount("subPathExpr"), &format!("volumeMounts[0].subPathExpr: {forbidden}")),
        (
            json!({"volumeMounts": [{"name": "none", "mountPath": "/v"}]}),
            "volumeMounts[0].name: Not found: \"none\"",
        ),
    ];
    for (more, expected) in cases {
        let error = put(with(&stored(), json!([shell(more)])), &stored()).unwrap_err();
        let expected = format!("spec.ephemeralContainers[0].{expected}");
        assert!(error.message.contains(&expected), "{error}\n  should contain {expected}");
    }
    let twice = json!([shell(json!({})), shell(json!({}))]);
    let error = put(with(&stored(), twice), &stored()).unwrap_err();
    assert!(error.message.contains("[1].name: Duplicate value: \"shell\""), "{error}");
    let sound = shell(json!({"volumeMounts": [{"name": "v", "mountPath": "/v"}]}));
    put(with(&stored(), json!([sound])), &stored()).unwrap();
}

#[test]
fn they_come_by_no_other_way() {
    let shell = json!([{"name": "shell", "image": "busybox"}]);
    let error = create("pods", pod(json!({}), json!({"ephemeralContainers": shell}))).unwrap_err();
    let expected = "spec.ephemeralContainers: Forbidden: cannot be set on create";
    assert!(error.message.contains(expected), "{error}");

    let mut template = deployment();
    template["spec"]["template"]["spec"]["ephemeralContainers"] = shell.clone();
    let error = create("deployments.apps", template).unwrap_err();
    let expected = "spec.template.spec.ephemeralContainers: Forbidden: ephemeral containers not allowed in pod template";
    assert!(error.message.contains(expected), "{error}");

    for (new, old) in [(with(&stored(), shell), stored()), (stored(), debugged())] {
        let error = update("pods", new, &old).unwrap_err();
        assert!(error.message.contains("spec: Forbidden: pod updates may not change"), "{error}");
    }
    let old = debugged();
    assert_eq!(update("pods", old.clone(), &old).unwrap(), old);
}

#[test]
fn no_other_kind_has_them() {
    let old = create("deployments.apps", deployment()).unwrap();
    let part = Part::EphemeralContainers;
    let refused =
        prepare_update(kind("deployments.apps"), old.clone(), &old, part, stamp().now, None);
    assert_eq!(refused.unwrap_err().code, 404);
}

#[test]
fn who_applies_them_owns_them_under_their_subresource() {
    let pods = kind("pods");
    let (part, old) = (Part::EphemeralContainers, stored());
    let by = Applier { manager: "me", force: false, now: stamp().now };
    let wish = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "labels": {"a": "b"}},
        "spec": {
            "nodeName": "elsewhere",
            "ephemeralContainers": [{"name": "shell", "image": "busybox"}],
        },
    });
    let applied = apply(pods, &old, &wish, part, &by).unwrap();
    let new = prepare_update(pods, applied, &old, part, by.now, None).unwrap();
    assert_eq!(new["metadata"].get("labels"), None);
    assert_eq!(new["spec"].get("nodeName"), None);
    assert_eq!(new["spec"]["ephemeralContainers"][0]["imagePullPolicy"], "Always");
    let entries = new["metadata"]["managedFields"].as_array().unwrap();
    let own = entries.iter().find(|entry| entry["manager"] == "me").unwrap();
    assert_eq!(own["subresource"], "ephemeralcontainers");
    assert_eq!(
        own["fieldsV1"],
        json!({"f:spec": {"f:ephemeralContainers": {
            "k:{\"name\":\"shell\"}": {".": {}, "f:name": {}, "f:image": {}},
        }}})
    );

    let gone = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}});
    let applied = apply(pods, &new, &gone, part, &by).unwrap();
    let error = prepare_update(pods, applied, &new, part, by.now, None).unwrap_err();
    assert!(error.message.contains("\"shell\" may not be removed"), "{error}");

    let second = json!({"name": "second", "image": "busybox"});
    let mut more = new.clone();
    more["spec"]["ephemeralContainers"].as_array_mut().unwrap().push(second);
    more["metadata"]["managedFields"] = json!([]);
    let more = put(more, &new).unwrap();
    let entries = more["metadata"]["managedFields"].as_array().unwrap();
    let named = |name| entries.iter().find(|entry| entry["manager"] == name);
    assert_eq!(named("kubectl-debug").unwrap()["subresource"], "ephemeralcontainers");
    assert_eq!(named("me").unwrap()["subresource"], "ephemeralcontainers");
}
