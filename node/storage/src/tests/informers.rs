//! The promises of [`Informer`].

use std::time::Duration;

use skein_consensus::Record;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::*;
use crate::{Change, Changes, Informer, View, read_part};

/// How long a change may take to arrive before the test fails.
const DEADLINE: Duration = Duration::from_secs(10);

async fn until<V>(changes: &mut Changes<V>, mut holds: impl FnMut() -> bool) {
    let wait = async {
        while !holds() {
            assert!(changes.next().await.is_some(), "the informer ended");
        }
    };
    tokio::time::timeout(DEADLINE, wait).await.expect("the condition holds in time");
}

#[tokio::test]
async fn an_informer_has_what_was_there_and_follows_what_comes() {
    let storage = storage().await;
    create(&storage, config_maps(), config_map("before")).await;
    let cancel = CancellationToken::new();
    let tasks = TaskTracker::new();
    let informer = Informer::<ConfigMap>::whole(&storage, &tasks, cancel.clone());
    assert!(informer.synced().await);
    assert!(informer.get("default", "before").is_some());

    let mut changes = informer.changes();
    create(&storage, config_maps(), config_map("after")).await;
    until(&mut changes, || informer.get("default", "after").is_some()).await;
    assert_eq!(informer.list_namespace("default").len(), 2);
    storage.delete(config_maps(), "default", "after", &DeleteOptions::default()).await.unwrap();
    until(&mut changes, || informer.get("default", "after").is_none()).await;

    cancel.cancel();
    tasks.close();
    tasks.wait().await;
}

/// The name of an object and one of its data.
#[derive(Debug)]
struct Entry {
    name: String,
    value: String,
}

impl View for Entry {
    type Group = String;

    fn namespace(&self) -> &str {
        "default"
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn groups(&self) -> Vec<String> {
        vec![self.value.clone()]
    }
}

/// Keeps those that say something.
fn entries(storage: &Storage, tasks: &TaskTracker, cancel: &CancellationToken) -> Informer<Entry> {
    let read = |record: &Record| {
        let object: ConfigMap = read_part(record)?;
        let name = record.key.name.to_string();
        let value = object.data.and_then(|mut data| data.remove("a"));
        Ok(value.map(|value| Entry { name, value }))
    };
    Informer::start(storage, config_maps().clone(), Box::new(read), tasks, cancel.clone())
}

fn say(value: Option<&str>) -> impl FnMut(&mut ConfigMap) + Send {
    let data = value.map(|value| ("a".to_owned(), value.to_owned()));
    move |object| object.data = Some(data.clone().into_iter().collect())
}

#[tokio::test]
async fn an_object_that_is_left_out_from_a_change_on_leaves_the_informer() {
    let storage = storage().await;
    create(&storage, config_maps(), config_map("a")).await;
    let (tasks, cancel) = (TaskTracker::new(), CancellationToken::new());
    let informer = entries(&storage, &tasks, &cancel);
    assert!(informer.synced().await);
    assert!(informer.get("default", "a").is_some());
    let mut changes = informer.changes();
    storage.typed::<ConfigMap>().modify("default", "a", say(None)).await.unwrap();
    until(&mut changes, || informer.get("default", "a").is_none()).await;
    assert!(informer.groups().is_empty());
    cancel.cancel();
}

#[tokio::test]
async fn an_object_is_found_in_the_group_it_is_in_now_and_its_former_state_is_told() {
    let storage = storage().await;
    for name in ["b", "a"] {
        create(&storage, config_maps(), config_map(name)).await;
    }
    let (tasks, cancel) = (TaskTracker::new(), CancellationToken::new());
    let informer = entries(&storage, &tasks, &cancel);
    assert!(informer.synced().await);
    let names = |group: &str| -> Vec<String> {
        informer.list_groups(&[group.to_owned()]).iter().map(|entry| entry.name.clone()).collect()
    };
    assert_eq!(names("1"), ["a", "b"]);
    let mut changes = informer.changes();
    storage.typed::<ConfigMap>().modify("default", "a", say(Some("2"))).await.unwrap();
    let Some(Change::Object { name, former, .. }) = changes.next().await else {
        panic!("no change of an object")
    };
    assert_eq!((&*name, former.unwrap().value.as_str()), ("a", "1"));
    assert_eq!((names("1"), names("2")), (vec!["b".to_owned()], vec!["a".to_owned()]));
    storage.delete(config_maps(), "default", "a", &DeleteOptions::default()).await.unwrap();
    until(&mut changes, || informer.get("default", "a").is_none()).await;
    assert_eq!(informer.groups(), ["1"]);
    cancel.cancel();
}

#[tokio::test]
async fn a_slow_subscriber_is_told_to_look_at_everything() {
    let storage = storage().await;
    create(&storage, config_maps(), config_map("a")).await;
    let cancel = CancellationToken::new();
    let tasks = TaskTracker::new();
    let informer = Informer::<ConfigMap>::whole(&storage, &tasks, cancel.clone());
    assert!(informer.synced().await);
    let mut slow = informer.changes();
    let mut attentive = informer.changes();
    let count = crate::limits::INFORMER_CHANGES + 1;
    for round in 0..count {
        let touch = |object: &mut ConfigMap| {
            object.data = Some([("round".to_owned(), round.to_string())].into());
        };
        storage.typed::<ConfigMap>().modify("default", "a", touch).await.unwrap();
        let is_current = || {
            let object = informer.get("default", "a");
            let data = object.as_ref().and_then(|object| object.data.as_ref());
            data.and_then(|data| data.get("round")) == Some(&round.to_string())
        };
        until(&mut attentive, is_current).await;
    }
    assert!(matches!(slow.next().await, Some(Change::Resync)));
    cancel.cancel();
}
