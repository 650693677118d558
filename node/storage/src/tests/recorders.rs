//! The promises of [`EventRecorder`].

use std::time::Duration;

use k8s_openapi::api::core::v1::Event;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::*;
use crate::{EventRecorder, EventType, Informer};

#[tokio::test]
async fn repetitions_count_up_one_event() {
    let storage = storage().await;
    let web: Pod = create(&storage, pods(), pod("web")).await.decode().unwrap();
    let cancel = CancellationToken::new();
    let tasks = TaskTracker::new();
    let events = Informer::<Event>::whole(&storage, &tasks, cancel.clone());
    assert!(events.synced().await);
    let mut changes = events.changes();
    let recorder = EventRecorder::start(&storage, "tester", "h1", &tasks, cancel.clone());
    for _ in 0..3 {
        recorder.event(&web, EventType::Warning, "BackOff", "it does not start");
    }
    recorder.event(&web, EventType::Normal, "Pulled", "it is there");
    let wait = async {
        loop {
            let list = events.list();
            let count = |reason: &str| {
                let named = list.iter().filter(|event| event.reason.as_deref() == Some(reason));
                named.map(|event| event.count.unwrap_or_default()).collect::<Vec<_>>()
            };
            if count("BackOff") == [3] && count("Pulled") == [1] {
                return list;
            }
            changes.next().await;
        }
    };
    let list = tokio::time::timeout(Duration::from_secs(10), wait).await.unwrap();
    assert!(list.iter().all(|event| event.involved_object.uid == web.metadata.uid));
    assert!(list.iter().all(|event| event.metadata.namespace.as_deref() == Some("default")));
    cancel.cancel();
}
