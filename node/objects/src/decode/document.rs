//! Text to JSON value: YAML and JSON through one visitor that notes duplicate keys.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::limits;
use crate::status::StatusError;

/// The format of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaType {
    /// `application/json`.
    Json,
    /// `application/yaml`.
    Yaml,
}

/// The value and a sentence for each duplicate key.
pub(super) fn read(body: &[u8], media: MediaType) -> Result<(Value, Vec<String>), StatusError> {
    if body.len() > limits::OBJECT_BYTES {
        return Err(StatusError::request_too_large(limits::OBJECT_BYTES));
    }
    let mut notes = Notes::default();
    let value = match media {
        MediaType::Json => read_json(body, &mut notes)?,
        MediaType::Yaml => read_yaml(body, &mut notes)?,
    };
    Ok((value, notes))
}

fn read_json(body: &[u8], notes: &mut Notes) -> Result<Value, StatusError> {
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let parsed = Node { notes, trail: Trail::Root, depth: 0 }
        .deserialize(&mut deserializer)
        .and_then(|value| deserializer.end().map(|()| value));
    parsed.map_err(|error| StatusError::bad_request(format!("error parsing JSON: {error}")))
}

fn read_yaml(body: &[u8], notes: &mut Notes) -> Result<Value, StatusError> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_nodes: limits::YAML_NODES,
            max_aliases: limits::YAML_ALIASES,
            max_depth: limits::DEPTH,
        },
        duplicate_keys: serde_saphyr::DuplicateKeyPolicy::LastWins,
        with_snippet: false,
    };
    serde_saphyr::with_deserializer_from_slice_with_options(body, options, |deserializer| {
        Node { notes, trail: Trail::Root, depth: 0 }.deserialize(deserializer)
    })
    .map_err(|error| StatusError::bad_request(format!("error parsing YAML: {error}")))
}

/// Sentences about duplicate keys.
type Notes = Vec<String>;

/// The way to the value being read, as a chain on the stack.
enum Trail<'t> {
    Root,
    Key(&'t Trail<'t>, &'t str),
    Index(&'t Trail<'t>, usize),
}

impl fmt::Display for Trail<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Key(Self::Root, key) => f.write_str(key),
            Self::Key(parent, key) => write!(f, "{parent}.{key}"),
            Self::Index(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

/// Builds one value.
struct Node<'n> {
    notes: &'n mut Notes,
    trail: Trail<'n>,
    depth: usize,
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        if self.depth > limits::DEPTH {
            return Err(D::Error::custom(format!("nested deeper than {} levels", limits::DEPTH)));
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value)
            .map(Value::Number)
            .ok_or_else(|| E::custom("infinity and not-a-number are not JSON"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        loop {
            let node = Node {
                notes: &mut *self.notes,
                trail: Trail::Index(&self.trail, list.len()),
                depth: self.depth + 1,
            };
            match items.next_element_seed(node)? {
                Some(item) => list.push(item),
                None => return Ok(Value::Array(list)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            let trail = Trail::Key(&self.trail, &key);
            if map.contains_key(&key) && self.notes.len() < limits::STRICT_ERRORS {
                self.notes.push(format!("duplicate field {:?}", trail.to_string()));
            }
            let node = Node { notes: &mut *self.notes, trail, depth: self.depth + 1 };
            let value = entries.next_value_seed(node)?;
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}

/// A path as Kubernetes writes it: `spec.containers[0].imagee`.
pub(super) fn field_path(path: &serde_ignored::Path<'_>) -> String {
    use serde_ignored::Path;
    match path {
        Path::Root => String::new(),
        Path::Seq { parent, index } => format!("{}[{index}]", field_path(parent)),
        Path::Map { parent, key } => {
            let parent = field_path(parent);
            if parent.is_empty() { key.clone() } else { format!("{parent}.{key}") }
        }
        Path::Some { parent }
        | Path::NewtypeStruct { parent }
        | Path::NewtypeVariant { parent } => field_path(parent),
    }
}
