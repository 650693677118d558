//! The types whose JSON is not what their message looks like.

use base64::{Engine, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use serde_json::Value;

use crate::{error::Problem, wire::Fields};

/// The lower half of a number: protobuf writes negative numbers with 64 bits whatever their type.
pub(crate) fn int32(number: u64) -> i32 {
    number as i32
}

/// Bytes as base64.
pub(crate) fn base64(bytes: &[u8]) -> Value {
    STANDARD.encode(bytes).into()
}

/// `resource.Quantity`: its text. One that was never set is zero.
pub(crate) fn quantity(bytes: &[u8]) -> Result<Value, Problem> {
    let mut text = "";
    for field in Fields::of(bytes) {
        if let (1, written) = field? {
            text = written.text()?;
        }
    }
    Ok(if text.is_empty() { "0" } else { text }.into())
}

/// `intstr.IntOrString`: which of the two it is, the number and the text.
pub(crate) fn int_or_string(bytes: &[u8]) -> Result<Value, Problem> {
    const WHAT: &str = "a number or string";
    let (mut which, mut number, mut text) = (0, 0, "");
    for field in Fields::of(bytes) {
        match field? {
            (1, written) => which = written.number(WHAT)?,
            (2, written) => number = int32(written.number(WHAT)?),
            (3, written) => text = written.text()?,
            _ => {}
        }
    }
    match which {
        0 => Ok(number.into()),
        1 => Ok(text.into()),
        _ => Err(Problem::NotA(WHAT)),
    }
}

/// `meta.Time`, in seconds. One that was never set is empty, and null in JSON.
pub(crate) fn time(bytes: &[u8]) -> Result<Option<Value>, Problem> {
    let at = timestamp(bytes, |_| 0)?;
    Ok(at.map(|at| at.to_string().into()))
}

/// `meta.MicroTime`: as [`time`], with six digits behind the second.
pub(crate) fn micro_time(bytes: &[u8]) -> Result<Option<Value>, Problem> {
    let at = timestamp(bytes, |nanos| nanos / 1_000 * 1_000)?;
    Ok(at.map(|at| format!("{at:.6}").into()))
}

fn timestamp(bytes: &[u8], precision: fn(i32) -> i32) -> Result<Option<Timestamp>, Problem> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let (mut seconds, mut nanos) = (0_i64, 0);
    for field in Fields::of(bytes) {
        match field? {
            (1, written) => seconds = written.number("a time")?.cast_signed(),
            (2, written) => nanos = int32(written.number("a time")?),
            _ => {}
        }
    }
    let at = Timestamp::new(seconds, precision(nanos)).map_err(|_| Problem::TimeOutOfRange)?;
    Ok(Some(at))
}

/// `runtime.RawExtension` and `meta.FieldsV1`: JSON text in a message.
pub(crate) fn raw_json(bytes: &[u8]) -> Result<Option<Value>, Problem> {
    let mut raw: &[u8] = &[];
    for field in Fields::of(bytes) {
        if let (1, written) = field? {
            raw = written.bytes("free-form content")?;
        }
    }
    if raw.is_empty() {
        return Ok(None);
    }
    serde_json::from_slice(raw).map(Some).map_err(|error| Problem::NotJson(error.to_string()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn quantities_are_their_text() {
        assert_eq!(quantity(b"\x0a\x04100m"), Ok(json!("100m")));
        assert_eq!(quantity(b""), Ok(json!("0")));
        assert_eq!(quantity(b"\x0a\x01\xff"), Err(Problem::NotUtf8));
    }

    #[test]
    fn int_or_string_is_one_of_them() {
        assert_eq!(int_or_string(b"\x08\x00\x10\x50\x1a\x00"), Ok(json!(80)));
        assert_eq!(int_or_string(b"\x08\x01\x10\x00\x1a\x0350%"), Ok(json!("50%")));
        let negative = b"\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01";
        assert_eq!(int_or_string(negative), Ok(json!(-1)));
        assert!(int_or_string(b"\x08\x02").is_err());
    }

    #[test]
    fn times_are_rfc_3339_and_unset_ones_are_null() {
        let bytes = b"\x08\x80\xe2\xcf\xaa\x06\x10\x95\x9a\xef\x3a";
        assert_eq!(time(bytes), Ok(Some(json!("2023-11-14T22:13:20Z"))));
        assert_eq!(micro_time(bytes), Ok(Some(json!("2023-11-14T22:13:20.123456Z"))));
        assert_eq!(time(b""), Ok(None));
        assert_eq!(micro_time(b""), Ok(None));
        let never = b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\x7f";
        assert_eq!(time(never), Err(Problem::TimeOutOfRange));
    }

    #[test]
    fn free_form_content_is_json() {
        assert_eq!(raw_json(b"\x0a\x07{\"a\":1}"), Ok(Some(json!({"a": 1}))));
        assert_eq!(raw_json(b"\x0a\x00"), Ok(None));
        assert!(matches!(raw_json(b"\x0a\x01{"), Err(Problem::NotJson(_))));
    }
}
