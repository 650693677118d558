//! list: selectors, paging, and bodies written chunk by chunk from stored bytes.
//!
//! All pages of a list, and all steps of a page, show one revision.

mod page;

use std::sync::Arc;

use bytes::Bytes;
use futures::stream;
use http::StatusCode;
use skein_consensus::Record;
use skein_objects::StatusError;

use crate::{
    call::Call,
    filter::Filter,
    form::{Form, ListMeta},
    limits,
    media::{self, JSON},
    reply::{Reply, json_bytes, stream as stream_reply},
    service::Service,
};

pub(super) use page::{PageOptions, collect};

/// The objects that the selectors let through.
pub(super) async fn list(service: &Service, call: &Call) -> Result<Reply, StatusError> {
    let target = &call.target;
    let filter = Filter::new(&target.kind, target.name.as_deref(), &call.query)?;
    let form = Form::new(&target.kind, media::shape(&call.headers)?, &call.query)?;
    let options = PageOptions::read(call)?;
    let page =
        collect(&service.storage, &target.kind, target.namespace.as_deref(), &filter, options)
            .await?;
    reply(form, page.meta, page.records)
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
