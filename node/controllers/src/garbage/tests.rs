//! The collector's decisions on small graphs.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use k8s_openapi::api::{apps::v1::ReplicaSet, core::v1::Pod};
use serde_json::{Value, json};
use skein_consensus::{Event, Key, Record, Revision};
use skein_objects::{Kind, registry};
use skein_storage::{LocalCopy, ObjectList};

use super::{
    graph::OfKind,
    index::{Entry, Index, Owner},
    plan::{FOREGROUND, ORPHAN, Plan, plan},
};
use crate::{Metrics, queue::Queue, uid::Uid};

fn record(kind: &Kind, meta: &Value) -> Arc<Record> {
    let part = |part: &str| meta[part].as_str().unwrap_or_default();
    let record = Record {
        key: Key::new(kind.store_resource(), part("namespace"), part("name")),
        value: Bytes::from(json!({"metadata": meta}).to_string()),
        created: Revision(1),
        modified: Revision(1),
    };
    record.into()
}

fn entry(kind: &Kind, meta: &Value) -> Entry {
    Index::default().read(&record(kind, meta)).unwrap()
}

fn set(changes: Value) -> Entry {
    let mut meta = json!({"name": "set", "namespace": "default", "uid": "set"});
    json_patch::merge(&mut meta, &changes);
    entry(registry().of::<ReplicaSet>(), &meta)
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
    let meta =
        json!({"name": "pod", "namespace": "default", "uid": "pod", "ownerReferences": owners});
    entry(registry().of::<Pod>(), &meta)
}

fn decide(entries: &[Entry], uid: &str) -> Plan {
    let index = Index::default();
    for entry in entries {
        index.put(entry.clone());
    }
    index.view(&Uid::from(uid), plan).unwrap()
}

fn suspects(plan: Plan) -> (Vec<String>, Vec<String>) {
    let uids = |owners: Vec<Owner>| owners.iter().map(|owner| owner.uid.to_string()).collect();
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
    assert_eq!(index.remove(&Uid::from("set")), [Uid::from("pod")]);
    assert_eq!(index.remove(&Uid::from("pod")), [Uid::from("set")]);
    assert!(index.of_kind("pods").is_empty());
}

/// What a copy of the replica sets asks to look at.
async fn looked_at(queue: &Queue<Uid>) -> Vec<String> {
    let mut keys = Vec::new();
    while let Ok(key) = tokio::time::timeout(Duration::ZERO, queue.next()).await {
        queue.done(&key, false);
        keys.push(key.to_string());
    }
    keys
}

#[tokio::test(start_paused = true)]
async fn an_object_that_replaces_one_of_its_name_brings_up_the_dependents_of_the_former() {
    let sets = registry().of::<ReplicaSet>();
    let former = record(sets, &json!({"name": "set", "namespace": "default", "uid": "set"}));
    let present = record(sets, &json!({"name": "set", "namespace": "default", "uid": "another"}));
    let listing = |record: &Arc<Record>| ObjectList {
        kind: sets.clone(),
        records: vec![record.clone()],
        revision: Revision(1),
        remaining: 0,
    };
    let changed = Event::Put { record: present.clone(), previous: Some(former.clone()) };
    let changes: [&dyn Fn(&OfKind); 2] =
        [&|copy| copy.replace(listing(&present)), &|copy| copy.apply(changed.clone())];
    for change in changes {
        let (index, queue) =
            (Arc::new(Index::default()), Arc::new(Queue::new(Metrics::default().queue("garbage"))));
        let listener = Arc::new(Mutex::new(Arc::downgrade(&queue)));
        let copy = OfKind { resource: sets.store_resource(), index: index.clone(), listener };
        copy.replace(listing(&former));
        index.put(pod(&["set"]));
        looked_at(&queue).await;
        change(&copy);
        assert_eq!(looked_at(&queue).await, ["another", "pod"]);
        assert_eq!(suspects(index.view(&Uid::from("pod"), plan).unwrap()).0, ["set"]);
        copy.apply(Event::Delete { previous: present.clone(), revision: Revision(2) });
        assert!(index.of_kind(&sets.store_resource()).is_empty());
    }
}
