//! Which objects a list or a watch is about.

use std::{collections::BTreeMap, sync::Arc};

use serde::Deserialize;
use serde_json::Value;
use skein_consensus::{Key, Record};
use skein_objects::{
    Kind, StatusError,
    selector::{FieldSelector, LabelSelector},
};

use crate::query::Query;

/// A label and a field selector, and the one name a path may ask for.
#[derive(Clone)]
pub(crate) struct Filter {
    name: Option<String>,
    labels: LabelSelector,
    fields: FieldSelector,
    kind: Arc<Kind>,
}

/// As much of an object as a label selector needs.
#[derive(Deserialize)]
struct Labelled {
    metadata: LabelledMetadata,
}

#[derive(Deserialize)]
struct LabelledMetadata {
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

impl Filter {
    /// The filter of a request.
    pub(crate) fn new(
        kind: &Arc<Kind>,
        name: Option<&str>,
        query: &Query,
    ) -> Result<Self, StatusError> {
        let fields = FieldSelector::parse(kind, query.get("fieldSelector").unwrap_or_default())?;
        let name = name.or_else(|| fields.demanded_name()).map(str::to_owned);
        let labels = LabelSelector::parse(query.get("labelSelector").unwrap_or_default())?;
        Ok(Self { name, labels, fields, kind: kind.clone() })
    }

    /// Whether it lets everything through.
    pub(crate) fn is_empty(&self) -> bool {
        self.name.is_none() && !self.looks_inside()
    }

    /// Whether it lets objects of this name through, whatever is in them.
    pub(crate) fn names(&self, key: &Key) -> bool {
        self.name.as_deref().is_none_or(|name| *name == *key.name)
    }

    /// Whether it depends on more of an object than its name.
    pub(crate) fn looks_inside(&self) -> bool {
        !self.labels.is_empty() || !self.fields.is_empty()
    }

    /// Whether it lets this object through, which is in the version of its kind. Reads no more of it
    /// than it must.
    pub(crate) fn matches(&self, record: &Record) -> bool {
        if !self.names(&record.key) {
            return false;
        }
        if !self.fields.is_empty() {
            return parse::<Value>(record).is_some_and(|object| {
                let object = self.kind.to_served(object);
                self.fields.matches(&object) && self.labels.matches(&object)
            });
        }
        self.labels.is_empty()
            || parse::<Labelled>(record)
                .is_some_and(|object| self.labels.matches(&object.metadata.labels))
    }
}

fn parse<T: serde::de::DeserializeOwned>(record: &Record) -> Option<T> {
    match serde_json::from_slice(&record.value) {
        Ok(parsed) => Some(parsed),
        Err(error) => {
            tracing::error!(key = %record.key, %error, "stored object cannot be read");
            None
        }
    }
}
