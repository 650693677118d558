//! Objects whose versions are made by whoever converts.

use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use skein_consensus::{ListOptions, Record};
use skein_objects::custom_kinds;

use super::*;
use crate::Converter;

/// Calls `spec.one` `spec.two` in the other version, and counts the objects.
#[derive(Default)]
struct Renamer(AtomicUsize);

#[async_trait]
impl Converter for Renamer {
    async fn convert(
        &self,
        _: &Kind,
        to: &str,
        objects: Vec<Value>,
    ) -> Result<Vec<Value>, StatusError> {
        self.0.fetch_add(objects.len(), Ordering::Relaxed);
        let (from, into) = if to == "example.com/v2" { ("one", "two") } else { ("two", "one") };
        let renamed = objects.into_iter().map(|mut object| {
            object["apiVersion"] = json!(to);
            let value = object["spec"][from].take();
            object["spec"] = json!({into: value});
            object
        });
        Ok(renamed.collect())
    }
}

struct World {
    /// Without a converter, as controllers have it.
    plain: Storage,
    storage: Storage,
    renamer: Arc<Renamer>,
}

impl World {
    async fn new() -> Self {
        let (plain, renamer) = (storage().await, Arc::new(Renamer::default()));
        let storage = plain.clone().converting(renamer.clone());
        Self { plain, storage, renamer }
    }

    /// How many objects were converted since this was asked last.
    fn converted(&self) -> usize {
        self.renamer.0.swap(0, Ordering::Relaxed)
    }

    /// The kinds of both versions, in their order, of which the one named is stored.
    async fn kinds(&self, stored: &str) -> [Arc<Kind>; 2] {
        let definitions = registry().of::<CustomResourceDefinition>();
        let version = |name: &str, member: &str| {
            let spec = json!({"type": "object", "properties": {member: {"type": "string"}}});
            json!({"name": name, "served": true, "storage": name == stored, "schema":
                {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}}})
        };
        let spec = json!({"group": "example.com", "scope": "Namespaced",
            "names": {"plural": "widgets", "kind": "Widget"},
            "versions": [version("v1", "one"), version("v2", "two")],
            "conversion": {"strategy": "Webhook", "webhook": {
                "clientConfig": {"url": "https://host"}, "conversionReviewVersions": ["v1"]}}});
        let name = "widgets.example.com";
        let mut definition = json!({"apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition", "metadata": {"name": name}, "spec": spec});
        let made = self.plain.create(definitions, "", definition.clone(), &WRITE).await;
        if matches!(&made, Err(error) if error.reason == Reason::AlreadyExists) {
            let part = Part::Main;
            self.plain.update(definitions, "", name, part, definition, &WRITE).await.unwrap();
        }
        let fresh = Consistency::Linearizable;
        definition = self.plain.get(definitions, "", name, fresh).await.unwrap().value().unwrap();
        definition["status"]["acceptedNames"] = definition["spec"]["names"].clone();
        definition["status"]["conditions"] = json!([{"type": "Established", "status": "True"}]);
        let part = Part::Status;
        let written =
            self.plain.update(definitions, "", name, part, definition, &WRITE).await.unwrap();
        let kinds = custom_kinds(&written.value().unwrap(), written.revision().0);
        let [one, two] = <[Kind; 2]>::try_from(kinds).unwrap();
        [Arc::new(one), Arc::new(two)]
    }

    async fn stored(&self, kind: &Arc<Kind>) -> Value {
        let object = self.plain.get(kind, "default", "w", Consistency::Linearizable).await.unwrap();
        serde_json::from_slice(&object.record.value).unwrap()
    }

    async fn read(&self, kind: &Arc<Kind>) -> Value {
        let object = self.storage.get(kind, "default", "w", Consistency::Linearizable).await;
        self.storage.object_in_version(object.unwrap()).await.unwrap().value().unwrap()
    }
}

fn widget(version: &str, member: &str, text: &str) -> Value {
    json!({"apiVersion": format!("example.com/{version}"), "kind": "Widget",
        "metadata": {"name": "w", "finalizers": ["example.com/a"]}, "spec": {member: text}})
}

#[tokio::test]
async fn what_is_written_in_one_version_is_stored_and_read_in_another() {
    let world = World::new().await;
    let [one, two] = world.kinds("v1").await;
    let made = world.storage.create(&two, "default", widget("v2", "two", "a"), &WRITE).await;
    assert_eq!(made.unwrap().value().unwrap()["spec"], json!({"two": "a"}));
    assert_eq!(world.converted(), 1);
    let stored = world.stored(&one).await;
    assert_eq!(
        (&stored["apiVersion"], &stored["spec"]),
        (&json!("example.com/v1"), &json!({"one": "a"}))
    );
    assert_eq!(world.read(&two).await["spec"], json!({"two": "a"}));
    assert_eq!(world.converted(), 1);
    let change = |mut object: Value| {
        assert_eq!(object["apiVersion"], "example.com/v2");
        object["spec"]["two"] = json!("b");
        Ok(object)
    };
    let changed = world.storage.modify(&two, "default", "w", Part::Main, &WRITE, change).await;
    assert_eq!(changed.unwrap().value().unwrap()["spec"], json!({"two": "b"}));
    assert_eq!(world.stored(&one).await["spec"], json!({"one": "b"}));
}

#[tokio::test]
async fn the_version_stored_is_never_converted() {
    let world = World::new().await;
    let [one, _] = world.kinds("v1").await;
    world.storage.create(&one, "default", widget("v1", "one", "a"), &WRITE).await.unwrap();
    let new = widget("v1", "one", "b");
    world.storage.update(&one, "default", "w", Part::Main, new, &WRITE).await.unwrap();
    let list = world.storage.list(&one, None, ListOptions::default(), Consistency::Any).await;
    let records = list.unwrap().records;
    let same = world.storage.in_version(&one, records.clone()).await.unwrap();
    assert!(Arc::ptr_eq(&records[0], &same[0]), "not even copied");
    assert_eq!(world.converted(), 0);
}

#[tokio::test]
async fn a_change_of_nothing_writes_nothing_but_to_bring_an_object_to_the_version_now_stored() {
    let world = World::new().await;
    let [_, two] = world.kinds("v1").await;
    let made =
        world.storage.create(&two, "default", widget("v2", "two", "a"), &WRITE).await.unwrap();
    let touch = async |kind: &Arc<Kind>| {
        world.storage.modify(kind, "default", "w", Part::Main, &WRITE, Ok).await.unwrap()
    };
    assert_eq!(touch(&two).await.revision(), made.revision());
    let [_, two] = world.kinds("v2").await;
    let moved = touch(&two).await;
    assert!(moved.revision() > made.revision());
    assert_eq!(world.stored(&two).await["spec"], json!({"two": "a"}));
    world.converted();
    assert_eq!(touch(&two).await.revision(), moved.revision());
    assert_eq!(world.converted(), 0);
}

#[tokio::test]
async fn who_cannot_convert_edits_metadata_and_deletes_in_the_version_stored() {
    let world = World::new().await;
    let [one, _] = world.kinds("v1").await;
    world.storage.create(&one, "default", widget("v1", "one", "a"), &WRITE).await.unwrap();
    let [_, two] = world.kinds("v2").await;
    let refused = world.plain.modify(&two, "default", "w", Part::Main, &WRITE, Ok).await;
    assert_eq!(reason(refused), Reason::InternalError);
    let deleted = world.plain.delete(&two, "default", "w", &DeleteOptions::default()).await;
    assert!(matches!(deleted, Ok(Deleted::Marked(_))));
    let stored = world.stored(&two).await;
    assert_eq!(
        (&stored["apiVersion"], &stored["spec"]),
        (&json!("example.com/v1"), &json!({"one": "a"}))
    );
    let label = |mut object: Value| {
        object["metadata"]["labels"] = json!({"a": "b"});
        object["spec"] = json!({});
        Ok(object)
    };
    world.plain.modify_metadata(&two, "default", "w", &WRITE, label).await.unwrap();
    let stored = world.stored(&two).await;
    assert_eq!(stored["metadata"]["labels"], json!({"a": "b"}));
    assert_eq!(
        (&stored["apiVersion"], &stored["spec"]),
        (&json!("example.com/v1"), &json!({"one": "a"}))
    );
    let release = |mut object: Value| {
        object["metadata"]["finalizers"] = json!([]);
        Ok(object)
    };
    world.plain.modify_metadata(&two, "default", "w", &WRITE, release).await.unwrap();
    assert!(!exists(&world.plain, &two, "w").await);
    assert_eq!(world.converted(), 0);
}

/// A converter that loses what it is given.
struct Loser;

#[async_trait]
impl Converter for Loser {
    async fn convert(&self, _: &Kind, _: &str, _: Vec<Value>) -> Result<Vec<Value>, StatusError> {
        Ok(Vec::new())
    }
}

#[tokio::test]
async fn an_object_that_a_conversion_has_lost_is_an_error() {
    let world = World::new().await;
    let [one, two] = world.kinds("v1").await;
    let made = world.storage.create(&one, "default", widget("v1", "one", "a"), &WRITE).await;
    let record: Arc<Record> = Arc::new(made.unwrap().record);
    let storage = world.plain.clone().converting(Arc::new(Loser));
    assert_eq!(reason(storage.in_version(&two, vec![record]).await), Reason::InternalError);
}
