//! Objects of custom kinds in the version asked for, where a webhook makes it.
//!
//! Whoever reads or writes a version other than the one an object is stored in goes through here;
//! all else costs no more than a look at what is stored, and where nothing was ever stored in another
//! version not even that.

use std::{borrow::Cow, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;
use skein_consensus::Record;
use skein_objects::{Kind, StatusError, canonical};

use crate::{
    Object, Storage,
    object::{read_part, stored_value},
};

/// Asks webhooks for other versions of objects.
#[async_trait]
pub trait Converter: Send + Sync + 'static {
    /// The same objects of a custom kind in another version of it, in the same order.
    ///
    /// # Errors
    /// `InternalError` where the webhook cannot be asked, refuses, or answers what it must not.
    async fn convert(
        &self,
        kind: &Kind,
        to: &str,
        objects: Vec<Value>,
    ) -> Result<Vec<Value>, StatusError>;
}

/// In which version a write looks at an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum View {
    /// As it is stored, in whichever version that was.
    Stored,
    /// In the version of the kind that was asked for.
    Served,
}

/// An object to be written: the bytes for the store, and those that whoever writes it sees.
pub(crate) struct Written {
    pub(crate) stored: Bytes,
    pub(crate) shown: Bytes,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Versioned<'a> {
    #[serde(borrow)]
    api_version: Cow<'a, str>,
}

impl Storage {
    /// The same storage for those who read and write objects in versions that `converter` makes.
    #[must_use]
    pub fn converting(mut self, converter: Arc<dyn Converter>) -> Self {
        self.converter = Some(converter);
        self
    }

    /// Whether a record as it is stored needs no webhook to be in the version of `kind`.
    ///
    /// # Errors
    /// `InternalError` where it cannot be read.
    pub fn is_in_version(kind: &Kind, record: &Record) -> Result<bool, StatusError> {
        if kind.conversion().is_none() || kind.serves_as_stored() {
            return Ok(true);
        }
        Ok(read_part::<Versioned<'_>>(record)?.api_version == kind.api_version())
    }

    /// Records as they are stored, in the version of `kind`; a record that is in it is left as it
    /// is, without a copy.
    ///
    /// # Errors
    /// As [`Converter::convert`]; `InternalError` where this storage has no converter.
    pub async fn in_version(
        &self,
        kind: &Kind,
        mut records: Vec<Arc<Record>>,
    ) -> Result<Vec<Arc<Record>>, StatusError> {
        if kind.conversion().is_none() || kind.serves_as_stored() {
            return Ok(records);
        }
        let to = kind.api_version();
        let (mut places, mut objects) = (Vec::new(), Vec::new());
        for (place, record) in records.iter().enumerate() {
            if !Self::is_in_version(kind, record)? {
                places.push(place);
                objects.push(stored_value(record)?);
            }
        }
        if objects.is_empty() {
            return Ok(records);
        }
        let converted = self.convert(kind, &to, objects).await?;
        for (place, object) in places.into_iter().zip(converted) {
            let record = Record::clone(&records[place]);
            records[place] = Arc::new(Record { value: canonical(&object), ..record });
        }
        Ok(records)
    }

    /// An object as it is stored, in the version of its kind.
    ///
    /// # Errors
    /// As [`Storage::in_version`].
    pub async fn object_in_version(&self, object: Object) -> Result<Object, StatusError> {
        let Object { kind, record } = object;
        let record = self.record_in_version(&kind, record).await?;
        Ok(Object { kind, record })
    }

    pub(crate) async fn record_in_version(
        &self,
        kind: &Kind,
        record: Record,
    ) -> Result<Record, StatusError> {
        if kind.conversion().is_none() {
            return Ok(record);
        }
        let one = self.in_version(kind, vec![Arc::new(record)]).await?.pop();
        one.map(Arc::unwrap_or_clone).ok_or_else(|| StatusError::internal("a record is missing"))
    }

    /// An object of the version that `view` shows, made ready for the store.
    pub(crate) async fn written(
        &self,
        kind: &Kind,
        view: View,
        object: Value,
    ) -> Result<Written, StatusError> {
        let to = kind.stored_api_version();
        if view == View::Stored {
            let stored = canonical(&object);
            return Ok(Written { shown: stored.clone(), stored });
        }
        if kind.conversion().is_none() || object["apiVersion"] == *to {
            let stored = canonical(&kind.to_stored(object));
            return Ok(Written { shown: stored.clone(), stored });
        }
        let shown = canonical(&object);
        let stored = self.convert(kind, &to, vec![object]).await?;
        Ok(Written { stored: stored.first().map(canonical).unwrap_or_default(), shown })
    }

    async fn convert(
        &self,
        kind: &Kind,
        to: &str,
        objects: Vec<Value>,
    ) -> Result<Vec<Value>, StatusError> {
        let Some(converter) = &self.converter else {
            let why = format!("{} is read as it is stored here, not as {to}", kind.kind);
            return Err(StatusError::internal(why));
        };
        let wanted = objects.len();
        let converted = converter.convert(kind, to, objects).await?;
        if converted.len() == wanted {
            Ok(converted)
        } else {
            Err(StatusError::internal("a conversion has lost objects"))
        }
    }
}
