//! Reading the text of schemas.

use std::collections::HashMap;

use super::{Field, Kind, Message, MessageId, Schema, Shape};

/// What is wrong with a schema's text.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum SchemaError {
    /// The line is none of those there are, or stands in the wrong place.
    #[error("the line {0:?} is not understood")]
    Line(String),
    /// The message is described twice.
    #[error("{0} is described twice")]
    Twice(String),
    /// The type is not a message of any file.
    #[error("there is no message {0}")]
    NoMessage(String),
    /// The numbers of a message do not rise.
    #[error("the fields of {0} are not in order")]
    Order(String),
}

type File = (&'static str, &'static str);

/// A message by the file it is in and its name.
type Names = HashMap<(&'static str, &'static str), MessageId>;

/// Parses all files; they may name each other's messages.
pub(super) fn parse(files: &[File]) -> Result<Schema, SchemaError> {
    let (names, kinds) = headers(files)?;
    let mut messages = Vec::with_capacity(names.len());
    for &(file, text) in files {
        for line in content(text).skip(1) {
            if let Some(field) = line.strip_prefix("  ") {
                let message: &mut Message =
                    messages.last_mut().ok_or_else(|| SchemaError::Line(line.to_owned()))?;
                let field = parse_field(&names, file, field)?;
                if message.fields.last().is_some_and(|last: &Field| last.number >= field.number) {
                    return Err(SchemaError::Order(field.name.to_owned()));
                }
                message.fields.push(field);
            } else {
                messages.push(Message { fields: Vec::new() });
            }
        }
    }
    Ok(Schema { messages, kinds })
}

/// The lines that say something.
fn content(text: &'static str) -> impl Iterator<Item = &'static str> {
    text.lines().filter(|line| !line.is_empty())
}

/// Numbers the messages in the order in which they come.
fn headers(files: &[File]) -> Result<(Names, Names), SchemaError> {
    let mut names = Names::new();
    let mut kinds = Names::new();
    for &(file, text) in files {
        let mut lines = content(text);
        let first = lines.next().unwrap_or_default();
        let unknown = |line: &str| SchemaError::Line(line.to_owned());
        let api = first.strip_prefix("api ").ok_or_else(|| unknown(first))?;
        for line in lines.filter(|line| !line.starts_with(' ')) {
            let (word, name) = line.split_once(' ').ok_or_else(|| unknown(line))?;
            let id = MessageId(names.len());
            if names.insert((file, name), id).is_some() {
                return Err(SchemaError::Twice(format!("{file}.{name}")));
            }
            match word {
                "kind" => {
                    kinds.insert((api, name), id);
                }
                "message" => {}
                _ => return Err(unknown(line)),
            }
        }
    }
    Ok((names, kinds))
}

fn parse_field(
    names: &Names,
    file: &'static str,
    line: &'static str,
) -> Result<Field, SchemaError> {
    let unknown = || SchemaError::Line(line.to_owned());
    let mut words = line.split(' ');
    let (Some(number), Some(name), Some(written), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(unknown());
    };
    let number = number.parse().map_err(|_| unknown())?;
    let (shape, written) = if let Some(item) = written.strip_prefix("[]") {
        (Shape::List, item)
    } else if let Some(item) = written.strip_prefix("{}") {
        (Shape::Map, item)
    } else if name == "+" {
        (Shape::Inline, written)
    } else {
        (Shape::Single, written)
    };
    let (written, keeps_zero) = match written.strip_suffix('!') {
        Some(written) => (written, true),
        None => (written, false),
    };
    let kind = parse_kind(names, file, written)?;
    if shape == Shape::Inline && !matches!(kind, Kind::Message(_)) {
        return Err(unknown());
    }
    Ok(Field { number, name, shape, kind, keeps_zero })
}

fn parse_kind(
    names: &Names,
    file: &'static str,
    written: &'static str,
) -> Result<Kind, SchemaError> {
    Ok(match written {
        "string" => Kind::String,
        "bool" => Kind::Bool,
        "int32" => Kind::Int32,
        "int64" => Kind::Int64,
        "bytes" => Kind::Bytes,
        "Quantity" => Kind::Quantity,
        "IntOrString" => Kind::IntOrString,
        "Time" => Kind::Time,
        "MicroTime" => Kind::MicroTime,
        "RawJson" => Kind::RawJson,
        "Strings" => Kind::Strings,
        message => {
            let (file, name) = message.split_once('.').unwrap_or((file, message));
            let id = names.get(&(file, name)).copied();
            Kind::Message(id.ok_or_else(|| SchemaError::NoMessage(format!("{file}.{name}")))?)
        }
    })
}
