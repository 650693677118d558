use std::sync::Arc;

use k8s_openapi::api::core::v1::ConfigMap;
use skein_consensus::Key;
use skein_objects::{canonical, registry};

use serde_json::{Value, json};

use super::*;
use crate::{
    LoadLimits, body,
    load::Load,
    media::Shape,
    route::{Route, Verb, route},
};

const AT: Revision = Revision(9);

fn start_of(text: &str) -> Result<Start, u16> {
    let query = Query::parse(Some(text));
    let bookmarks = query.flag("allowWatchBookmarks").unwrap();
    let Ok(Route::Objects(target)) = route("/api/v1/configmaps", registry()) else {
        panic!("no objects")
    };
    let body = body::boxed(http_body_util::Empty::new());
    let call =
        Call::new(Arc::default(), target, Verb::Watch, query, http::Request::new(body), None);
    start(&call, bookmarks).map_err(|error| error.code)
}

#[test]
fn a_watch_begins_where_kubernetes_says() {
    let initial = |consistency, mark_end| Ok(Start::Initial { consistency, mark_end });
    let cases = [
        ("", initial(Consistency::Linearizable, false)),
        ("resourceVersion=0", initial(Consistency::Any, false)),
        ("resourceVersion=9", Ok(Start::After(AT))),
        (
            "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true",
            initial(Consistency::Linearizable, true),
        ),
        (
            "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&resourceVersion=9",
            initial(Consistency::AtLeast(AT), false),
        ),
        (
            "sendInitialEvents=false&resourceVersionMatch=NotOlderThan&resourceVersion=0",
            Ok(Start::Now { consistency: Consistency::Any }),
        ),
        ("sendInitialEvents=true", Err(400)),
        ("resourceVersion=9&resourceVersionMatch=Exact", Err(400)),
    ];
    for (query, expected) in cases {
        assert_eq!(start_of(query), expected, "{query}");
    }
}

fn record(revision: u64, app: &str) -> Arc<Record> {
    let kind = registry().of::<ConfigMap>();
    let object = json!({"metadata": {"name": "a", "labels": {"app": app}}, "kind": "ConfigMap"});
    let record = Record {
        key: Key::new(kind.store_resource(), "default", "a"),
        value: canonical(&object),
        created: Revision(1),
        modified: Revision(revision),
    };
    record.into()
}

fn lines(selector: &str) -> Lines {
    let kind = registry().of::<ConfigMap>();
    let query = Query::parse(Some(selector));
    Lines {
        form: Form::new(kind, Shape::Object, &query).unwrap(),
        filter: Filter::new(kind, None, &query).unwrap(),
        out: Vec::new(),
    }
}

fn seen(selector: &str, event: &Event) -> Option<(String, String)> {
    let mut lines = lines(selector);
    lines.event(event).unwrap();
    if lines.out.is_empty() {
        return None;
    }
    let line: Value = serde_json::from_slice(&lines.out).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    Some((text(&line["type"]), text(&line["object"]["metadata"]["resourceVersion"])))
}

#[test]
fn changes_across_a_selector_are_arrivals_and_departures() {
    let put = |previous: Option<&str>, now: &str| Event::Put {
        record: record(7, now),
        previous: previous.map(|app| record(3, app)),
    };
    let delete = |app: &str| Event::Delete { previous: record(3, app), revision: Revision(8) };
    let cases = [
        (put(None, "web"), Some(("ADDED", "7"))),
        (put(None, "db"), None),
        (put(Some("web"), "web"), Some(("MODIFIED", "7"))),
        (put(Some("db"), "web"), Some(("ADDED", "7"))),
        (put(Some("web"), "db"), Some(("DELETED", "7"))),
        (put(Some("db"), "db"), None),
        (delete("web"), Some(("DELETED", "8"))),
        (delete("db"), None),
    ];
    for (event, expected) in cases {
        let expected = expected.map(|(kind, version)| (kind.to_owned(), version.to_owned()));
        assert_eq!(seen("labelSelector=app%3Dweb", &event), expected, "{event:?}");
    }
}

/// A watch from revision 9 that is served `batches` and then nothing more.
fn watch_of(batches: Vec<Result<EventBatch, StatusError>>, bookmarks: bool) -> Watch {
    let tick = tokio::time::interval_at(Instant::now() + limits::BOOKMARK, limits::BOOKMARK);
    Watch {
        lines: lines(""),
        initial: Initial::default(),
        events: stream::iter(batches).chain(stream::pending()).boxed(),
        changes: Vec::new().into_iter(),
        arrived: AT,
        seen: AT,
        told: AT,
        tick: bookmarks.then_some(tick),
        deadline: Instant::now() + limits::WATCH,
        cancel: CancellationToken::new(),
        is_over: false,
        _place: Load::new(LoadLimits::default()).stream(None).unwrap(),
    }
}

async fn next_line(watch: &mut Watch) -> Option<Value> {
    watch.next().await.map(|line| serde_json::from_slice(&line).unwrap())
}

fn progress(revision: u64) -> Result<EventBatch, StatusError> {
    Ok(EventBatch { events: Vec::new(), revision: Revision(revision) })
}

#[tokio::test(start_paused = true)]
async fn a_watch_whose_beginning_cannot_be_told_ends_with_why() {
    let mut watch = watch_of(vec![progress(20)], true);
    let kind = registry().of::<ConfigMap>();
    watch.lines.form = Form::new(kind, Shape::Metadata, &Query::parse(None)).unwrap();
    let broken = Record { value: Bytes::from_static(b"{"), ..(*record(7, "web")).clone() };
    let records = vec![record(5, "web"), Arc::new(broken), record(8, "web")];
    watch.initial = Initial { records: records.into_iter(), end: Some(AT) };
    let told = watch.next().await.unwrap();
    let lines: Vec<Value> =
        serde_json::Deserializer::from_slice(&told).into_iter().collect::<Result<_, _>>().unwrap();
    let types: Vec<_> = lines.iter().map(|line| line["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["ADDED", "ERROR"]);
    assert_eq!(watch.next().await, None);
}

#[tokio::test(start_paused = true)]
async fn a_quiet_watch_gets_one_bookmark_for_its_progress() {
    let mut watch = watch_of(vec![progress(20)], true);
    let begun = Instant::now();
    let line = next_line(&mut watch).await.unwrap();
    assert_eq!(line["type"], "BOOKMARK");
    assert_eq!(line["object"]["kind"], "ConfigMap");
    assert_eq!(line["object"]["metadata"]["resourceVersion"], "20");
    assert_eq!(begun.elapsed(), limits::BOOKMARK);
    assert_eq!(next_line(&mut watch).await, None, "nothing new until it ends");
    assert!(begun.elapsed() >= limits::WATCH);
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_did_not_ask_gets_no_bookmarks() {
    let mut watch = watch_of(vec![progress(20)], false);
    assert_eq!(next_line(&mut watch).await, None);
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_fell_behind_ends_with_an_error_of_410() {
    let mut watch = watch_of(vec![Err(StatusError::expired("too old")), progress(20)], true);
    let line = next_line(&mut watch).await.unwrap();
    assert_eq!((&line["type"], &line["object"]["code"]), (&json!("ERROR"), &json!(410)));
    assert_eq!(next_line(&mut watch).await, None);
}

#[tokio::test(start_paused = true)]
async fn a_large_batch_comes_in_chunks_and_whole() {
    let count = 3_000;
    let put = |revision| Event::Put { record: record(revision, "web"), previous: None };
    let events: Vec<Event> = (10..10 + count).map(put).collect();
    let revision = Revision(10 + count);
    let mut watch = watch_of(vec![Ok(EventBatch { events, revision })], true);
    let mut told = Vec::new();
    while told.len() < usize::try_from(count).unwrap() {
        let chunk = watch.next().await.unwrap();
        assert!(chunk.len() < limits::CHUNK_BYTES + 1_000, "{}", chunk.len());
        let lines = chunk.split_inclusive(|byte| *byte == b'\n');
        told.extend(lines.map(|line| serde_json::from_slice::<Value>(line).unwrap()));
    }
    let revisions = told.iter().map(|line| line["object"]["metadata"]["resourceVersion"].clone());
    assert!(revisions.eq((10..10 + count).map(|revision| json!(revision.to_string()))));
    assert_eq!(next_line(&mut watch).await, None, "the client knows how far it is");
}
