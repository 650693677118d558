//! Bytes taken apart: several values of one input stand in a line each.

use serde_json::Value;
use skein_objects::{Kind, MediaType, parse, registry};

/// The first lines of an input; the last takes all the rest.
pub(crate) fn lines<const N: usize>(bytes: &[u8]) -> [&[u8]; N] {
    let mut lines = bytes.splitn(N, |byte| *byte == b'\n');
    std::array::from_fn(|_| lines.next().unwrap_or_default())
}

/// A line of text, if it is text.
pub(crate) fn text(line: &[u8]) -> Option<&str> {
    std::str::from_utf8(line).ok()
}

/// A line of JSON, as the API reads one.
pub(crate) fn json(line: &[u8]) -> Option<Value> {
    parse(line, MediaType::Json).ok()
}

/// The kind that an object says it is; a pod, if it says nothing that is known.
pub(crate) fn kind_of(object: &Value) -> &'static Kind {
    let text = |member: &str| object.get(member).and_then(Value::as_str).unwrap_or_default();
    kind(text("apiVersion"), text("kind"))
}

/// A kind of this binary; a pod, if there is none.
pub(crate) fn kind(api_version: &str, name: &str) -> &'static Kind {
    let registry = registry();
    let known = registry.by_api_version(api_version, name);
    known.or_else(|| registry.by_api_version("v1", "Pod")).expect("pods are known")
}

/// How deep a value is nested.
pub(crate) fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}
