//! list: selectors, paging, and bodies written chunk by chunk from stored bytes.

use std::sync::Arc;

use bytes::Bytes;
use futures::stream;
use http::StatusCode;
use skein_consensus::{Consistency, Key, ListOptions, Record, Revision};
use skein_objects::{Kind, StatusError};
use skein_storage::Storage;

use crate::{
    call::Call,
    filter::Filter,
    form::{Form, ListMeta},
    limits,
    media::{self, JSON},
    query::{Query, Version},
    reply::{Reply, json_bytes, stream as stream_reply},
    service::Service,
};

/// Which page of a list, and how fresh.
#[derive(Clone, Debug)]
pub(super) struct PageOptions {
    /// At most this many, all if zero.
    limit: usize,
    /// Where the page before ended and the revision of the first one.
    after: Option<(Key, Revision)>,
    consistency: Consistency,
}

impl PageOptions {
    /// Everything on one page.
    pub(super) fn all(consistency: Consistency) -> Self {
        Self { limit: 0, after: None, consistency }
    }
}

/// Objects and what the list says about itself.
pub(super) struct Page {
    pub(super) records: Vec<Arc<Record>>,
    pub(super) meta: ListMeta,
}

/// The objects that the selectors let through.
pub(super) async fn list(service: &Service, call: &Call) -> Result<Reply, StatusError> {
    let target = &call.target;
    let filter = Filter::new(&target.kind, target.name.as_deref(), &call.query)?;
    let form = Form::new(&target.kind, media::shape(&call.headers)?, &call.query)?;
    let version = call.query.version()?;
    let options = page_options(&target.kind, &call.query, call.consistency(version))?;
    check_match(&call.query, version)?;
    let page =
        collect(&service.storage, &target.kind, target.namespace.as_deref(), &filter, options)
            .await?;
    if let (Some("Exact"), Version::At(revision)) =
        (call.query.get("resourceVersionMatch"), version)
        && page.meta.revision != revision
    {
        return Err(StatusError::expired(format!(
            "The provided resource version {revision} is no longer the current one, {}",
            page.meta.revision
        )));
    }
    reply(form, page.meta, page.records)
}

/// `resourceVersionMatch` needs a `resourceVersion`, and only two ways of matching exist.
fn check_match(query: &Query, version: Version) -> Result<(), StatusError> {
    let refused = |why: &str| {
        Err(StatusError::bad_request(format!("resourceVersionMatch: Forbidden: {why}")))
    };
    match (query.get("resourceVersionMatch"), version) {
        (None, _) | (Some("NotOlderThan"), Version::Any | Version::At(_)) => Ok(()),
        (Some("Exact"), Version::At(_)) => Ok(()),
        (Some("Exact"), Version::Any) => {
            refused("resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"")
        }
        (Some("Exact" | "NotOlderThan"), Version::Latest) => {
            refused("resourceVersionMatch is forbidden unless resourceVersion is provided")
        }
        (Some(_), _) => refused("supported values: \"Exact\", \"NotOlderThan\""),
    }
}

fn page_options(
    kind: &Kind,
    query: &Query,
    consistency: Consistency,
) -> Result<PageOptions, StatusError> {
    let limit = query.number("limit")?.unwrap_or(0);
    let after = match query.get("continue") {
        None => None,
        Some(token) => Some(parse_token(kind, token).ok_or_else(|| {
            StatusError::bad_request("continue key is not valid: it was not given by this server")
        })?),
    };
    Ok(PageOptions { limit, after, consistency })
}

/// Tokens are `REVISION.NAMESPACE/NAME`: where the page ended, and the revision of the first page,
/// which all pages show so that a watch from it misses nothing that happened between them.
fn token(key: &Key, revision: Revision) -> String {
    format!("{revision}.{}/{}", key.namespace, key.name)
}

fn parse_token(kind: &Kind, token: &str) -> Option<(Key, Revision)> {
    let (revision, key) = token.split_once('.')?;
    let (namespace, name) = key.split_once('/')?;
    let key = Key::new(kind.store_resource(), namespace, name);
    Some((key, Revision(revision.parse().ok()?)))
}

/// Reads a page of what `filter` lets through.
pub(super) async fn collect(
    storage: &Storage,
    kind: &Arc<Kind>,
    namespace: Option<&str>,
    filter: &Filter,
    options: PageOptions,
) -> Result<Page, StatusError> {
    let is_filtered = !filter.is_empty();
    let step = match options.limit {
        0 => 0,
        _ if is_filtered => limits::PAGE,
        limit => limit,
    };
    let (mut after, mut first) = options.after.unzip();
    let mut consistency = options.consistency;
    let mut records: Vec<Arc<Record>> = Vec::new();
    loop {
        let read = ListOptions { limit: step, after: after.clone() };
        let list = storage.list(kind, namespace, read, consistency).await?;
        let revision = *first.get_or_insert(list.revision);
        consistency = Consistency::AtLeast(list.revision);
        after = list.records.last().map(|record| record.key.clone());
        let mut found = list.records.into_iter();
        let wanted = if options.limit == 0 { usize::MAX } else { options.limit - records.len() };
        records.extend(found.by_ref().filter(|record| filter.matches(record)).take(wanted));
        let is_full = options.limit != 0 && records.len() >= options.limit;
        let is_more = list.remaining > 0 || found.len() > 0;
        if !is_more || is_full {
            let last = records.last().filter(|_| is_more);
            let meta = ListMeta {
                revision,
                next: last.map(|last| token(&last.key, revision)),
                remaining: (is_more && !is_filtered).then_some(list.remaining),
            };
            return Ok(Page { records, meta });
        }
    }
}

/// A list as a response: short ones in one piece, long ones as they are written.
pub(super) fn reply(
    form: Form,
    meta: ListMeta,
    records: Vec<Arc<Record>>,
) -> Result<Reply, StatusError> {
    let size: usize = records.iter().map(|record| record.value.len()).sum();
    let mut writer = Writer { form, meta, records: records.into_iter(), state: State::Begin };
    if size > limits::CHUNK_BYTES {
        let chunks = std::iter::from_fn(move || writer.chunk());
        return Ok(stream_reply(
            JSON,
            stream::iter(chunks.map(|chunk| chunk.map_err(std::io::Error::other))),
        ));
    }
    let mut whole = Vec::new();
    while let Some(chunk) = writer.chunk() {
        whole.extend_from_slice(&chunk?);
    }
    Ok(json_bytes(StatusCode::OK, whole.into()))
}

enum State {
    Begin,
    Items { is_first: bool },
    Done,
}

/// Writes a list in chunks.
struct Writer {
    form: Form,
    meta: ListMeta,
    records: std::vec::IntoIter<Arc<Record>>,
    state: State,
}

impl Writer {
    fn chunk(&mut self) -> Option<Result<Bytes, StatusError>> {
        let mut out = Vec::with_capacity(limits::CHUNK_BYTES);
        let mut is_first = match self.state {
            State::Done => return None,
            State::Items { is_first } => is_first,
            State::Begin => {
                self.form.begin_list(&self.meta, &mut out);
                true
            }
        };
        for record in self.records.by_ref() {
            if !is_first {
                out.push(b',');
            }
            is_first = false;
            if let Err(error) = self.form.item(&record, record.modified, &mut out) {
                self.state = State::Done;
                return Some(Err(error));
            }
            if out.len() >= limits::CHUNK_BYTES {
                self.state = State::Items { is_first };
                return Some(Ok(out.into()));
            }
        }
        Form::end_list(&mut out);
        self.state = State::Done;
        Some(Ok(out.into()))
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Pod;
    use skein_objects::registry;

    use super::*;

    #[test]
    fn continue_tokens_read_back() {
        let kind = registry().of::<Pod>();
        let key = Key::new(kind.store_resource(), "default", "web.1");
        let read = parse_token(kind, &token(&key, Revision(7)));
        assert_eq!(read, Some((key, Revision(7))));
        assert_eq!(parse_token(kind, "nonsense"), None);
    }

    #[test]
    fn matching_a_version_needs_one() {
        let check = |query: &str| {
            let query = Query::parse(Some(query));
            check_match(&query, query.version().unwrap()).map_err(|error| error.code)
        };
        assert_eq!(check("resourceVersion=5&resourceVersionMatch=Exact"), Ok(()));
        assert_eq!(check("resourceVersion=0&resourceVersionMatch=NotOlderThan"), Ok(()));
        assert_eq!(check("resourceVersionMatch=Exact"), Err(400));
        assert_eq!(check("resourceVersion=5&resourceVersionMatch=Sometimes"), Err(400));
    }
}
