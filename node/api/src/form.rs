//! The forms in which stored objects are answered: as they are, as rows, as metadata.
//!
//! Stored bytes are copied, never parsed and written again; only rows and metadata are read out.

use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};
use skein_consensus::{Record, Revision};
use skein_objects::{Kind, StatusError, canonical, table, write_with_revision};

use crate::{media::Shape, query::Query};

/// What a row carries of its object (`includeObject`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Include {
    Nothing,
    Metadata,
    Object,
}

/// How to write objects of a kind.
#[derive(Clone, Debug)]
pub(crate) struct Form {
    kind: Arc<Kind>,
    shape: Shape,
    include: Include,
    now: Timestamp,
}

/// What a list says about itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct ListMeta {
    pub(crate) revision: Revision,
    pub(crate) next: Option<String>,
    pub(crate) remaining: Option<usize>,
}

impl ListMeta {
    fn to_value(&self) -> Value {
        let mut meta = json!({"resourceVersion": self.revision.to_string()});
        if let Some(next) = &self.next {
            meta["continue"] = json!(next);
        }
        if let Some(remaining) = self.remaining {
            meta["remainingItemCount"] = json!(remaining);
        }
        meta
    }
}

#[derive(Deserialize)]
struct WithMetadata<'a> {
    #[serde(borrow)]
    metadata: &'a RawValue,
}

impl Form {
    pub(crate) fn new(kind: &Arc<Kind>, shape: Shape, query: &Query) -> Result<Self, StatusError> {
        let include = match query.get("includeObject") {
            None | Some("Metadata") => Include::Metadata,
            Some("None") => Include::Nothing,
            Some("Object") => Include::Object,
            Some(other) => {
                return Err(StatusError::bad_request(format!(
                    "includeObject: Invalid value: \"{other}\": must be 'Object', 'Metadata', \
                     'None', or empty"
                )));
            }
        };
        Ok(Self { kind: kind.clone(), shape, include, now: Timestamp::now() })
    }

    /// Takes note that it is later, which ages in rows depend on.
    pub(crate) fn tell_time(&mut self, now: Timestamp) {
        self.now = now;
    }

    /// One object on its own. `revision` is the `resourceVersion` it shows, none where it has
    /// none yet.
    pub(crate) fn single(&self, record: &Record, revision: Revision) -> Result<Bytes, StatusError> {
        let mut out = Vec::with_capacity(record.value.len() + 256);
        self.write_single(record, revision, &mut out)?;
        Ok(out.into())
    }

    /// The same as [`Form::single`] at the end of `out`.
    pub(crate) fn write_single(
        &self,
        record: &Record,
        revision: Revision,
        out: &mut Vec<u8>,
    ) -> Result<(), StatusError> {
        if self.shape == Shape::Table {
            self.begin_list(&ListMeta { revision, ..ListMeta::default() }, out);
        }
        self.item(record, revision, out)?;
        if self.shape == Shape::Table {
            Self::end_list(out);
        }
        Ok(())
    }

    /// An object that has only a kind and a revision, for bookmarks.
    pub(crate) fn bookmark(&self, revision: Revision, ends_initial: bool) -> Value {
        let mut metadata = json!({"resourceVersion": revision.to_string()});
        if ends_initial {
            metadata["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        let (kind, api_version) = match self.shape {
            Shape::Object => (&*self.kind.kind, self.kind.api_version()),
            Shape::Table => ("Table", "meta.k8s.io/v1".to_owned()),
            Shape::Metadata => ("PartialObjectMetadata", "meta.k8s.io/v1".to_owned()),
        };
        let mut object = json!({"kind": kind, "apiVersion": api_version, "metadata": metadata});
        if self.shape == Shape::Table {
            object["columnDefinitions"] = column_definitions(&self.kind);
            object["rows"] = json!([]);
        }
        object
    }

    /// Everything of a list before its first item.
    pub(crate) fn begin_list(&self, meta: &ListMeta, out: &mut Vec<u8>) {
        let meta = meta.to_value();
        let text = match self.shape {
            Shape::Object => format!(
                "{{\"kind\":\"{}\",\"apiVersion\":\"{}\",\"metadata\":{meta},\"items\":[",
                self.kind.list_kind,
                self.kind.api_version(),
            ),
            Shape::Metadata => format!(
                "{{\"kind\":\"PartialObjectMetadataList\",\"apiVersion\":\"meta.k8s.io/v1\",\
                 \"metadata\":{meta},\"items\":["
            ),
            Shape::Table => format!(
                "{{\"kind\":\"Table\",\"apiVersion\":\"meta.k8s.io/v1\",\"metadata\":{meta},\
                 \"columnDefinitions\":{},\"rows\":[",
                column_definitions(&self.kind),
            ),
        };
        out.extend_from_slice(text.as_bytes());
    }

    /// Everything of a list after its last item.
    pub(crate) fn end_list(out: &mut Vec<u8>) {
        out.extend_from_slice(b"]}\n");
    }

    /// One item of a list.
    pub(crate) fn item(
        &self,
        record: &Record,
        revision: Revision,
        out: &mut Vec<u8>,
    ) -> Result<(), StatusError> {
        match self.shape {
            Shape::Object => self.object(record, revision, out)?,
            Shape::Metadata => metadata(record, revision, out)?,
            Shape::Table => self.row(record, revision, out)?,
        }
        Ok(())
    }

    fn row(
        &self,
        record: &Record,
        revision: Revision,
        out: &mut Vec<u8>,
    ) -> Result<(), StatusError> {
        let value: Value =
            serde_json::from_slice(&record.value).map_err(|error| unreadable(record, &error))?;
        let cells = Value::Array(table::row(&self.kind, value, self.now));
        out.extend_from_slice(b"{\"cells\":");
        out.extend_from_slice(cells.to_string().as_bytes());
        match self.include {
            Include::Nothing => {}
            Include::Metadata => {
                out.extend_from_slice(b",\"object\":");
                metadata(record, revision, out)?;
            }
            Include::Object => {
                out.extend_from_slice(b",\"object\":");
                self.object(record, revision, out)?;
            }
        }
        out.push(b'}');
        Ok(())
    }

    /// The object in the version asked for: where that is the one stored, without reading it.
    fn object(
        &self,
        record: &Record,
        revision: Revision,
        out: &mut Vec<u8>,
    ) -> Result<(), StatusError> {
        if self.kind.serves_as_stored() {
            object(record, revision, out);
            return Ok(());
        }
        let stored =
            serde_json::from_slice(&record.value).map_err(|error| unreadable(record, &error))?;
        let value = canonical(&self.kind.to_served(stored));
        object(&Record { value, ..record.clone() }, revision, out);
        Ok(())
    }
}

fn column_definitions(kind: &Kind) -> Value {
    table::columns(kind).iter().map(table::Column::to_value).collect()
}

fn object(record: &Record, revision: Revision, out: &mut Vec<u8>) {
    if revision == Revision(0) {
        out.extend_from_slice(&record.value);
    } else {
        write_with_revision(&record.value, revision.0, out);
    }
}

fn metadata(record: &Record, revision: Revision, out: &mut Vec<u8>) -> Result<(), StatusError> {
    let parsed: WithMetadata<'_> =
        serde_json::from_slice(&record.value).map_err(|error| unreadable(record, &error))?;
    let stored = Bytes::from(format!("{{\"metadata\":{}}}", parsed.metadata.get()));
    let partial = Record { value: stored, ..record.clone() };
    out.extend_from_slice(
        b"{\"kind\":\"PartialObjectMetadata\",\"apiVersion\":\"meta.k8s.io/v1\",",
    );
    let start = out.len();
    object(&partial, revision, out);
    // The object's own opening brace is already there.
    out.remove(start);
    Ok(())
}

fn unreadable(record: &Record, error: &serde_json::Error) -> StatusError {
    StatusError::internal(format!("stored object {} cannot be read: {error}", record.key))
}
