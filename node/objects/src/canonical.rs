//! The bytes of an object as they are stored and sent.
//!
//! Stored bytes are compact JSON, `metadata` first, without a resource version: the version is
//! the store's revision and is spliced in on the way out, so that reads never parse.

use bytes::Bytes;
use serde_json::{Map, Value};

/// How every stored object begins.
const HEAD: &[u8] = b"{\"metadata\":{";

/// More than most objects take, so that writing one seldom moves it.
const USUAL_BYTES: usize = 4096;

/// The most bytes that [`write_with_revision`] adds: `"resourceVersion":"…",` with 20 digits.
const REVISION_BYTES: usize = 41;

/// The stored bytes of an object: compact JSON that begins with `{"metadata":{` and has no
/// `metadata.resourceVersion`. Members of every map are sorted, so equal objects are equal bytes.
pub fn canonical(object: &Value) -> Bytes {
    let empty = Map::new();
    let object = object.as_object().unwrap_or(&empty);
    let metadata = object.get("metadata").and_then(Value::as_object).unwrap_or(&empty);
    let mut out = Vec::with_capacity(USUAL_BYTES);
    out.extend_from_slice(b"{\"metadata\":");
    write_map(&mut out, metadata.iter().filter(|(key, _)| *key != "resourceVersion"));
    for (key, value) in object.iter().filter(|(key, _)| *key != "metadata") {
        out.push(b',');
        write_member(&mut out, key, value);
    }
    out.push(b'}');
    Bytes::from(out)
}

fn write_map<'a>(out: &mut Vec<u8>, members: impl Iterator<Item = (&'a String, &'a Value)>) {
    out.push(b'{');
    let start = out.len();
    for (key, value) in members {
        if out.len() > start {
            out.push(b',');
        }
        write_member(out, key, value);
    }
    out.push(b'}');
}

fn write_member(out: &mut Vec<u8>, key: &str, value: &Value) {
    // Neither texts nor trees nor memory refuse to be written.
    serde_json::to_writer(&mut *out, key).ok();
    out.push(b':');
    serde_json::to_writer(out, value).ok();
}

/// The object with its resource version, without parsing it.
pub fn splice_revision(stored: &[u8], revision: u64) -> Bytes {
    let mut out = Vec::with_capacity(stored.len() + REVISION_BYTES);
    write_with_revision(stored, revision, &mut out);
    Bytes::from(out)
}

/// The same as [`splice_revision`] at the end of `out`, for lists and watches that write many
/// objects into one body.
pub fn write_with_revision(stored: &[u8], revision: u64, out: &mut Vec<u8>) {
    let Some(rest) = stored.strip_prefix(HEAD) else {
        return out.extend_from_slice(stored);
    };
    let comma: &[u8] = if rest.first() == Some(&b'}') { b"" } else { b"," };
    let revision = revision.to_string();
    for part in [HEAD, b"\"resourceVersion\":\"", revision.as_bytes(), b"\"", comma, rest] {
        out.extend_from_slice(part);
    }
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
    fn a_spliced_object_fits_the_room_made_for_it() {
        let stored = canonical(&json!({"metadata": {"name": "a"}}));
        let spliced = splice_revision(&stored, u64::MAX);
        assert_eq!(spliced.len(), stored.len() + REVISION_BYTES);
    }

    #[test]
    fn empty_metadata_still_splices_to_valid_json() {
        let stored = canonical(&json!({"kind": "Pod"}));
        let read: Value = serde_json::from_slice(&splice_revision(&stored, 1)).unwrap();
        assert_eq!(read["metadata"]["resourceVersion"], "1");
    }
}
