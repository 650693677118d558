//! The promises of [`Informer`].

use std::{sync::Arc, time::Duration};

use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::*;
use crate::{Change, Changes, Informer};

/// How long a change may take to arrive before the test fails.
const DEADLINE: Duration = Duration::from_secs(10);

async fn until(changes: &mut Changes, mut holds: impl FnMut() -> bool) {
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
    let informer = Informer::<ConfigMap>::start(&storage, None, &tasks, cancel.clone());
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

#[tokio::test]
async fn an_object_that_leaves_the_filter_leaves_the_informer() {
    let storage = storage().await;
    create(&storage, config_maps(), config_map("a")).await;
    let cancel = CancellationToken::new();
    let tasks = TaskTracker::new();
    let filter = |object: &ConfigMap| object.metadata.labels.is_none();
    let informer =
        Informer::<ConfigMap>::start(&storage, Some(Arc::new(filter)), &tasks, cancel.clone());
    assert!(informer.synced().await);
    assert!(informer.get("default", "a").is_some());
    let mut changes = informer.changes();
    let label = |object: &mut ConfigMap| {
        object.metadata.labels = Some([("x".to_owned(), "y".to_owned())].into());
    };
    storage.typed::<ConfigMap>().modify("default", "a", label).await.unwrap();
    until(&mut changes, || informer.get("default", "a").is_none()).await;
    cancel.cancel();
}

#[tokio::test]
async fn a_slow_subscriber_is_told_to_look_at_everything() {
    let storage = storage().await;
    create(&storage, config_maps(), config_map("a")).await;
    let cancel = CancellationToken::new();
    let tasks = TaskTracker::new();
    let informer = Informer::<ConfigMap>::start(&storage, None, &tasks, cancel.clone());
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
    assert_eq!(slow.next().await, Some(Change::Resync));
    cancel.cancel();
}
