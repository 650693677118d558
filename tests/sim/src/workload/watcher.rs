//! A client that follows every change of the registers.

use std::sync::Arc;

use futures::StreamExt;
use skein_consensus::{
    Consistency, Event, KeyRange, ListOptions, Record, Revision, SharedStore, StoreError,
};
use tokio::time::{Duration, sleep};

use super::registers::{RESOURCE, register_of, value_of};
use crate::history::{Change, Given, History};

/// Between two attempts while the store does not answer.
const PAUSE: Duration = Duration::from_millis(50);

/// Lists, watches, and goes on where it was when the stream breaks, until dropped.
pub(crate) async fn watch_registers(store: SharedStore, history: History, watcher: u64) {
    let range = KeyRange::all(RESOURCE);
    let mut position = None;
    loop {
        let from = match position {
            Some(from) => from,
            None => match list(&store, &range, &history, watcher).await {
                Some(at) => *position.insert(at),
                None => {
                    sleep(PAUSE).await;
                    continue;
                }
            },
        };
        match store.watch(&range, from).await {
            Ok(mut stream) => {
                while let Some(Ok(batch)) = stream.next().await {
                    position = Some(batch.revision);
                    let changes = batch.events.iter().filter_map(change).collect();
                    history.given(watcher, Given::Batch { changes, upto: batch.revision });
                }
            }
            Err(StoreError::Compacted { .. }) => position = None,
            Err(_) => {}
        }
        sleep(PAUSE).await;
    }
}

async fn list(
    store: &SharedStore,
    range: &KeyRange,
    history: &History,
    watcher: u64,
) -> Option<Revision> {
    let listed = store.list(range, ListOptions::default(), Consistency::Any).await.ok()?;
    let value = |record: &Arc<Record>| {
        Some((register_of(&record.key)?, (value_of(&record.value)?, record.modified)))
    };
    let values = listed.records.iter().filter_map(value).collect();
    history.given(watcher, Given::Listed { at: listed.revision, values });
    Some(listed.revision)
}

fn change(event: &Event) -> Option<Change> {
    let value = match event {
        Event::Put { record, .. } => Some(value_of(&record.value)?),
        Event::Delete { .. } => None,
    };
    Some(Change { revision: event.revision(), register: register_of(event.key())?, value })
}
