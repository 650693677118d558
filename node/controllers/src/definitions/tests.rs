use std::sync::Arc;

use k8s_openapi::{
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
    jiff::Timestamp,
};
use serde_json::{Value, json};

use super::plan;

fn now() -> Timestamp {
    "2026-01-01T00:10:00.5Z".parse().unwrap()
}

fn definition(
    plural: &str,
    kind: &str,
    short: &[&str],
    accepted: bool,
) -> CustomResourceDefinition {
    let names = json!({
        "plural": plural, "singular": kind.to_lowercase(), "kind": kind,
        "listKind": format!("{kind}List"), "shortNames": short,
    });
    let status = if accepted { json!({"acceptedNames": names}) } else { json!({}) };
    let definition = json!({
        "metadata": {"name": format!("{plural}.example.com")},
        "spec": {"group": "example.com", "scope": "Namespaced", "names": names, "versions": []},
        "status": status,
    });
    serde_json::from_value(definition).unwrap()
}

fn conditions(status: &plan::Status) -> Vec<Value> {
    let all = status.conditions.iter().flatten();
    all.map(|one| json!([one.type_, one.status, one.reason, one.message])).collect()
}

#[test]
fn free_names_are_accepted_and_establish_the_definition() {
    let one = definition("widgets", "Widget", &["w"], false);
    let other = Arc::new(definition("gadgets", "Gadget", &["g"], true));
    let status = plan::status(&one, &[other], now());
    assert_eq!(status.accepted_names.as_ref(), Some(&one.spec.names));
    assert_eq!(
        conditions(&status),
        [
            json!(["NamesAccepted", "True", "NoConflicts", "no conflicts found"]),
            json!([
                "Established",
                "True",
                "InitialNamesAccepted",
                "the initial names have been accepted"
            ]),
        ]
    );
    let mut again = one;
    again.status = Some(status.clone());
    let later = "2026-01-01T00:20:00Z".parse().unwrap();
    assert_eq!(plan::status(&again, &[], later), status, "nothing changes with time");
}

#[test]
fn names_of_another_definition_are_refused() {
    let cases = [
        ("gadgets", "Widget", vec![], "PluralConflict", "gadgets"),
        ("widgets", "Gadget", vec![], "SingularConflict", "gadget"),
        ("widgets", "Widget", vec!["g"], "ShortNamesConflict", "g"),
        ("widgets", "GadgetList", vec![], "KindConflict", "GadgetList"),
    ];
    let mut other = definition("gadgets", "Gadget", &["g"], true);
    other.metadata.name = Some("other.example.com".to_owned());
    let other = Arc::new(other);
    for (plural, kind, short, reason, name) in cases {
        let status = plan::status(
            &definition(plural, kind, &short, false),
            std::slice::from_ref(&other),
            now(),
        );
        assert_eq!(status.accepted_names, None);
        assert_eq!(
            conditions(&status),
            [
                json!(["NamesAccepted", "False", reason, format!("{name:?} is already in use")]),
                json!(["Established", "False", "NotAccepted", "not all names are accepted"]),
            ]
        );
    }
}

#[test]
fn a_definition_that_is_established_stays_so() {
    let mut one = definition("widgets", "Widget", &[], false);
    one.status = Some(plan::status(&one, &[], now()));
    one.spec.names.short_names = Some(vec!["g".to_owned()]);
    let other = Arc::new(definition("gadgets", "Gadget", &["g"], true));
    let status = plan::status(&one, &[other], now());
    assert_eq!(conditions(&status)[1][1], "True");
    assert_eq!(
        status.accepted_names.unwrap().short_names,
        Some(vec![]),
        "it keeps the names it had"
    );
}

#[test]
fn a_definition_without_objects_may_go() {
    let one = definition("widgets", "Widget", &[], true);
    let status = plan::emptied(&one, now());
    let expected =
        json!(["Terminating", "False", "InstanceDeletionCompleted", "removed all instances"]);
    assert_eq!(conditions(&status), [expected]);
}
