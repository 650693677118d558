//! What every [`StoreClient`] promises, checked of each implementation.

use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt;
use tokio::time::{Duration, timeout};

use crate::limits;
use skein_store::{
    Consistency, Event, Key, KeyRange, ListOptions, Operation, Precondition, Record, Revision,
    SharedStore, StoreError, Transaction, WatchStream,
};

fn key(resource: &str, name: &str) -> Key {
    Key::new(resource, "default", name)
}

fn put(key: Key, value: impl Into<Bytes>, when: Precondition) -> Transaction {
    Transaction::new(vec![Operation::Put { key, value: value.into(), when }])
}

fn delete(key: Key) -> Transaction {
    Transaction::new(vec![Operation::Delete { key, when: Precondition::Exists }])
}

/// Runs the suite. Each part uses a resource of its own.
pub(crate) async fn check(store: &SharedStore) {
    preconditions_guard_writes(store).await;
    a_repeated_request_applies_once(store).await;
    transactions_apply_whole_or_not_at_all(store).await;
    lists_are_ordered_paged_and_consistent(store).await;
    lists_show_the_past(store).await;
    reads_see_what_was_acknowledged(store).await;
    watches_neither_skip_nor_repeat(store).await;
    watches_tell_their_progress(store).await;
    watches_live_on_while_nothing_happens(store).await;
    malformed_transactions_are_refused(store).await;
    large_lists_arrive_whole(store).await;
}

async fn preconditions_guard_writes(store: &SharedStore) {
    let key = key("guards", "a");
    let made = store.write(put(key.clone(), "1", Precondition::Absent)).await.unwrap()[0];
    let refused = store.write(put(key.clone(), "2", Precondition::Absent)).await;
    let expected =
        StoreError::PreconditionFailed { index: 0, key: key.clone(), current: Some(made) };
    assert_eq!(refused, Err(expected));
    let changed = store.write(put(key.clone(), "2", Precondition::Unchanged(made))).await.unwrap();
    assert!(changed[0] > made);
    let refused = store.write(put(key.clone(), "3", Precondition::Unchanged(made))).await;
    assert!(matches!(refused, Err(StoreError::PreconditionFailed { .. })));
    store.write(delete(key.clone())).await.unwrap();
    let refused = store.write(delete(key)).await;
    assert!(matches!(refused, Err(StoreError::PreconditionFailed { current: None, .. })));
}

async fn a_repeated_request_applies_once(store: &SharedStore) {
    let transaction = put(key("repeats", "a"), "1", Precondition::Absent);
    let first = store.write(transaction.clone()).await.unwrap();
    assert_eq!(store.write(transaction).await.unwrap(), first);
}

async fn transactions_apply_whole_or_not_at_all(store: &SharedStore) {
    let (a, b) = (key("wholes", "a"), key("wholes", "b"));
    let both = |when| {
        Transaction::new(vec![
            Operation::Put { key: a.clone(), value: "1".into(), when: Precondition::Any },
            Operation::Check { key: b.clone(), when },
        ])
    };
    assert!(store.write(both(Precondition::Exists)).await.is_err());
    let (record, _) = store.get(&a, Consistency::Linearizable).await.unwrap();
    assert_eq!(record, None);
    store.write(both(Precondition::Absent)).await.unwrap();
    let (record, _) = store.get(&a, Consistency::Linearizable).await.unwrap();
    assert_eq!(record.unwrap().value, "1");
}

async fn lists_are_ordered_paged_and_consistent(store: &SharedStore) {
    for name in ["c", "a", "b"] {
        store.write(put(key("lists", name), name.to_owned(), Precondition::Any)).await.unwrap();
    }
    let range = KeyRange::all("lists");
    let all = ListOptions::default();
    let listed = store.list(&range, all, Consistency::Linearizable).await.unwrap();
    let names = |records: &[Arc<Record>]| {
        records.iter().map(|record| record.key.name.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(names(&listed.records), ["a", "b", "c"]);
    assert!(listed.records.iter().all(|record| record.modified <= listed.revision));
    let page = ListOptions { limit: 2, after: None, at: None };
    let listed = store.list(&range, page, Consistency::Linearizable).await.unwrap();
    assert_eq!((names(&listed.records).join(""), listed.remaining), ("ab".to_owned(), 1));
    let rest = ListOptions { limit: 2, after: Some(key("lists", "b")), at: None };
    let listed = store.list(&range, rest, Consistency::Linearizable).await.unwrap();
    assert_eq!((names(&listed.records).join(""), listed.remaining), ("c".to_owned(), 0));
    let other = KeyRange::namespaced("lists", "other");
    let none = store.list(&other, ListOptions::default(), Consistency::Any).await.unwrap();
    assert!(none.records.is_empty());
}

async fn lists_show_the_past(store: &SharedStore) {
    for name in ["a", "b", "c"] {
        store.write(put(key("past", name), "1", Precondition::Absent)).await.unwrap();
    }
    let range = KeyRange::all("past");
    let read = async |after: Option<Key>, limit, at| {
        let options = ListOptions { limit, after, at };
        let freshness = at.map_or(Consistency::Linearizable, Consistency::AtLeast);
        store.list(&range, options, freshness).await
    };
    let whole = read(None, 0, None).await.unwrap();
    store.write(delete(key("past", "b"))).await.unwrap();
    store.write(put(key("past", "b"), "2", Precondition::Absent)).await.unwrap();
    store.write(put(key("past", "bb"), "2", Precondition::Absent)).await.unwrap();
    store.write(delete(key("past", "c"))).await.unwrap();
    let at = Some(whole.revision);
    let again = read(None, 0, at).await.unwrap();
    assert_eq!(again, whole);
    let page = read(Some(key("past", "a")), 1, at).await.unwrap();
    assert_eq!((&page.records[..], page.remaining), (&whole.records[1..2], 1));
    assert_eq!(page.revision, whole.revision);
    let ahead = ListOptions { at: Some(Revision(u64::MAX)), ..ListOptions::default() };
    let refused = store.list(&range, ahead, Consistency::Any).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
}

async fn reads_see_what_was_acknowledged(store: &SharedStore) {
    let key = key("reads", "a");
    for value in 0..20 {
        let written =
            store.write(put(key.clone(), value.to_string(), Precondition::Any)).await.unwrap();
        for consistency in [Consistency::Linearizable, Consistency::AtLeast(written[0])] {
            let (record, revision) = store.get(&key, consistency).await.unwrap();
            assert_eq!(record.unwrap().value, value.to_string(), "{consistency:?}");
            assert!(revision >= written[0]);
        }
    }
}

async fn next(watch: &mut WatchStream) -> Option<Result<crate::EventBatch, StoreError>> {
    timeout(Duration::from_secs(20), watch.next()).await.expect("the watch stays silent")
}

async fn watches_neither_skip_nor_repeat(store: &SharedStore) {
    let name = |index: usize| key("watches", &format!("n{}", index % 7));
    let (_, before) = store.get(&name(0), Consistency::Linearizable).await.unwrap();
    let mut written = Vec::new();
    let mut live = store.watch(&KeyRange::all("watches"), before).await.unwrap();
    for index in 0..60 {
        let transaction = put(name(index), index.to_string(), Precondition::Any);
        written.push(store.write(transaction).await.unwrap()[0]);
        let elsewhere = put(key("elsewhere", "a"), "1", Precondition::Any);
        store.write(elsewhere).await.unwrap();
    }
    written.push(store.write(delete(name(0))).await.unwrap()[0]);
    let mut late = store.watch(&KeyRange::all("watches"), before).await.unwrap();
    for watch in [&mut live, &mut late] {
        let (mut seen, mut position) = (Vec::new(), before);
        while seen.len() < written.len() {
            let batch = next(watch).await.unwrap().unwrap();
            assert!(batch.revision >= position);
            position = batch.revision;
            seen.extend(batch.events);
        }
        let revisions: Vec<Revision> = seen.iter().map(Event::revision).collect();
        assert_eq!(revisions, written);
        assert!(
            matches!(seen.last(), Some(Event::Delete { previous, .. }) if previous.key == name(0))
        );
        assert!(matches!(&seen[7], Event::Put { previous: Some(old), .. } if old.value == "0"));
    }
}

async fn watches_tell_their_progress(store: &SharedStore) {
    let (_, before) = store.get(&key("quiet", "a"), Consistency::Linearizable).await.unwrap();
    let mut watch = store.watch(&KeyRange::all("quiet"), before).await.unwrap();
    let written = store.write(put(key("noise", "a"), "1", Precondition::Any)).await.unwrap()[0];
    let batch = next(&mut watch).await.unwrap().unwrap();
    assert!(batch.events.is_empty());
    assert!(batch.revision >= written);
}

async fn watches_live_on_while_nothing_happens(store: &SharedStore) {
    let (_, now) = store.get(&key("idle", "a"), Consistency::Linearizable).await.unwrap();
    let mut watch = store.watch(&KeyRange::all("idle"), now).await.unwrap();
    let idle_since = tokio::time::Instant::now();
    while idle_since.elapsed() < 2 * limits::STREAM_IDLE {
        let batch = next(&mut watch).await.unwrap().unwrap();
        assert!(batch.events.is_empty());
    }
    let written = store.write(put(key("idle", "a"), "1", Precondition::Any)).await.unwrap()[0];
    let batch = loop {
        let batch = next(&mut watch).await.unwrap().unwrap();
        if !batch.events.is_empty() {
            break batch;
        }
    };
    assert_eq!(batch.events[0].revision(), written);
}

async fn malformed_transactions_are_refused(store: &SharedStore) {
    let refused = store.write(Transaction::new(Vec::new())).await;
    assert!(matches!(refused, Err(StoreError::Invalid(_))));
    let huge = put(key("huge", "a"), vec![0; 5 << 20], Precondition::Any);
    assert!(matches!(store.write(huge).await, Err(StoreError::Invalid(_))));
}

async fn large_lists_arrive_whole(store: &SharedStore) {
    let value = Bytes::from(vec![7; 300_000]);
    for index in 0..4 {
        let key = key("large", &format!("n{index}"));
        store.write(put(key, value.clone(), Precondition::Any)).await.unwrap();
    }
    let range = KeyRange::all("large");
    let listed =
        store.list(&range, ListOptions::default(), Consistency::Linearizable).await.unwrap();
    assert_eq!(listed.records.len(), 4);
    assert!(listed.records.iter().all(|record| record.value == value));
}
