use serde_json::{Value, json};

use super::*;
use crate::decode::{FieldValidation, MediaType, check, parse};
use crate::kinds::definition::TERMINATING;
use crate::lifecycle::{
    DeletePlan, Stamp, begin_delete, deletion_complete, prepare_create, prepare_update,
};
use crate::registry::{Registry, registry};
use crate::{table, warnings};

fn stamp() -> Stamp {
    Stamp {
        now: "2026-01-02T03:04:05Z".parse().unwrap(),
        uid: uuid::Uuid::nil(),
        suffix: "abcde".to_owned(),
    }
}

fn definitions() -> &'static Kind {
    registry().by_resource("apiextensions.k8s.io", "v1", "customresourcedefinitions").unwrap()
}

fn crontabs() -> Value {
    parse(include_bytes!("testdata/crontabs.yaml"), MediaType::Yaml).unwrap()
}

fn created(definition: Value) -> Result<Value, Vec<String>> {
    let decoded = check(definitions(), definition, FieldValidation::Strict)
        .map_err(|error| vec![error.message])?;
    prepare_create(definitions(), decoded.object, "", &stamp(), Some("test")).map_err(|error| {
        error
            .details
            .causes
            .into_iter()
            .map(|cause| format!("{}: {}", cause.field, cause.message))
            .collect()
    })
}

/// The definition once its names are accepted.
fn established() -> Value {
    let mut definition = created(crontabs()).unwrap();
    definition["status"]["acceptedNames"] = definition["spec"]["names"].clone();
    definition["status"]["conditions"] = json!([{"type": "Established", "status": "True"}]);
    definition
}

fn kind_of(definition: &Value, version: &str) -> Kind {
    let kinds = custom_kinds(definition, 1);
    kinds.into_iter().find(|kind| kind.version == version).unwrap()
}

fn crontab(spec: Value) -> Value {
    json!({"apiVersion": "stable.example.com/v1", "kind": "CronTab",
        "metadata": {"name": "a", "labels": {"a": "b"}}, "spec": spec})
}

#[test]
fn a_definition_is_completed_and_makes_no_kinds_before_it_is_established() {
    let definition = created(crontabs()).unwrap();
    assert_eq!(definition["spec"]["names"]["singular"], "crontab");
    assert_eq!(definition["spec"]["names"]["listKind"], "CronTabList");
    assert_eq!(definition["spec"]["conversion"], json!({"strategy": "None"}));
    assert_eq!(definition["status"]["storedVersions"], json!(["v1"]));
    let replicas = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/replicas";
    assert_eq!(definition.pointer(replicas).unwrap()["maximum"].to_string(), "10");
    assert!(custom_kinds(&definition, 1).is_empty());
}

#[test]
fn an_established_definition_makes_a_kind_of_each_version() {
    let registry = Registry::with(custom_kinds(&established(), 1));
    let kind = registry.by_resource("stable.example.com", "v1", "crontabs").unwrap();
    assert_eq!(
        (&*kind.kind, &*kind.list_kind, &*kind.singular),
        ("CronTab", "CronTabList", "crontab")
    );
    assert!(kind.status && kind.is_namespaced() && kind.is_storage_version());
    assert_eq!(kind.scale.as_ref().unwrap().spec_replicas, "/spec/replicas");
    assert_eq!(&*kind.schema_name(), "com.example.stable.v1.CronTab");
    let other = registry.by_kind("stable.example.com", "v2", "CronTab").unwrap();
    assert!(!other.is_storage_version() && !other.status);
    assert_eq!(other.store_resource(), kind.store_resource());
    assert_eq!(registry.stored().filter(|kind| kind.is_custom()).count(), 1);
}

#[test]
fn objects_are_pruned_and_completed() {
    let kind = kind_of(&established(), "v1");
    let object = crontab(json!({
        "cronSpec": "* * * * *", "unknown": 1, "image": null, "note": null,
        "labels": {"x": "y"}, "hosts": [{"name": "h", "colour": "red"}],
        "free": {"anything": {"goes": [1]}},
    }));
    let refused = check(&kind, object.clone(), FieldValidation::Strict).unwrap_err();
    for field in ["spec.unknown", "spec.hosts[0].colour"] {
        assert!(refused.message.contains(&format!("unknown field \"{field}\"")), "{refused:?}");
    }
    let checked = check(&kind, object, FieldValidation::Warn).unwrap();
    assert_eq!(checked.warnings.len(), 2);
    assert_eq!(
        checked.object["spec"],
        json!({
            "cronSpec": "* * * * *", "image": "busybox", "replicas": 1, "note": null,
            "labels": {"x": "y"}, "hosts": [{"name": "h", "weight": 5}],
            "free": {"anything": {"goes": [1]}},
        })
    );
    let prepared = prepare_create(&kind, checked.object, "default", &stamp(), Some("t")).unwrap();
    assert_eq!(prepared["spec"]["note"], Value::Null, "a null that means something stays");
}

#[test]
fn broken_objects_are_refused_with_the_place() {
    let kind = kind_of(&established(), "v1");
    let cases = [
        (json!({}), "spec.cronSpec: Required value"),
        (
            json!({"cronSpec": 5}),
            "spec.cronSpec: Invalid value: \"integer\": spec.cronSpec in body must be of type string: \"integer\"",
        ),
        (
            json!({"cronSpec": "*"}),
            "spec.cronSpec: Invalid value: \"*\": spec.cronSpec in body should match '^(\\d+|\\*)(/\\d+)?(\\s+(\\d+|\\*)(/\\d+)?){4}$'",
        ),
        (
            json!({"replicas": 11}),
            "spec.replicas: Invalid value: 11: spec.replicas in body should be less than or equal to 10",
        ),
        (
            json!({"replicas": 0}),
            "spec.replicas: Invalid value: 0: spec.replicas in body should be greater than or equal to 1",
        ),
        (
            json!({"replicas": 1.5}),
            "spec.replicas: Invalid value: \"number\": spec.replicas in body must be of type integer: \"number\"",
        ),
        (
            json!({"port": true}),
            "spec.port: Invalid value: \"boolean\": spec.port in body must be of type integer,string: \"boolean\"",
        ),
        (
            json!({"labels": {"a": 1}}),
            "spec.labels[a]: Invalid value: \"integer\": spec.labels[a] in body must be of type string: \"integer\"",
        ),
        (
            json!({"mode": "medium"}),
            "spec.mode: Unsupported value: \"medium\": supported values: \"fast\", \"slow\"",
        ),
        (
            json!({"hosts": [{"name": "a"}, {"name": "a"}]}),
            "spec.hosts[1]: Duplicate value: {\"name\":\"a\",\"weight\":5}",
        ),
        (json!({"hosts": [{}]}), "spec.hosts[0].name: Required value"),
        (
            json!({"hosts": [{"name": "a"}, {"name": "b"}, {"name": "c"}, {"name": "d"}]}),
            "spec.hosts: Too many: 4: must have at most 3 items",
        ),
    ];
    for (mut spec, expected) in cases {
        if spec.as_object().is_some_and(|spec| !spec.is_empty() && !spec.contains_key("cronSpec")) {
            spec["cronSpec"] = json!("* * * * *");
        }
        let object = check(&kind, crontab(spec), FieldValidation::Strict).unwrap().object;
        let error = prepare_create(&kind, object, "default", &stamp(), Some("t")).unwrap_err();
        assert_eq!(error.code, 422);
        assert!(error.message.contains(expected), "{} lacks {expected}", error.message);
    }
}

#[test]
fn what_was_there_before_the_schema_became_stricter_may_stay() {
    let kind = kind_of(&established(), "v1");
    let old = crontab(json!({"cronSpec": "every day", "replicas": 2}));
    let update = |new: Value| {
        prepare_update(&kind, new, &old, Part::Main, stamp().now, Some("t"))
            .map_err(|error| error.message)
    };
    let mut new = old.clone();
    new["spec"]["replicas"] = json!(3);
    assert_eq!(update(new.clone()).unwrap()["metadata"]["generation"], 1);
    new["spec"]["cronSpec"] = json!("every night");
    assert!(update(new).unwrap_err().contains("spec.cronSpec"));
}

#[test]
fn the_status_of_an_object_is_checked_when_it_is_written() {
    let kind = kind_of(&established(), "v1");
    let old = crontab(json!({"cronSpec": "* * * * *"}));
    let mut new = old.clone();
    new["status"] = json!({"replicas": "two"});
    let refused = prepare_update(&kind, new.clone(), &old, Part::Status, stamp().now, None);
    assert!(
        refused.unwrap_err().message.contains("status.replicas in body must be of type integer")
    );
    let kept = prepare_update(&kind, new, &old, Part::Main, stamp().now, None).unwrap();
    assert!(kept["status"].is_null(), "an update of the object leaves the status alone");
}

#[test]
fn a_count_that_was_never_said_can_be_scaled() {
    let kind = kind_of(&established(), "v1");
    let old = crontab(json!({"cronSpec": "* * * * *"}));
    let mut new = old.clone();
    new["spec"]["replicas"] = json!(4);
    let scaled = prepare_update(&kind, new, &old, Part::Scale, stamp().now, None).unwrap();
    assert_eq!(scaled["spec"], json!({"cronSpec": "* * * * *", "replicas": 4}));
    let mut new = old.clone();
    new["spec"]["replicas"] = json!(40);
    assert!(prepare_update(&kind, new, &old, Part::Scale, stamp().now, None).is_err());
}

#[test]
fn the_other_version_is_stored_as_the_first_and_read_back() {
    let definition = established();
    let (stored, other) = (kind_of(&definition, "v1"), kind_of(&definition, "v2"));
    let object = json!({"apiVersion": "stable.example.com/v2", "kind": "CronTab", "metadata": {"name": "a"},
        "spec": {"cronSpec": "* * * * *"}});
    let record = other.to_stored(object.clone());
    assert_eq!(record["apiVersion"], "stable.example.com/v1");
    assert_eq!(other.to_served(record.clone()), object);
    assert!(stored.serves_as_stored() && !other.serves_as_stored());

    // A later schema completes what an earlier one let through.
    let mut changed = definition;
    changed["metadata"]["generation"] = json!(2);
    let stored = kind_of(&changed, "v1");
    assert!(!stored.serves_as_stored());
    assert_eq!(stored.to_served(record)["spec"]["image"], "busybox");
}

#[test]
fn rows_have_the_columns_of_the_definition() {
    let definition = established();
    let kind = kind_of(&definition, "v1");
    let names: Vec<&str> = table::columns(&kind).iter().map(table::Column::name).collect();
    assert_eq!(names, ["Name", "Spec", "Replicas", "Age"]);
    let mut object = crontab(json!({"cronSpec": "* * * * *", "replicas": 3}));
    object["metadata"]["creationTimestamp"] = json!("2026-01-02T03:03:05Z");
    assert_eq!(
        json!(table::row(&kind, object.clone(), stamp().now)),
        json!(["a", "* * * * *", 3, "60s"])
    );
    let plain = kind_of(&definition, "v2");
    let names: Vec<&str> = table::columns(&plain).iter().map(table::Column::name).collect();
    assert_eq!(names, ["Name", "Age"]);
}

#[test]
fn broken_definitions_are_refused_with_the_place() {
    let schema = "/spec/versions/0/schema/openAPIV3Schema";
    let spec = "/spec/versions/0/schema/openAPIV3Schema/properties/spec";
    let cases = [
        (
            "/metadata/name",
            json!("x"),
            "metadata.name: Invalid value: \"x\": must be spec.names.plural+\".\"+spec.group: \"crontabs.stable.example.com\"",
        ),
        (
            "/spec/group",
            json!("nodots"),
            "spec.group: Invalid value: \"nodots\": should be a domain with at least one dot",
        ),
        (
            "/spec/group",
            json!("networking.k8s.io"),
            "spec.group: Invalid value: \"networking.k8s.io\": is a group of the server itself",
        ),
        (
            "/spec/group",
            json!("a.k8s.io"),
            "metadata.annotations[api-approved.kubernetes.io]: Required value: protected groups must have approval annotation \"api-approved.kubernetes.io\"",
        ),
        (
            "/spec/scope",
            json!("Galaxy"),
            "spec.scope: Unsupported value: \"Galaxy\": supported values: \"Cluster\", \"Namespaced\"",
        ),
        ("/spec/names/plural", json!("Cron"), "spec.names.plural"),
        (
            "/spec/versions/1/storage",
            json!(true),
            "spec.versions: Invalid value: \"storage\": must have exactly one version marked as storage version",
        ),
        ("/spec/versions/1/name", json!("v1"), "spec.versions[1].name: Duplicate value: \"v1\""),
        (
            "/spec/conversion",
            json!({"strategy": "Magic"}),
            "spec.conversion.strategy: Unsupported value: \"Magic\": supported values: \"None\", \"Webhook\"",
        ),
        (
            "/spec/conversion",
            json!({"strategy": "None", "webhook": {"conversionReviewVersions": ["v1"]}}),
            "spec.conversion.webhook: Forbidden: should not be set when strategy is not set to Webhook",
        ),
        (
            "/spec/conversion",
            json!({"strategy": "Webhook"}),
            "spec.conversion.webhook.clientConfig: Required value: required when strategy is set to Webhook",
        ),
        (
            "/spec/conversion",
            json!({"strategy": "Webhook", "webhook": {"clientConfig": {"url": "https://host"}, "conversionReviewVersions": []}}),
            "spec.conversion.webhook.conversionReviewVersions: Required value",
        ),
        (
            "/spec/conversion",
            json!({"strategy": "Webhook", "webhook": {"clientConfig": {"url": "https://host"}, "conversionReviewVersions": ["v1beta1", "v1beta1"]}}),
            "spec.conversion.webhook.conversionReviewVersions[1]: Invalid value: \"v1beta1\": duplicate version",
        ),
        (
            "/spec/conversion",
            json!({"strategy": "Webhook", "webhook": {"clientConfig": {"url": "https://host"}, "conversionReviewVersions": ["v1beta1"]}}),
            "spec.conversion.webhook.conversionReviewVersions: Invalid value: [\"v1beta1\"]: must include at least one of v1",
        ),
        (
            "/spec/conversion",
            json!({"strategy": "Webhook", "webhook": {"clientConfig": {}, "conversionReviewVersions": ["v1"]}}),
            "spec.conversion.webhook.clientConfig: Required value: exactly one of url or service is required",
        ),
        (
            "/spec/conversion",
            json!({"strategy": "Webhook", "webhook": {"clientConfig": {"url": "http://host"}, "conversionReviewVersions": ["v1"]}}),
            "spec.conversion.webhook.clientConfig.url: Invalid value: \"http\": 'https' is the only allowed URL scheme",
        ),
        (
            schema,
            json!({"type": "array"}),
            "spec.versions[0].schema.openAPIV3Schema.type: Invalid value: \"array\": must be object at the root",
        ),
        (
            spec,
            json!({"properties": {}}),
            "spec.versions[0].schema.openAPIV3Schema.properties[spec].type: Required value: must not be empty for specified object fields",
        ),
        (
            spec,
            json!({"type": "array"}),
            "spec.versions[0].schema.openAPIV3Schema.properties[spec].items: Required value: must be specified",
        ),
        (
            spec,
            json!({"type": "string", "pattern": "("}),
            "spec.versions[0].schema.openAPIV3Schema.properties[spec].pattern: Invalid value: \"(\": must be a valid regular expression",
        ),
        (
            spec,
            json!({"type": "integer", "default": "one"}),
            "spec.versions[0].schema.openAPIV3Schema.properties[spec].default: Invalid value: \"one\"",
        ),
        (
            spec,
            json!({"type": "object", "anyOf": [{"type": "object"}]}),
            "spec.versions[0].schema.openAPIV3Schema.properties[spec].anyOf[0].type: Forbidden: must be empty to be structural",
        ),
        (
            spec,
            json!({"type": "set"}),
            "spec.versions[0].schema.openAPIV3Schema.properties[spec].type: Unsupported value: \"set\"",
        ),
        (
            "/spec/versions/0/additionalPrinterColumns/0/jsonPath",
            json!("spec"),
            "spec.versions[0].additionalPrinterColumns[0].jsonPath: Invalid value: \"spec\": \"spec\" must begin with a dot",
        ),
        (
            "/spec/versions/0/subresources/scale/specReplicasPath",
            json!(".status.x"),
            "spec.versions[0].subresources.scale.specReplicasPath: Invalid value: \".status.x\": should be a json path under .spec.",
        ),
    ];
    for (at, value, expected) in cases {
        let mut definition = crontabs();
        if definition.pointer(at).is_none() {
            definition["spec"]["conversion"] = json!({});
        }
        *definition.pointer_mut(at).unwrap() = value;
        let errors = created(definition).unwrap_err();
        let is_said = |error: &String| error.starts_with(expected);
        assert!(errors.iter().any(is_said), "{at}: {errors:#?} lacks {expected}");
    }
}

#[test]
fn what_stored_objects_depend_on_cannot_change() {
    let old = established();
    let update = |at: &str, value: Value, part| {
        let mut new = old.clone();
        *new.pointer_mut(at).unwrap() = value;
        let now = stamp().now;
        prepare_update(definitions(), new, &old, part, now, None).map_err(|error| error.message)
    };
    let refused = update("/spec/scope", json!("Cluster"), Part::Main).unwrap_err();
    assert!(
        refused.contains("spec.scope: Invalid value: \"Cluster\": field is immutable"),
        "{refused}"
    );
    let refused = update("/status/storedVersions", json!(["v9", "v1"]), Part::Status).unwrap_err();
    assert!(refused.contains("missing from spec.versions"), "{refused}");
    let swapped = update("/spec/versions/0/storage", json!(false), Part::Main).unwrap_err();
    assert!(swapped.contains("exactly one version"), "{swapped}");
    let mut versions = old["spec"]["versions"].clone();
    versions[0]["storage"] = json!(false);
    versions[1]["storage"] = json!(true);
    let swapped = update("/spec/versions", versions, Part::Main).unwrap();
    assert_eq!(swapped["status"]["storedVersions"], json!(["v1", "v2"]));
}

#[test]
fn a_definition_stays_until_its_objects_are_gone() {
    let old = established();
    let DeletePlan::Update(marked) = begin_delete(definitions(), &old, None, None, stamp().now)
    else {
        panic!("it went at once")
    };
    let conditions = marked["status"]["conditions"].as_array().unwrap();
    let mut done = marked.clone();
    assert_eq!(conditions.last().unwrap()["type"], TERMINATING);
    assert!(!deletion_complete(definitions(), &marked));
    let last = conditions.len() - 1;
    done["status"]["conditions"][last]["status"] = json!("False");
    done["status"]["conditions"][last]["reason"] = json!("InstanceDeletionCompleted");
    assert!(deletion_complete(definitions(), &done));
}

#[test]
fn rules_that_are_not_enforced_are_said_to_be() {
    let mut definition = crontabs();
    assert!(warnings(definitions(), &definition).is_empty());
    definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["x-kubernetes-validations"] =
        json!([{"rule": "true"}]);
    assert_eq!(warnings(definitions(), &definition).len(), 1);
}
