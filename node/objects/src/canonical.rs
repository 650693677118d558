//! The bytes of an object as they are stored and sent.
//!
//! Stored bytes are compact JSON, `metadata` first, without a resource version: the version is
//! the store's revision and is spliced in on the way out, so that reads never parse.

use bytes::Bytes;
use serde_json::{Map, Value};

/// How every stored object begins.
const HEAD: &[u8] = b"{\"metadata\":{";

/// The stored bytes of an object: compact JSON that begins with `{"metadata":{` and has no
/// `metadata.resourceVersion`. Members of every map are sorted, so equal objects are equal bytes.
pub fn canonical(object: &Value) -> Bytes {
    let empty = Map::new();
    let object = object.as_object().unwrap_or(&empty);
    let metadata = object.get("metadata").and_then(Value::as_object).unwrap_or(&empty);
    let mut out = String::with_capacity(1024);
    out.push_str("{\"metadata\":");
    write_map(&mut out, metadata.iter().filter(|(key, _)| *key != "resourceVersion"));
    for (key, value) in object.iter().filter(|(key, _)| *key != "metadata") {
        out.push(',');
        write_member(&mut out, key, value);
    }
    out.push('}');
    Bytes::from(out)
}

fn write_map<'a>(out: &mut String, members: impl Iterator<Item = (&'a String, &'a Value)>) {
    out.push('{');
    let start = out.len();
    for (key, value) in members {
        if out.len() > start {
            out.push(',');
        }
        write_member(out, key, value);
    }
    out.push('}');
}

fn write_member(out: &mut String, key: &str, value: &Value) {
    out.push_str(&Value::from(key).to_string());
    out.push(':');
    out.push_str(&value.to_string());
}

/// The object with its resource version, without parsing it.
pub fn splice_revision(stored: &Bytes, revision: u64) -> Bytes {
    let chunks = revision_chunks(stored, revision);
    let mut out = Vec::with_capacity(chunks.iter().map(Bytes::len).sum());
    for chunk in &chunks {
        out.extend_from_slice(chunk);
    }
    Bytes::from(out)
}

/// The same as [`splice_revision`] in three parts that share the stored bytes, for lists and
/// watches that write many objects into one body.
pub fn revision_chunks(stored: &Bytes, revision: u64) -> [Bytes; 3] {
    if !stored.starts_with(HEAD) {
        return [stored.clone(), Bytes::new(), Bytes::new()];
    }
    let rest = stored.slice(HEAD.len()..);
    let comma = if rest.first() == Some(&b'}') { "" } else { "," };
    let member = Bytes::from(format!("\"resourceVersion\":\"{revision}\"{comma}"));
    [stored.slice(..HEAD.len()), member, rest]
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn metadata_comes_first_and_the_resource_version_is_left_out() {
        let object = json!({"apiVersion": "v1", "kind": "Pod",
            "metadata": {"resourceVersion": "7", "name": "a\"b"}});
        let bytes = canonical(&object);
        assert_eq!(&bytes[..], br#"{"metadata":{"name":"a\"b"},"apiVersion":"v1","kind":"Pod"}"#);
    }

    #[test]
    fn a_spliced_object_is_the_stored_one_with_its_revision() {
        let stored = canonical(&json!({"metadata": {"name": "a"}, "kind": "Pod"}));
        let read: Value = serde_json::from_slice(&splice_revision(&stored, 42)).unwrap();
        assert_eq!(
            read,
            json!({"metadata": {"name": "a", "resourceVersion": "42"}, "kind": "Pod"})
        );
    }

    #[test]
    fn empty_metadata_still_splices_to_valid_json() {
        let stored = canonical(&json!({"kind": "Pod"}));
        let read: Value = serde_json::from_slice(&splice_revision(&stored, 1)).unwrap();
        assert_eq!(read["metadata"]["resourceVersion"], "1");
    }
}
