//! watch: what the list held, then every change, as one JSON document a line.

mod resume;

use std::{io, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::{StreamExt, stream};
use jiff::Timestamp;
use skein_consensus::{Consistency, Event, EventBatch, Record, Revision};
use skein_objects::StatusError;
use skein_storage::WatchEvents;
use tokio::time::{Instant, Interval, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::list;
use crate::{
    call::Call,
    filter::Filter,
    form::Form,
    limits,
    load::StreamPlace,
    media::{self, JSON},
    query::{Query, Version},
    reply::{Reply, stream as stream_reply},
    service::Service,
};

/// More than a line has besides its object as stored.
const LINE_BYTES: usize = 128;

/// Where a watch begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Start {
    /// After this revision.
    After(Revision),
    /// With what a list of this freshness holds, marked as the beginning where asked for.
    Initial { consistency: Consistency, mark_end: bool },
    /// With the changes after a list of this freshness.
    Now { consistency: Consistency },
}

/// Streams changes until the client, the clock or the server ends it.
pub(super) async fn watch(
    service: &Service,
    call: &Call,
    permit: StreamPlace,
) -> Result<Reply, StatusError> {
    let target = &call.target;
    let filter = Filter::new(&target.kind, target.name.as_deref(), &call.query)?;
    let form = Form::new(&target.kind, media::shape(&call.headers)?, &call.query)?;
    let bookmarks = call.query.flag("allowWatchBookmarks")?;
    let start = start(call, bookmarks)?;
    let deadline = Instant::now() + duration(&call.query)?;
    let namespace = target.namespace.as_deref();
    let mut initial = Initial::default();
    let from = match start {
        Start::After(revision) => revision,
        Start::Initial { consistency, .. } | Start::Now { consistency } => {
            let page = list::PageOptions::all(consistency);
            let storage = &service.storage;
            let page = list::collect(storage, &target.kind, namespace, &filter, page).await?;
            if let Start::Initial { mark_end, .. } = start {
                initial.records = page.records.into_iter();
                initial.end = mark_end.then_some(page.meta.revision);
            }
            page.meta.revision
        }
    };
    let events = resume::watch(&service.storage, &target.kind, namespace, from).await?;
    let events = service.conversions.of_changes(&target.kind, &filter, events);
    let mut tick = tokio::time::interval_at(Instant::now() + limits::BOOKMARK, limits::BOOKMARK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let watch = Watch {
        lines: Lines { form, filter, out: Vec::new() },
        initial,
        events,
        changes: Vec::new().into_iter(),
        arrived: from,
        seen: from,
        told: from,
        tick: bookmarks.then_some(tick),
        deadline,
        cancel: service.cancel.clone(),
        is_over: false,
        _place: permit,
    };
    let body = stream::unfold(watch, |mut watch| async {
        watch.next().await.map(|lines| (io::Result::Ok(lines), watch))
    });
    Ok(stream_reply(JSON, body))
}

fn start(call: &Call, bookmarks: bool) -> Result<Start, StatusError> {
    let query = &call.query;
    let version = query.version()?;
    let initial = query.optional_flag("sendInitialEvents")?;
    let matching = query.get("resourceVersionMatch");
    let refuse = |why: &str| Err(StatusError::bad_request(why));
    match (initial, version) {
        (Some(_), _) if matching != Some("NotOlderThan") => {
            refuse("sendInitialEvents requires setting resourceVersionMatch to NotOlderThan")
        }
        (None, _) if matching.is_some() => refuse(
            "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
        ),
        (Some(true), version) => {
            Ok(Start::Initial { consistency: call.consistency(version), mark_end: bookmarks })
        }
        (None, Version::Latest | Version::Any) => {
            Ok(Start::Initial { consistency: call.consistency(version), mark_end: false })
        }
        (Some(false), Version::Latest | Version::Any) => {
            Ok(Start::Now { consistency: call.consistency(version) })
        }
        (_, Version::At(revision)) => Ok(Start::After(revision)),
    }
}

/// How long the watch lasts. Those that do not say end at scattered times.
fn duration(query: &Query) -> Result<Duration, StatusError> {
    let scattered = || limits::WATCH.mul_f64(1.0 + rand::random::<f64>());
    match query.number("timeoutSeconds")? {
        None | Some(0) => Ok(scattered()),
        Some(seconds) => Ok(Duration::from_secs(seconds).min(2 * limits::WATCH)),
    }
}

/// The state of a watch under way.
struct Watch {
    lines: Lines,
    initial: Initial,
    events: WatchEvents,
    /// What has arrived and is not written yet, and up to where it reaches.
    changes: std::vec::IntoIter<Event>,
    arrived: Revision,
    /// Up to where changes are written, and up to where the client knows it.
    seen: Revision,
    told: Revision,
    tick: Option<Interval>,
    deadline: Instant,
    cancel: CancellationToken,
    is_over: bool,
    /// Its place among the streams under way.
    _place: StreamPlace,
}

/// What is left to tell of the state the watch began with.
#[derive(Default)]
struct Initial {
    records: std::vec::IntoIter<Arc<Record>>,
    /// The revision of that state, where its end is to be marked.
    end: Option<Revision>,
}

/// What a watch waited for.
enum Wake {
    Batch(Option<Result<EventBatch, StatusError>>),
    Tick,
    End,
}

impl Watch {
    /// The next lines for the client, `None` at the end.
    async fn next(&mut self) -> Option<Bytes> {
        if let Err(error) = self.tell_initial() {
            self.fail(&error);
        }
        loop {
            self.tell_changes();
            if !self.lines.out.is_empty() {
                return Some(std::mem::take(&mut self.lines.out).into());
            }
            if self.is_over {
                return None;
            }
            match self.wait().await {
                Wake::Batch(Some(Ok(batch))) => {
                    self.changes = batch.events.into_iter();
                    self.arrived = self.arrived.max(batch.revision);
                }
                Wake::Batch(Some(Err(error))) => self.fail(&error),
                Wake::Batch(None) => self.is_over = true,
                Wake::Tick => self.bookmark(),
                Wake::End => {
                    self.bookmark();
                    self.is_over = true;
                }
            }
        }
    }

    /// Writes as much of the beginning as fits in a chunk.
    fn tell_initial(&mut self) -> Result<(), StatusError> {
        while self.lines.out.len() < limits::CHUNK_BYTES {
            let Some(record) = self.initial.records.next() else {
                if let Some(revision) = self.initial.end.take() {
                    self.lines.bookmark(revision, true);
                }
                break;
            };
            self.lines.object("ADDED", &record, record.modified)?;
        }
        Ok(())
    }

    async fn wait(&mut self) -> Wake {
        let tick = async {
            match &mut self.tick {
                Some(tick) => tick.tick().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            batch = self.events.next() => Wake::Batch(batch),
            _ = tick => Wake::Tick,
            () = tokio::time::sleep_until(self.deadline) => Wake::End,
            () = self.cancel.cancelled() => Wake::End,
        }
    }

    /// Writes as many of the changes that have arrived as fit in a chunk.
    fn tell_changes(&mut self) {
        self.lines.make_room(self.changes.as_slice());
        while self.lines.out.len() < limits::CHUNK_BYTES {
            let Some(event) = self.changes.next() else {
                self.seen = self.seen.max(self.arrived);
                break;
            };
            if let Err(error) = self.lines.event(&event) {
                return self.fail(&error);
            }
            self.seen = self.seen.max(event.revision());
        }
        if !self.lines.out.is_empty() {
            self.told = self.seen;
        }
    }

    /// Tells the client how far it is, if it asked for that and does not know.
    fn bookmark(&mut self) {
        if self.tick.is_some() && self.seen > self.told {
            self.lines.bookmark(self.seen, false);
            self.told = self.seen;
        }
    }

    fn fail(&mut self, error: &StatusError) {
        self.lines.push("ERROR", error.to_value().to_string().as_bytes());
        self.initial = Initial::default();
        self.changes = Vec::new().into_iter();
        self.is_over = true;
    }
}

/// Events as lines.
struct Lines {
    form: Form,
    filter: Filter,
    /// Lines the client has not been given yet.
    out: Vec<u8>,
}

impl Lines {
    /// Makes room for these, at most for a chunk: to grow by and by is to move each line several
    /// times. What a filter lets through is not known before.
    fn make_room(&mut self, events: &[Event]) {
        if self.filter.is_empty() {
            let bytes: usize = events.iter().map(|event| event.size() + LINE_BYTES).sum();
            self.out.reserve(bytes.min(limits::CHUNK_BYTES));
        }
    }

    /// A change as the client sees it, whose world is what the filter lets through.
    fn event(&mut self, event: &Event) -> Result<(), StatusError> {
        self.form.tell_time(Timestamp::now());
        match event {
            Event::Put { record, previous } => {
                let is_in = self.filter.matches(record);
                let before = previous.as_ref().filter(|before| self.filter.matches(before));
                match (before, is_in) {
                    (None, true) => self.object("ADDED", record, record.modified),
                    (Some(_), true) => self.object("MODIFIED", record, record.modified),
                    (Some(before), false) => self.object("DELETED", before, record.modified),
                    (None, false) => Ok(()),
                }
            }
            Event::Delete { previous, revision } if self.filter.matches(previous) => {
                self.object("DELETED", previous, *revision)
            }
            Event::Delete { .. } => Ok(()),
        }
    }

    fn object(
        &mut self,
        event_type: &str,
        record: &Record,
        revision: Revision,
    ) -> Result<(), StatusError> {
        let written = self.out.len();
        self.out.reserve(record.value.len() + LINE_BYTES);
        self.begin(event_type);
        if let Err(error) = self.form.write_single(record, revision, &mut self.out) {
            // What is told in its place is a line of its own.
            self.out.truncate(written);
            return Err(error);
        }
        // A table ends with what would end the line.
        self.out.truncate(self.out.trim_ascii_end().len());
        self.end();
        Ok(())
    }

    fn bookmark(&mut self, revision: Revision, ends_initial: bool) {
        let object = self.form.bookmark(revision, ends_initial);
        self.push("BOOKMARK", object.to_string().as_bytes());
    }

    fn push(&mut self, event_type: &str, object: &[u8]) {
        self.begin(event_type);
        self.out.extend_from_slice(object);
        self.end();
    }

    fn begin(&mut self, event_type: &str) {
        for part in [b"{\"type\":\"", event_type.as_bytes(), b"\",\"object\":"] {
            self.out.extend_from_slice(part);
        }
    }

    fn end(&mut self) {
        self.out.extend_from_slice(b"}\n");
    }
}

#[cfg(test)]
mod tests;
