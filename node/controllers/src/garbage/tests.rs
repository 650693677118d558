//! The collector's decisions on small graphs.

use k8s_openapi::{
    api::{apps::v1::ReplicaSet, core::v1::Pod},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use serde_json::{Value, json};
use skein_objects::registry;

use super::{
    index::{Entry, Index, Uid},
    plan::{FOREGROUND, ORPHAN, Plan, plan},
};

fn set(changes: Value) -> Entry {
    let mut meta = json!({"name": "set", "namespace": "default", "uid": "set"});
    json_patch::merge(&mut meta, &changes);
    Entry::of(registry().of::<ReplicaSet>(), serde_json::from_value(meta).unwrap())
}

fn deleting(finalizer: &str) -> Value {
    json!({"deletionTimestamp": "2026-01-01T12:00:00Z", "finalizers": [finalizer]})
}

/// A pod with these owners.
fn pod(owners: &[&str]) -> Entry {
    let owner = |uid: &&str| {
        json!({
            "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": uid, "uid": uid,
            "blockOwnerDeletion": true,
        })
    };
    let owners: Vec<Value> = owners.iter().map(owner).collect();
    let meta: ObjectMeta = serde_json::from_value(
        json!({"name": "pod", "namespace": "default", "uid": "pod", "ownerReferences": owners}),
    )
    .unwrap();
    Entry::of(registry().of::<Pod>(), meta)
}

fn decide(entries: &[Entry], uid: &str) -> Plan {
    let index = Index::default();
    for entry in entries {
        index.put(entry.clone());
    }
    index.view(&Uid::from(uid), plan).unwrap()
}

fn suspects(plan: Plan) -> (Vec<String>, Vec<String>) {
    let uids = |owners: Vec<_>| {
        let owners: Vec<k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference> = owners;
        owners.into_iter().map(|owner| owner.uid).collect()
    };
    match plan {
        Plan::Examine { missing, waiting, .. } => (uids(missing), uids(waiting)),
        other => panic!("nothing to examine: {other:?}"),
    }
}

#[test]
fn an_object_with_a_living_owner_or_without_any_stays() {
    assert_eq!(decide(&[set(json!({})), pod(&["set"])], "pod"), Plan::Keep);
    assert_eq!(decide(&[pod(&[])], "pod"), Plan::Keep);
}

#[test]
fn absent_owners_are_suspected() {
    let suspected = suspects(decide(&[set(json!({})), pod(&["set", "gone"])], "pod"));
    assert_eq!(suspected, (vec!["gone".to_owned()], vec![]));
}

#[test]
fn a_foreground_deletion_takes_the_dependents_first_and_then_ends() {
    let owner = set(deleting(FOREGROUND));
    let suspected = suspects(decide(&[owner.clone(), pod(&["set"])], "pod"));
    assert_eq!(suspected, (vec![], vec!["set".to_owned()]));
    assert_eq!(decide(&[owner.clone(), pod(&["set"])], "set"), Plan::Keep);
    let release = Plan::Release { entry: owner.clone(), finalizer: FOREGROUND };
    assert_eq!(decide(&[owner], "set"), release);
}

#[test]
fn an_orphaning_deletion_frees_the_dependents_first_and_then_ends() {
    let owner = set(deleting(ORPHAN));
    let freed = Plan::Orphan { entry: owner.clone(), dependents: vec![pod(&["set"])] };
    assert_eq!(decide(&[owner.clone(), pod(&["set"])], "set"), freed);
    assert_eq!(decide(&[owner.clone(), pod(&["set"])], "pod"), Plan::Keep);
    let release = Plan::Release { entry: owner.clone(), finalizer: ORPHAN };
    assert_eq!(decide(&[owner], "set"), release);
}

#[test]
fn the_end_of_an_object_brings_up_its_dependents_and_its_owners() {
    let index = Index::default();
    index.put(set(json!({})));
    index.put(pod(&["set"]));
    let set = set(json!({}));
    assert_eq!(index.remove(set.kind, &set.key), [Uid::from("pod")]);
    let pod = pod(&["set"]);
    assert_eq!(index.remove(pod.kind, &pod.key), [Uid::from("set")]);
    assert!(index.keys(pod.kind).is_empty());
}

#[test]
fn an_object_that_replaces_one_of_its_name_brings_up_the_dependents_of_the_former() {
    let index = Index::default();
    index.put(set(json!({})));
    index.put(pod(&["set"]));
    let looked_at = index.put(set(json!({"uid": "another"})));
    assert_eq!(looked_at, [Uid::from("another"), Uid::from("pod")]);
    assert_eq!(suspects(index.view(&Uid::from("pod"), plan).unwrap()).0, ["set"]);
}
