//! Messages as JSON objects, by the schema.

use serde_json::{Map, Value};

use crate::{
    error::Problem,
    limits,
    schema::{Field, Kind, MessageId, Schema, Shape},
    well_known,
    wire::{self, Fields, Payload},
};

type Object = Map<String, Value>;

/// A problem, and the way from it to the object.
#[derive(Debug)]
pub(crate) struct Fault {
    /// From the innermost step to the outermost.
    steps: Vec<String>,
    problem: Problem,
}

impl Fault {
    fn within(mut self, step: String) -> Self {
        self.steps.push(step);
        self
    }

    /// The path from the object on, and the problem.
    pub(crate) fn into_parts(self) -> (String, Problem) {
        (self.steps.into_iter().rev().collect(), self.problem)
    }
}

impl From<Problem> for Fault {
    fn from(problem: Problem) -> Self {
        Self { steps: Vec::new(), problem }
    }
}

/// Decodes one object and counts what it makes.
pub(crate) struct Decoder<'s> {
    schema: &'s Schema,
    values: usize,
    depth: usize,
}

impl<'s> Decoder<'s> {
    pub(crate) fn new(schema: &'s Schema) -> Self {
        Self { schema, values: 0, depth: 0 }
    }

    /// The message as an object.
    pub(crate) fn decode(&mut self, id: MessageId, bytes: &[u8]) -> Result<Object, Fault> {
        let mut object = Object::new();
        self.decode_into(id, bytes, &mut object)?;
        Ok(object)
    }

    /// Adds the fields of the message to those `object` has. Protobuf merges messages that are
    /// written in pieces, and embedded messages share one object.
    fn decode_into(
        &mut self,
        id: MessageId,
        bytes: &[u8],
        object: &mut Object,
    ) -> Result<(), Fault> {
        self.depth += 1;
        if self.depth > limits::DEPTH {
            return Err(Problem::TooDeep.into());
        }
        let schema = self.schema;
        let message = schema.message(id);
        for field in Fields::of(bytes) {
            let (number, payload) = field?;
            if let Some(field) = message.field(number) {
                self.add(field, payload, object).map_err(|fault| match field.shape {
                    Shape::Inline => fault,
                    _ => fault.within(format!(".{}", field.name)),
                })?;
            }
        }
        self.depth -= 1;
        Ok(())
    }

    /// Adds what one field holds.
    fn add(
        &mut self,
        field: &Field,
        payload: Payload<'_>,
        object: &mut Object,
    ) -> Result<(), Fault> {
        match (field.shape, field.kind) {
            (Shape::Inline, Kind::Message(id)) => {
                self.decode_into(id, payload.bytes("a message")?, object)
            }
            (Shape::Single, Kind::Message(id)) => {
                self.count()?;
                let inner = as_object(object.entry(field.name).or_insert_with(empty_object))?;
                self.decode_into(id, payload.bytes("a message")?, inner)
            }
            (Shape::Inline | Shape::Single, kind) => {
                match self.value(kind, payload)? {
                    Some(value) if field.keeps_zero || !is_zero(&value) => {
                        object.insert(field.name.to_owned(), value);
                    }
                    _ => {
                        object.remove(field.name);
                    }
                }
                Ok(())
            }
            (Shape::List, kind) => {
                let list = object.entry(field.name).or_insert_with(|| Value::Array(Vec::new()));
                let list = list.as_array_mut().ok_or(Problem::NotA("a list"))?;
                self.add_items(kind, payload, list)
            }
            (Shape::Map, kind) => {
                let map = as_object(object.entry(field.name).or_insert_with(empty_object))?;
                self.add_entry(kind, payload.bytes("an entry")?, map)
            }
        }
    }

    /// Adds one item, or all of a packed list of numbers.
    fn add_items(
        &mut self,
        kind: Kind,
        payload: Payload<'_>,
        list: &mut Vec<Value>,
    ) -> Result<(), Fault> {
        if let (Kind::Int32 | Kind::Int64 | Kind::Bool, Payload::Bytes(mut packed)) =
            (kind, payload)
        {
            while !packed.is_empty() {
                let number = Payload::Number(wire::number(&mut packed)?);
                list.extend(self.value(kind, number)?);
            }
            return Ok(());
        }
        let place = list.len();
        let item = self.value(kind, payload).map_err(|fault| fault.within(format!("[{place}]")))?;
        list.extend(item);
        Ok(())
    }

    /// Adds one entry of a map: a message with the key and the value, either of which is left out
    /// by some encoders where it is empty.
    fn add_entry(&mut self, kind: Kind, bytes: &[u8], map: &mut Object) -> Result<(), Fault> {
        let mut key = "";
        let mut value = match kind {
            Kind::Int32 | Kind::Int64 | Kind::Bool => Payload::Number(0),
            _ => Payload::Bytes(&[]),
        };
        for field in Fields::of(bytes) {
            match field? {
                (1, written) => key = written.text()?,
                (2, written) => value = written,
                _ => {}
            }
        }
        let value = self.value(kind, value).map_err(|fault| fault.within(format!("[{key:?}]")))?;
        if let Some(value) = value {
            map.insert(key.to_owned(), value);
        }
        Ok(())
    }

    /// One value; none where Kubernetes' JSON would have null.
    fn value(&mut self, kind: Kind, payload: Payload<'_>) -> Result<Option<Value>, Fault> {
        self.count()?;
        Ok(match kind {
            Kind::String => Some(payload.text()?.into()),
            Kind::Bool => Some((payload.number("a boolean")? != 0).into()),
            Kind::Int32 => Some(well_known::int32(payload.number("a number")?).into()),
            Kind::Int64 => Some(payload.number("a number")?.cast_signed().into()),
            Kind::Bytes => Some(well_known::base64(payload.bytes("bytes")?)),
            Kind::Quantity => Some(well_known::quantity(payload.bytes("a quantity")?)?),
            Kind::IntOrString => {
                Some(well_known::int_or_string(payload.bytes("a number or string")?)?)
            }
            Kind::Time => well_known::time(payload.bytes("a time")?)?,
            Kind::MicroTime => well_known::micro_time(payload.bytes("a time")?)?,
            Kind::RawJson => well_known::raw_json(payload.bytes("free-form content")?)?,
            Kind::Strings => Some(self.strings(payload.bytes("a list of strings")?)?),
            Kind::Message(id) => Some(Value::Object(self.decode(id, payload.bytes("a message")?)?)),
        })
    }

    /// A message whose first field is a list of strings, and which is that list in JSON.
    fn strings(&mut self, bytes: &[u8]) -> Result<Value, Fault> {
        let mut list = Vec::new();
        for field in Fields::of(bytes) {
            if let (1, item) = field? {
                self.add_items(Kind::String, item, &mut list)?;
            }
        }
        Ok(Value::Array(list))
    }

    fn count(&mut self) -> Result<(), Problem> {
        self.values += 1;
        if self.values > limits::VALUES { Err(Problem::TooManyValues) } else { Ok(()) }
    }
}

fn empty_object() -> Value {
    Value::Object(Object::new())
}

fn as_object(value: &mut Value) -> Result<&mut Object, Problem> {
    value.as_object_mut().ok_or(Problem::NotA("an object"))
}

/// Whether this is what a Go variable holds that was never set.
fn is_zero(value: &Value) -> bool {
    match value {
        Value::Bool(value) => !value,
        Value::Number(number) => number.as_i64() == Some(0),
        Value::String(text) => text.is_empty(),
        _ => false,
    }
}
