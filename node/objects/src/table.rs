//! Objects as rows of text: the `meta.k8s.io/v1 Table` that `kubectl get` prints.
//!
//! Columns are data: where in the object a cell comes from, or a function for the few that are
//! computed. Rows follow what `kubectl` prints against Kubernetes.

mod access;
mod age;
mod batch;
mod columns;
mod network;
mod node;
mod pod;
mod policy;
mod storage;
#[cfg(test)]
mod tests;
mod workload;

use std::borrow::Cow;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::custom::JsonPath;
use crate::kind::Kind;

pub(crate) use access::{BINDING, CERTIFICATE_REQUEST};
pub use age::duration as human_duration;
pub(crate) use batch::{CRON_JOB, JOB};
pub(crate) use columns::{
    AGE, CONFIG_MAP, CONTROLLER_REVISION, DAEMON_SET, DEPLOYMENT, EVENT, HOOKS, JOIN_TOKEN, LEASE,
    NAME, NAMESPACE, NODE, PLAIN, POD, POD_TEMPLATE, REPLICA_SET, RUNTIME_CLASS, SECRET,
    SERVICE_ACCOUNT, STATEFUL_SET,
};
pub(crate) use network::{
    ENDPOINT_SLICE, ENDPOINTS, INGRESS, INGRESS_CLASS, NETWORK_POLICY, SERVICE,
};
pub(crate) use policy::{AUTOSCALER, BUDGET, PRIORITY_CLASS, QUOTA};
pub(crate) use storage::{CLAIM, CSI_DRIVER, CSI_NODE, STORAGE_CLASS, VOLUME, VOLUME_ATTACHMENT};

/// Where the text of a cell comes from.
#[derive(Clone, Copy)]
pub(crate) enum Cell<'k> {
    /// The text or number at a JSON pointer, `<none>` when it is absent.
    Text(&'static str),
    /// The text or number at a JSON pointer, nothing when it is absent.
    Optional(&'static str),
    /// The number at a JSON pointer, 0 when it is absent.
    Number(&'static str),
    /// How long ago the time at a JSON pointer was.
    Age(&'static str),
    /// How many entries the list or map at a JSON pointer has.
    Count(&'static str),
    /// Anything else.
    Computed(fn(&Value, Timestamp) -> Value),
    /// What a custom column finds first, as the type it says it is.
    Found(&'k JsonPath, &'k str),
}

/// One column of a table.
#[derive(Clone, Copy)]
pub struct Column<'k> {
    pub(crate) name: &'k str,
    pub(crate) format: &'k str,
    pub(crate) priority: i64,
    pub(crate) cell: Cell<'k>,
    pub(crate) description: &'k str,
}

impl<'k> Column<'k> {
    pub(crate) const fn new(name: &'k str, cell: Cell<'k>, description: &'k str) -> Self {
        Self { name, format: "", priority: 0, cell, description }
    }

    /// Only in the wide output.
    pub(crate) const fn wide(mut self) -> Self {
        self.priority = 1;
        self
    }

    pub(crate) const fn named(mut self) -> Self {
        self.format = "name";
        self
    }

    /// The header, as `kubectl` writes it in capitals.
    pub fn name(&self) -> &'k str {
        self.name
    }

    /// Whether only the wide output shows it.
    pub fn is_wide(&self) -> bool {
        self.priority > 0
    }

    /// The `TableColumnDefinition`.
    pub fn to_value(&self) -> Value {
        let kind = match self.cell {
            Cell::Number(_) => "integer",
            Cell::Found(_, kind) => kind,
            _ => "string",
        };
        json!({
            "name": self.name,
            "type": kind,
            "format": self.format,
            "description": self.description,
            "priority": self.priority,
        })
    }

    fn cell(&self, object: &Value, now: Timestamp) -> Value {
        match self.cell {
            Cell::Text(at) => Value::from(text(object.pointer(at), NONE)),
            Cell::Optional(at) => Value::from(text(object.pointer(at), "")),
            Cell::Number(at) => object.pointer(at).cloned().unwrap_or_else(|| json!(0)),
            Cell::Age(at) => Value::from(age::since(object.pointer(at), now)),
            Cell::Count(at) => Value::from(count(object.pointer(at))),
            Cell::Computed(compute) => compute(object, now),
            Cell::Found(path, kind) => found(path.first(object), kind, now),
        }
    }
}

/// What is shown when there is nothing to show.
const NONE: &str = "<none>";

fn text(value: Option<&Value>, none: &str) -> String {
    match value {
        Some(Value::String(text)) if !text.is_empty() => text.clone(),
        None | Some(Value::Null | Value::String(_)) => none.to_owned(),
        Some(other) => other.to_string(),
    }
}

fn count(value: Option<&Value>) -> usize {
    match value {
        Some(Value::Array(items)) => items.len(),
        Some(Value::Object(entries)) => entries.len(),
        _ => 0,
    }
}

/// A cell of a custom column; one of another type than it says is empty, as nothing is.
fn found(value: Option<&Value>, kind: &str, now: Timestamp) -> Value {
    let Some(value) = value.filter(|value| !value.is_null()) else { return Value::Null };
    match kind {
        "integer" | "number" if value.is_number() => value.clone(),
        "boolean" if value.is_boolean() => value.clone(),
        "date" => Value::from(age::since(Some(value), now)),
        "string" => Value::from(text(Some(value), "")),
        _ => Value::Null,
    }
}

/// The columns of a kind.
pub fn columns(kind: &Kind) -> Cow<'_, [Column<'_>]> {
    kind.columns()
}

/// The cells of an object as it is stored, one for each of its kind's columns.
pub fn row(kind: &Kind, stored: Value, now: Timestamp) -> Vec<Value> {
    // The columns of this binary's kinds read what is stored, in whichever version it is asked for.
    let object = if kind.is_custom() { kind.to_served(stored) } else { stored };
    kind.columns().iter().map(|column| column.cell(&object, now)).collect()
}
