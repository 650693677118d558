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
