//! Custom resources under a leader.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use skein_consensus::{Consistency, ListOptions};
use skein_storage::{Kinds, Object, WriteOptions};
use tokio_util::task::TaskTracker;

use super::*;

fn widgets() -> CustomResourceDefinition {
    serde_json::from_value(json!({
        "metadata": {"name": "widgets.example.com"},
        "spec": {
            "group": "example.com", "scope": "Namespaced",
            "names": {"plural": "widgets", "kind": "Widget"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {
                "openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
            }}],
        },
    }))
    .unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_definition_is_established_collected_for_and_ends_with_its_objects() {
    let world = World::with_hosts(&["h1"]).await;
    let tasks = TaskTracker::new();
    let kinds = Kinds::start(&world.storage, &tasks, CancellationToken::new());
    let definitions = world.storage.typed::<CustomResourceDefinition>();
    definitions.create(&widgets()).await.unwrap();
    world
        .until("its kind is known", async |_| {
            kinds.current().by_store_resource("widgets.example.com").is_some()
        })
        .await;
    let kind = kinds.current().by_store_resource("widgets.example.com").unwrap().clone();
    let widget = |name: &str, owner: Option<&Object>| {
        let owners = owner.map(|owner| {
            let uid = owner.value().unwrap()["metadata"]["uid"].clone();
            json!([{"apiVersion": "example.com/v1", "kind": "Widget", "name": "owner", "uid": uid}])
        });
        json!({"apiVersion": "example.com/v1", "kind": "Widget",
            "metadata": {"name": name, "ownerReferences": owners.unwrap_or_default()}})
    };
    let make = async |object| {
        let options = WriteOptions::default();
        world.storage.create(&kind, "default", object, &options).await.unwrap()
    };
    let owner = make(widget("owner", None)).await;
    make(widget("owned", Some(&owner))).await;
    make(widget("free", None)).await;
    let names = async || {
        let (all, fresh) = (ListOptions::default(), Consistency::Linearizable);
        let list = world.storage.list(&kind, None, all, fresh).await.unwrap();
        list.records.iter().map(|record| record.key.name.to_string()).collect::<Vec<_>>()
    };
    let delete = DeleteOptions::default();
    world.storage.delete(&kind, "default", "owner", &delete).await.unwrap();
    world.until("what it owned is collected", async |_| names().await == ["free"]).await;
    definitions.delete("", "widgets.example.com", &delete).await.unwrap();
    world
        .until("the definition is gone", async |_| {
            definitions.get("", "widgets.example.com").await.unwrap().is_none()
        })
        .await;
    assert_eq!(names().await, [""; 0]);
    world
        .until("its kind is gone", async |_| {
            kinds.current().by_store_resource("widgets.example.com").is_none()
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn dependents_stored_in_a_former_version_are_orphaned_without_the_webhook_that_converts_them()
{
    let world = World::with_hosts(&["h1"]).await;
    let tasks = TaskTracker::new();
    let kinds = Kinds::start(&world.storage, &tasks, CancellationToken::new());
    let definitions = world.storage.typed::<CustomResourceDefinition>();
    let mut definition = serde_json::to_value(widgets()).unwrap();
    let mut second = definition["spec"]["versions"][0].clone();
    (second["name"], second["storage"]) = (json!("v2"), json!(false));
    definition["spec"]["versions"].as_array_mut().unwrap().push(second);
    definition["spec"]["conversion"] = json!({"strategy": "Webhook", "webhook": {
        "clientConfig": {"url": "https://nowhere.invalid"}, "conversionReviewVersions": ["v1"]}});
    definitions.create(&serde_json::from_value(definition).unwrap()).await.unwrap();
    let stored_in = async |version: &str| {
        let stored = || kinds.current().by_store_resource("widgets.example.com").cloned();
        let is_it = async |_: &_| stored().is_some_and(|kind| kind.version == version);
        world.until("the version is stored", is_it).await;
        stored().unwrap()
    };
    let kind = stored_in("v1").await;
    let make = async |name: &str, owners: serde_json::Value| {
        let object = json!({"apiVersion": "example.com/v1", "kind": "Widget", "spec": {"a": 1},
            "metadata": {"name": name, "ownerReferences": owners}});
        let options = WriteOptions::default();
        world.storage.create(&kind, "default", object, &options).await.unwrap()
    };
    let owner = make("owner", json!([])).await;
    let uid = owner.value().unwrap()["metadata"]["uid"].clone();
    let reference =
        json!([{"apiVersion": "example.com/v1", "kind": "Widget", "name": "owner", "uid": uid}]);
    make("owned", reference).await;

    let switch = |definition: &mut CustomResourceDefinition| {
        definition.spec.versions[0].storage = false;
        definition.spec.versions[1].storage = true;
    };
    definitions.modify("", "widgets.example.com", switch).await.unwrap();
    let kind = stored_in("v2").await;
    let delete = DeleteOptions {
        propagation: Some(skein_objects::Propagation::Orphan),
        ..DeleteOptions::default()
    };
    world.storage.delete(&kind, "default", "owner", &delete).await.unwrap();
    let stored = async || {
        let fresh = Consistency::Linearizable;
        let object = world.storage.get(&kind, "default", "owned", fresh).await.unwrap();
        serde_json::from_slice::<serde_json::Value>(&object.record.value).unwrap()
    };
    let is_free = async |_: &_| {
        let owners = stored().await["metadata"]["ownerReferences"].clone();
        owners.as_array().is_none_or(Vec::is_empty)
    };
    world.until("it has no owner", is_free).await;
    let owned = stored().await;
    assert_eq!(
        (&owned["apiVersion"], &owned["spec"]),
        (&json!("example.com/v1"), &json!({"a": 1}))
    );
}
