//! The promises of [`Storage`] against the in-memory store.

use std::sync::Arc;

use k8s_openapi::{
    api::core::v1::{ConfigMap, Namespace, Pod},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use serde_json::{Value, json};
use skein_consensus::{Consistency, MemoryStore, Revision};
use skein_objects::{Kind, Part, Reason, StatusError, registry};

use crate::{DeleteOptions, Deleted, Manager, Object, Preconditions, Storage, WriteOptions};

const WRITE: WriteOptions = WriteOptions { dry_run: false, manager: Manager::Own };
const DRY_RUN: WriteOptions = WriteOptions { dry_run: true, manager: Manager::Own };

fn pods() -> &'static Arc<Kind> {
    registry().of::<Pod>()
}

fn config_maps() -> &'static Arc<Kind> {
    registry().of::<ConfigMap>()
}

async fn storage() -> Storage {
    let storage = Storage::new(MemoryStore::new());
    add_namespace(&storage, "default").await;
    storage
}

async fn add_namespace(storage: &Storage, name: &str) {
    let namespace = Namespace {
        metadata: ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() },
        ..Namespace::default()
    };
    storage.typed::<Namespace>().create(&namespace).await.unwrap();
}

fn config_map(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"a": "1"}})
}

fn pod(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
        "spec": {"containers": [{"name": "main", "image": "hello"}]}})
}

async fn create(storage: &Storage, kind: &Arc<Kind>, object: Value) -> Object {
    storage.create(kind, "default", object, &WRITE).await.unwrap()
}

async fn exists(storage: &Storage, kind: &Arc<Kind>, name: &str) -> bool {
    match storage.get(kind, "default", name, Consistency::Linearizable).await {
        Ok(_) => true,
        Err(error) if error.reason == Reason::NotFound => false,
        Err(error) => panic!("{error}"),
    }
}

fn reason<T>(result: Result<T, StatusError>) -> Reason {
    match result {
        Ok(_) => panic!("it succeeded"),
        Err(error) => error.reason,
    }
}

#[tokio::test]
async fn a_created_object_reads_back_with_its_resource_version() {
    let storage = storage().await;
    let created = create(&storage, config_maps(), config_map("a")).await;
    let read = storage.get(config_maps(), "default", "a", Consistency::Any).await.unwrap();
    assert_eq!(read.value().unwrap(), created.value().unwrap());
    let version = read.value().unwrap()["metadata"]["resourceVersion"].clone();
    assert_eq!(version, json!(created.revision().to_string()));
}

#[tokio::test]
async fn creates_are_refused_for_taken_names_and_missing_or_ending_namespaces() {
    let storage = storage().await;
    create(&storage, config_maps(), config_map("a")).await;
    let again = storage.create(config_maps(), "default", config_map("a"), &WRITE).await;
    assert_eq!(reason(again), Reason::AlreadyExists);
    let nowhere = storage.create(config_maps(), "nowhere", config_map("a"), &WRITE).await;
    assert_eq!(reason(nowhere), Reason::NotFound);

    add_namespace(&storage, "ending").await;
    storage.create(config_maps(), "ending", config_map("a"), &WRITE).await.unwrap();
    let namespaces = registry().of::<Namespace>();
    storage.delete(namespaces, "", "ending", &DeleteOptions::default()).await.unwrap();
    let late = storage.create(config_maps(), "ending", config_map("b"), &WRITE).await;
    assert_eq!(reason(late), Reason::Forbidden);
}

#[tokio::test]
async fn generated_names_differ() {
    let storage = storage().await;
    let object =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "a-"}});
    let first = create(&storage, config_maps(), object.clone()).await;
    let second = create(&storage, config_maps(), object).await;
    assert_ne!(first.record.key, second.record.key);
}

#[tokio::test]
async fn an_update_with_an_old_resource_version_conflicts_and_changes_nothing() {
    let storage = storage().await;
    let old = create(&storage, config_maps(), config_map("a")).await.value().unwrap();
    let mut changed = old.clone();
    changed["data"]["a"] = json!("2");
    let update = |object| storage.update(config_maps(), "default", "a", Part::Main, object, &WRITE);
    update(changed).await.unwrap();
    let mut late = old;
    late["data"]["a"] = json!("3");
    assert_eq!(reason(update(late).await), Reason::Conflict);
    let read = storage.get(config_maps(), "default", "a", Consistency::Any).await.unwrap();
    assert_eq!(read.value().unwrap()["data"]["a"], "2");
}

#[tokio::test]
async fn concurrent_modifications_all_take_effect() {
    let storage = storage().await;
    create(&storage, config_maps(), config_map("counter")).await;
    let add = |key: usize| {
        let storage = storage.clone();
        async move {
            let change = |mut object: Value| {
                object["data"][format!("k{key}")] = json!("x");
                Ok(object)
            };
            storage
                .modify(config_maps(), "default", "counter", Part::Main, &WRITE, change)
                .await
                .unwrap();
        }
    };
    futures::future::join_all((0..5).map(add)).await;
    let read = storage.get(config_maps(), "default", "counter", Consistency::Any).await.unwrap();
    assert_eq!(read.value().unwrap()["data"].as_object().unwrap().len(), 6);
}

#[tokio::test]
async fn a_modification_of_nothing_writes_nothing() {
    let storage = storage().await;
    let before = create(&storage, config_maps(), config_map("a")).await;
    let after =
        storage.modify(config_maps(), "default", "a", Part::Main, &WRITE, Ok).await.unwrap();
    assert_eq!(after.revision(), before.revision());
}

#[tokio::test]
async fn dry_runs_answer_like_the_real_thing_and_write_nothing() {
    let storage = storage().await;
    let made = storage.create(config_maps(), "default", config_map("a"), &DRY_RUN).await.unwrap();
    assert_eq!(made.revision(), Revision(0));
    assert!(!exists(&storage, config_maps(), "a").await);
    create(&storage, config_maps(), config_map("a")).await;
    let again = storage.create(config_maps(), "default", config_map("a"), &DRY_RUN).await;
    assert_eq!(reason(again), Reason::AlreadyExists);
    let options = DeleteOptions { dry_run: true, ..DeleteOptions::default() };
    let deleted = storage.delete(config_maps(), "default", "a", &options).await.unwrap();
    assert!(matches!(deleted, Deleted::Removed(_)));
    assert!(exists(&storage, config_maps(), "a").await);
}

#[tokio::test]
async fn a_bound_pod_is_marked_first_and_removed_with_grace_zero() {
    let storage = storage().await;
    create(&storage, pods(), pod("web")).await;
    storage.bind("default", "web", "h1", None).await.unwrap();
    let deleted =
        storage.delete(pods(), "default", "web", &DeleteOptions::default()).await.unwrap();
    let Deleted::Marked(marked) = deleted else { panic!("it was removed") };
    assert!(marked.value().unwrap()["metadata"]["deletionTimestamp"].is_string());
    let now = DeleteOptions { grace_period_seconds: Some(0), ..DeleteOptions::default() };
    let deleted = storage.delete(pods(), "default", "web", &now).await.unwrap();
    assert!(matches!(deleted, Deleted::Removed(_)));
    assert!(!exists(&storage, pods(), "web").await);
}

#[tokio::test]
async fn an_unbound_pod_is_removed_at_once() {
    let storage = storage().await;
    create(&storage, pods(), pod("web")).await;
    storage.delete(pods(), "default", "web", &DeleteOptions::default()).await.unwrap();
    assert!(!exists(&storage, pods(), "web").await);
}

#[tokio::test]
async fn a_pod_is_bound_once_and_only_if_it_is_the_one_meant() {
    let storage = storage().await;
    create(&storage, pods(), pod("web")).await;
    let other = storage.bind("default", "web", "h1", Some("another-uid")).await;
    assert_eq!(reason(other), Reason::Conflict);
    storage.bind("default", "web", "h1", None).await.unwrap();
    assert_eq!(reason(storage.bind("default", "web", "h2", None).await), Reason::Conflict);
    let bound: Pod =
        storage.get(pods(), "default", "web", Consistency::Any).await.unwrap().decode().unwrap();
    assert_eq!(bound.spec.unwrap().node_name.as_deref(), Some("h1"));
    let conditions = bound.status.unwrap().conditions.unwrap();
    assert!(conditions.iter().any(|one| one.type_ == "PodScheduled" && one.status == "True"));
}

#[tokio::test]
async fn taking_the_last_finalizer_of_a_deleted_object_removes_it() {
    let storage = storage().await;
    let mut object = config_map("held");
    object["metadata"]["finalizers"] = json!(["example.com/hold"]);
    create(&storage, config_maps(), object).await;
    let deleted =
        storage.delete(config_maps(), "default", "held", &DeleteOptions::default()).await.unwrap();
    assert!(matches!(deleted, Deleted::Marked(_)));
    let release = |mut object: Value| {
        object["metadata"]["finalizers"] = json!([]);
        Ok(object)
    };
    storage.modify(config_maps(), "default", "held", Part::Main, &WRITE, release).await.unwrap();
    assert!(!exists(&storage, config_maps(), "held").await);
}

#[tokio::test]
async fn deletes_keep_their_preconditions() {
    let storage = storage().await;
    let object = create(&storage, config_maps(), config_map("a")).await;
    let with = |preconditions| DeleteOptions { preconditions, ..DeleteOptions::default() };
    let other_uid = Preconditions { uid: Some("other".to_owned()), resource_version: None };
    let refused = storage.delete(config_maps(), "default", "a", &with(other_uid)).await;
    assert_eq!(reason(refused), Reason::Conflict);
    let old = Preconditions { uid: None, resource_version: Some(Revision(1)) };
    let refused = storage.delete(config_maps(), "default", "a", &with(old)).await;
    assert_eq!(reason(refused), Reason::Conflict);
    let exact = Preconditions { uid: None, resource_version: Some(object.revision()) };
    storage.delete(config_maps(), "default", "a", &with(exact)).await.unwrap();
}

#[tokio::test]
async fn the_typed_client_finds_nothing_rather_than_failing() {
    let storage = storage().await;
    assert!(storage.typed::<ConfigMap>().get("default", "a").await.unwrap().is_none());
}

mod conversions;
mod informers;
mod recorders;
