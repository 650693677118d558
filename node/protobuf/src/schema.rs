//! The messages of the Kubernetes API, parsed once from their text.
//!
//! A schema file describes one group version:
//!
//! ```text
//! api apps/v1
//!
//! kind Deployment
//!   1 metadata meta.ObjectMeta
//! message DeploymentSpec
//!   1 replicas int32!
//! ```
//!
//! A `kind` can stand in an envelope, a `message` only within others. A field is its number, its
//! name in JSON and its type. `[]T` is a list and `{}T` a map from strings. The name `+` means
//! that the fields of the message are those of the one around it, as with Go's embedded structs.
//! Go writes the zero values of fields that are not pointers; JSON leaves them out unless the type
//! ends in `!`, which pointers and fields without `omitempty` do.

use std::{collections::HashMap, sync::LazyLock};

mod parse;

/// The files, by the name under which their messages are known to each other.
const FILES: [(&str, &str); 17] = [
    ("apps", include_str!("schema/apps.schema")),
    ("authentication", include_str!("schema/authentication.schema")),
    ("authorization", include_str!("schema/authorization.schema")),
    ("autoscaling", include_str!("schema/autoscaling.schema")),
    ("autoscaling_v2", include_str!("schema/autoscaling_v2.schema")),
    ("batch", include_str!("schema/batch.schema")),
    ("certificates", include_str!("schema/certificates.schema")),
    ("coordination", include_str!("schema/coordination.schema")),
    ("core", include_str!("schema/core.schema")),
    ("discovery", include_str!("schema/discovery.schema")),
    ("events", include_str!("schema/events.schema")),
    ("meta", include_str!("schema/meta.schema")),
    ("networking", include_str!("schema/networking.schema")),
    ("policy", include_str!("schema/policy.schema")),
    ("rbac", include_str!("schema/rbac.schema")),
    ("scheduling", include_str!("schema/scheduling.schema")),
    ("storage", include_str!("schema/storage.schema")),
];

/// The group version whose kinds (`DeleteOptions`, `Status`) stand in every group version.
const EVERYWHERE: &str = "meta.k8s.io/v1";

static SCHEMA: LazyLock<Schema> = LazyLock::new(|| match parse::parse(&FILES) {
    Ok(schema) => schema,
    Err(error) => panic!("the schema this was built with is broken: {error}"),
});

/// All messages, and which of them are kinds.
#[derive(Debug)]
pub(crate) struct Schema {
    messages: Vec<Message>,
    kinds: HashMap<(&'static str, &'static str), MessageId>,
}

/// The place of a message in its schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MessageId(usize);

/// A message: its fields by rising number.
#[derive(Debug)]
pub(crate) struct Message {
    fields: Vec<Field>,
}

/// A field of a message.
#[derive(Debug)]
pub(crate) struct Field {
    number: u32,
    /// What it is called in JSON.
    pub(crate) name: &'static str,
    /// How often it occurs.
    pub(crate) shape: Shape,
    /// What it holds.
    pub(crate) kind: Kind,
    /// Whether a zero value (`""`, `0`, `false`) is there in JSON.
    pub(crate) keeps_zero: bool,
}

/// How often a field occurs, and where its value goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Once.
    Single,
    /// Once, and its fields are those of the message around it.
    Inline,
    /// As the items of a list.
    List,
    /// As the entries of a map from strings.
    Map,
}

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Text.
    String,
    /// True or false.
    Bool,
    /// A signed number of 32 bits.
    Int32,
    /// A signed number of 64 bits.
    Int64,
    /// Bytes: base64 in JSON.
    Bytes,
    /// An amount such as `100m`.
    Quantity,
    /// A number or text.
    IntOrString,
    /// A time in seconds.
    Time,
    /// A time in microseconds.
    MicroTime,
    /// JSON text.
    RawJson,
    /// A message that is nothing but a list of strings.
    Strings,
    /// A message.
    Message(MessageId),
}

impl Schema {
    /// The schema this was built with.
    pub(crate) fn get() -> &'static Self {
        &SCHEMA
    }

    /// The message of a kind; the options and `Status` are known in every group version.
    pub(crate) fn kind(&self, api_version: &str, kind: &str) -> Option<MessageId> {
        let known = |api| self.kinds.get(&(api, kind)).copied();
        known(api_version).or_else(|| known(EVERYWHERE))
    }

    /// The message in this place.
    pub(crate) fn message(&self, id: MessageId) -> &Message {
        &self.messages[id.0]
    }
}

impl Message {
    /// The field with this number.
    pub(crate) fn field(&self, number: u32) -> Option<&Field> {
        let place = self.fields.binary_search_by_key(&number, |field| field.number).ok()?;
        self.fields.get(place)
    }
}

#[cfg(test)]
mod tests;
