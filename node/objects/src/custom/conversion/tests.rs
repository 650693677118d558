use serde_json::{Value, json};

use super::*;
use crate::custom::custom_kinds;
use crate::kinds::definition::DefinitionStrategy;
use crate::lifecycle::Part;
use crate::strategy::Strategy;

const UID: &str = "7";
const TO: &str = "example.com/v2";

/// PEM whose one block holds no more than `a`.
const PEM: &str =
    "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCllRPT0KLS0tLS1FTkQgQ0VSVElGSUNBVEUtLS0tLQo=";

fn definition() -> Value {
    let version = |name: &str, storage: bool, properties: Value| {
        let spec = json!({"type": "object", "properties": properties});
        json!({"name": name, "served": true, "storage": storage, "schema": {"openAPIV3Schema":
            {"type": "object", "properties": {"spec": spec}}}})
    };
    let names = json!({"plural": "widgets", "kind": "Widget"});
    let one = version(
        "v1",
        true,
        json!({"a": {"type": "string"},
        "size": {"type": "integer", "default": 3}}),
    );
    let two = version("v2", false, json!({"b": {"type": "string"}}));
    json!({
        "metadata": {"name": "widgets.example.com", "generation": 1},
        "spec": {"group": "example.com", "scope": "Namespaced", "names": names,
            "versions": [one, two],
            "conversion": {"strategy": "Webhook", "webhook": {
                "clientConfig": {"url": "https://host"}, "conversionReviewVersions": ["v1"]}}},
        "status": {"acceptedNames": names, "storedVersions": ["v1"],
            "conditions": [{"type": "Established", "status": "True"}]},
    })
}

fn conversion() -> Conversion {
    Conversion::compile(&definition()).unwrap()
}

fn widget(version: &str, spec: Value) -> Value {
    json!({"apiVersion": format!("example.com/{version}"), "kind": "Widget", "spec": spec,
        "metadata": {"name": "w", "namespace": "n", "uid": "u", "generation": 4,
            "labels": {"a": "b"}, "annotations": {"c": "d"}}})
}

fn answer(objects: &[Value]) -> Value {
    json!({"apiVersion": API_VERSION, "kind": KIND, "response": {
        "uid": UID, "convertedObjects": objects, "result": {"status": "Success"}}})
}

fn converted(answer: &Value) -> Result<Vec<Value>, String> {
    let sent = [widget("v1", json!({"a": "x"}))];
    let answer = answer.to_string();
    conversion().converted(&sent, UID, TO, answer.as_bytes()).map_err(|error| {
        assert_eq!(error.code, 500);
        error.message
    })
}

#[test]
fn both_versions_know_what_converts_and_only_the_one_stored_is_served_as_it_is() {
    let kinds = custom_kinds(&definition(), 1);
    let known: Vec<(bool, bool)> =
        kinds.iter().map(|kind| (kind.conversion().is_some(), kind.serves_as_stored())).collect();
    assert_eq!(known, [(true, true), (true, false)]);
    assert!(kinds.iter().all(|kind| kind.stored_api_version() == "example.com/v1"));
    let mut none = definition();
    none["spec"]["conversion"] = json!({"strategy": "None"});
    assert!(custom_kinds(&none, 1).iter().all(|kind| kind.conversion().is_none()));
}

#[test]
fn a_review_asks_for_all_objects_at_once() {
    let objects = ["{\"a\":1}", "{\"b\":2}"].map(|text| RawValue::from_string(text.to_owned()));
    let objects = objects.map(Result::unwrap);
    let review: Value =
        serde_json::from_slice(&Conversion::review(UID, TO, &objects).unwrap()).unwrap();
    let request = json!({"uid": UID, "desiredAPIVersion": TO, "objects": [{"a": 1}, {"b": 2}]});
    assert_eq!(review, json!({"apiVersion": API_VERSION, "kind": KIND, "request": request}));
}

#[test]
fn what_is_sent_is_as_its_own_schema_has_it_now() {
    let mut object = widget("v1", json!({"a": "x", "unknown": 1}));
    conversion().complete(&mut object);
    assert_eq!(object["spec"], json!({"a": "x", "size": 3}));
}

#[test]
fn of_the_metadata_only_labels_and_annotations_are_the_webhooks() {
    let mut object = widget("v2", json!({"b": "x", "unknown": 1}));
    let metadata = &mut object["metadata"];
    metadata["labels"] = json!({"a": "new"});
    metadata["annotations"] = Value::Null;
    metadata["generation"] = json!(9);
    metadata["finalizers"] = json!(["mine/own"]);
    let object = converted(&answer(&[object])).unwrap().remove(0);
    assert_eq!(object["spec"], json!({"b": "x"}), "pruned as its version says");
    let metadata = json!({"name": "w", "namespace": "n", "uid": "u", "generation": 4,
        "labels": {"a": "new"}});
    assert_eq!(object["metadata"], metadata);
}

#[test]
fn every_wrong_answer_is_an_error_in_kubernetes_words() {
    let good = || widget("v2", json!({}));
    let with = |pointer: &str, value: Value| {
        let mut object = good();
        *object.pointer_mut(pointer).unwrap() = value;
        answer(&[object])
    };
    let but = |pointer: &str, value: Value| {
        let mut answer = answer(&[good()]);
        *answer.pointer_mut(pointer).unwrap() = value;
        answer
    };
    let cases = [
        (json!([]), "failed: the answer cannot be read: "),
        (
            but("/apiVersion", json!("apiextensions.k8s.io/v2")),
            "failed: expected webhook response of apiextensions.k8s.io/v1, Kind=ConversionReview, \
             got apiextensions.k8s.io/v2, Kind=ConversionReview",
        ),
        (but("/response", Value::Null), "failed: no response provided"),
        (but("/response/uid", json!("8")), "failed: expected response.uid=\"7\", got \"8\""),
        (
            but("/response/result", json!({"status": "Failure", "message": "not today"})),
            "failed: not today",
        ),
        (
            but("/response/result", json!({"status": "Failure"})),
            "failed: response.result.status was 'Failure', not 'Success'",
        ),
        (answer(&[]), "returned 0 objects, expected 1"),
        (answer(&[good(), good()]), "returned 2 objects, expected 1"),
        (but("/response/convertedObjects", Value::Null), "returned 0 objects, expected 1"),
        (
            with("/apiVersion", json!("example.com/v1")),
            "returned invalid converted object at index 0: invalid groupVersion (expected \
             example.com/v2, received example.com/v1)",
        ),
        (
            with("/kind", json!("Gadget")),
            "returned invalid converted object at index 0: invalid kind (expected Widget, received \
             Gadget)",
        ),
        (
            with("/metadata/name", json!("other")),
            "returned invalid converted object at index 0: must have the same name: w != other",
        ),
        (
            with("/metadata/namespace", json!("m")),
            "returned invalid converted object at index 0: must have the same namespace: n != m",
        ),
        (
            with("/metadata/uid", json!("v")),
            "returned invalid converted object at index 0: must have the same UID: u != v",
        ),
        (
            with("/metadata/labels", json!(["a"])),
            "returned invalid metadata in object at index 0: metadata.labels in converted object is \
             not a map",
        ),
        (
            with("/metadata/annotations", json!({"a": 1})),
            "returned invalid metadata in object at index 0: metadata.annotations[a] must be a string",
        ),
        (
            with("/metadata/labels", json!({"a": "-"})),
            "returned invalid metadata in object at index 0: metadata.labels: Invalid value: \"-\"",
        ),
    ];
    for (answer, why) in cases {
        let expected = format!("conversion webhook for example.com/v1, Kind=Widget {why}");
        let message = converted(&answer).unwrap_err();
        assert!(message.starts_with(&expected), "{message}\n{expected}");
    }
}

#[test]
fn an_answer_in_another_order_is_refused() {
    let named = |name: &str, version: &str| {
        let mut object = widget(version, json!({}));
        object["metadata"]["name"] = json!(name);
        object
    };
    let sent = [named("one", "v1"), named("two", "v1")];
    let answer = answer(&[named("two", "v2"), named("one", "v2")]).to_string();
    let refused = conversion().converted(&sent, UID, TO, answer.as_bytes()).unwrap_err();
    assert!(refused.message.ends_with("must have the same name: one != two"), "{refused}");
}

#[test]
fn a_bundle_that_was_good_stays_so() {
    let with = |bundle: &str, established: &str| {
        let mut definition = definition();
        DefinitionStrategy.default(&mut definition);
        definition["spec"]["conversion"]["webhook"]["clientConfig"]["caBundle"] = json!(bundle);
        definition["status"]["conditions"][0]["status"] = json!(established);
        definition
    };
    let faults = |new: &Value, old: &Value| {
        let mut errors = Errors::default();
        let (new, old) = (Field::root(new), Field::root(old));
        DefinitionStrategy.validate_change(Part::Main, &new, &old, &mut errors);
        errors.into_vec().iter().map(|error| error.path.clone()).collect::<Vec<_>>()
    };
    let path = "spec.conversion.webhook.clientConfig.caBundle";
    for (new, old, established, expected) in [
        (PEM, "", "True", &[][..]),
        ("Cg==", PEM, "True", &[path]),
        ("Cg==", "", "True", &[path]),
        ("Cg==", "YQ==", "True", &[]),
        ("Cg==", PEM, "False", &[]),
    ] {
        assert_eq!(
            faults(&with(new, established), &with(old, established)),
            expected,
            "{new} {old}"
        );
    }
}
