//! Keeps the index up to date with one kind.

use std::{collections::HashSet, sync::Arc};

use futures::StreamExt;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Deserialize;
use skein_consensus::{Consistency, Event, ListOptions, Record};
use skein_objects::{Kind, StatusError};
use skein_storage::Storage;
use tokio::sync::oneshot;

use super::index::{Entry, Index, Uid};
use crate::{limits::FOLLOW_PAUSE, queue::Queue, reconcile::ObjectKey};

/// Lists and watches `kind` for ever, and tells `listed` once the first listing is in the index.
pub(super) async fn follow(
    storage: Storage,
    kind: &'static Kind,
    index: Arc<Index>,
    queue: Arc<Queue<Uid>>,
    listed: oneshot::Sender<()>,
) {
    let mut listed = Some(listed);
    loop {
        if let Err(error) = once(&storage, kind, &index, &queue, &mut listed).await {
            tracing::debug!(kind = kind.kind, %error, "the collector lists again");
        }
        tokio::time::sleep(FOLLOW_PAUSE).await;
    }
}

async fn once(
    storage: &Storage,
    kind: &'static Kind,
    index: &Index,
    queue: &Queue<Uid>,
    listed: &mut Option<oneshot::Sender<()>>,
) -> Result<(), StatusError> {
    let look = |uids: Vec<Uid>| uids.into_iter().for_each(|uid| queue.add(uid));
    let list = storage.list(kind, None, ListOptions::default(), Consistency::Linearizable).await?;
    let present: HashSet<ObjectKey> = list.records.iter().map(key).collect();
    for gone in index.keys(kind).into_iter().filter(|key| !present.contains(key)) {
        look(index.remove(kind, &gone));
    }
    list.records.iter().filter_map(|record| entry(kind, record)).for_each(|e| look(index.put(e)));
    if let Some(listed) = listed.take() {
        // Nobody waits any more when the term is over.
        let _ended = listed.send(());
    }
    let mut changes = storage.watch(kind, None, list.revision).await?;
    while let Some(batch) = changes.next().await {
        for event in batch?.events {
            match event {
                Event::Put { record, .. } => {
                    entry(kind, &record).into_iter().for_each(|entry| look(index.put(entry)));
                }
                Event::Delete { previous, .. } => look(index.remove(kind, &key(&previous))),
            }
        }
    }
    Ok(())
}

fn key(record: &Record) -> ObjectKey {
    (record.key.namespace.clone(), record.key.name.clone())
}

/// Reads the metadata alone: the rest of the object does not matter here.
fn entry(kind: &'static Kind, record: &Record) -> Option<Entry> {
    #[derive(Deserialize)]
    struct Partial {
        metadata: ObjectMeta,
    }
    match serde_json::from_slice::<Partial>(&record.value) {
        Ok(partial) => Some(Entry::of(kind, partial.metadata)),
        Err(error) => {
            tracing::error!(key = %record.key, %error, "the collector leaves out an object");
            None
        }
    }
}
