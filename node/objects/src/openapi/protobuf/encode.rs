//! The walk over a document, and the protobuf wire format as far as it is needed
//! (<https://protobuf.dev/programming-guides/encoding/>).

use serde_json::{Map, Value};

use super::messages::{Form, Message, Others};

/// Wire type of integers and booleans.
const VARINT: u32 = 0;
/// Wire type of strings and messages.
const LENGTH_DELIMITED: u32 = 2;

/// Field numbers of every pair of a name and a value (`NamedAny`, `NamedSchema`, …).
const PAIR: (u32, u32) = (1, 2);
/// Field number of the text in an `Any`.
const ANY_YAML: u32 = 2;

/// A JSON object as a message.
pub(super) fn message(json: &Value, message: &Message) -> Vec<u8> {
    let mut out = Vec::new();
    let Value::Object(members) = json else { return out };
    for field in message.fields {
        if let Some(value) = members.get(field.name) {
            write(&mut out, field.number, value, &field.form);
        }
    }
    write_others(&mut out, members, message);
    out
}

fn write_others(out: &mut Vec<u8>, members: &Map<String, Value>, message: &Message) {
    let (named, extensions) = match message.others {
        Others::Extensions(number) => (None, Some(number)),
        Others::Named(number, form, extensions) => (Some((number, form)), extensions),
    };
    for (name, value) in members {
        let extension = extensions.filter(|_| name.starts_with("x-"));
        if let Some(number) = extension {
            let mut any = Vec::new();
            // JSON is YAML.
            write_bytes(&mut any, ANY_YAML, value.to_string().as_bytes());
            let mut pair = Vec::new();
            write_bytes(&mut pair, PAIR.0, name.as_bytes());
            write_bytes(&mut pair, PAIR.1, &any);
            write_bytes(out, number, &pair);
        } else if let Some((number, form)) = named {
            let mut pair = Vec::new();
            write_bytes(&mut pair, PAIR.0, name.as_bytes());
            write(&mut pair, PAIR.1, value, form);
            write_bytes(out, number, &pair);
        }
    }
}

/// Writes a value as the field of this number; a value of another form is left out, as protobuf
/// leaves out what is not set.
fn write(out: &mut Vec<u8>, number: u32, value: &Value, form: &Form) {
    match (form, value) {
        (Form::Text | Form::Texts, Value::String(text)) => {
            write_bytes(out, number, text.as_bytes());
        }
        (Form::Texts, Value::Array(texts)) => {
            texts.iter().for_each(|text| write(out, number, text, &Form::Text));
        }
        (Form::Flag, Value::Bool(flag)) => {
            write_varint(out, tag(number, VARINT));
            write_varint(out, u64::from(*flag));
        }
        (Form::One(inner), value) => write_bytes(out, number, &message(value, inner)),
        (Form::Within(inner_number, inner), value) => {
            let mut within = Vec::new();
            write(&mut within, *inner_number, value, inner);
            write_bytes(out, number, &within);
        }
        (Form::Each(inner), Value::Array(values)) => {
            values.iter().for_each(|value| write(out, number, value, inner));
        }
        (Form::Chosen(choose), value) => write(out, number, value, choose(value)),
        (Form::Text | Form::Texts | Form::Flag | Form::Each(_), _) => {}
    }
}

fn write_bytes(out: &mut Vec<u8>, number: u32, bytes: &[u8]) {
    write_varint(out, tag(number, LENGTH_DELIMITED));
    write_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn tag(number: u32, wire_type: u32) -> u64 {
    u64::from(number << 3 | wire_type)
}

/// Seven bits a byte, the lowest first; the top bit says that more follow.
fn write_varint(out: &mut Vec<u8>, mut value: u64) {
    while value > 0x7f {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}
