//! A structural schema, compiled.

use std::collections::{BTreeMap, BTreeSet};

use regex::Regex;
use serde_json::{Number, Value};

use super::members;

/// The type of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    Object,
    Array,
    String,
    Integer,
    Number,
    Boolean,
}

impl Type {
    fn read(text: &str) -> Option<Self> {
        Some(match text {
            "object" => Self::Object,
            "array" => Self::Array,
            "string" => Self::String,
            "integer" => Self::Integer,
            "number" => Self::Number,
            "boolean" => Self::Boolean,
            _ => return None,
        })
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Object => "object",
            Self::Array => "array",
            Self::String => "string",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Boolean => "boolean",
        }
    }
}

/// What members a map may have beside its properties.
#[derive(Debug)]
pub(super) enum Additional {
    /// None: they are pruned.
    Pruned,
    /// Any, unchecked.
    Any,
    /// Any of this schema.
    Of(Box<Schema>),
}

/// What tells the items of a list apart.
#[derive(Debug)]
pub(super) enum Unique {
    No,
    /// The whole item.
    Whole,
    /// These members.
    By(Vec<String>),
}

/// A schema: the structure of a value, its defaults, and what must hold of it.
#[derive(Debug)]
pub(super) struct Schema {
    pub(super) of: Option<Type>,
    pub(super) nullable: bool,
    pub(super) int_or_string: bool,
    /// Whether members it does not know stay.
    pub(super) preserves: bool,
    /// Whether the value is itself an object with `apiVersion`, `kind` and `metadata`.
    pub(super) embedded: bool,
    pub(super) default: Option<Value>,
    pub(super) properties: BTreeMap<String, Schema>,
    pub(super) additional: Additional,
    pub(super) items: Option<Box<Schema>>,
    pub(super) unique: Unique,
    pub(super) rules: Rules,
}

/// What must hold of a value beside its structure.
#[derive(Debug, Default)]
pub(super) struct Rules {
    pub(super) required: BTreeSet<String>,
    pub(super) values: Option<Vec<Value>>,
    pub(super) format: Option<String>,
    pub(super) pattern: Option<Regex>,
    pub(super) length: Range,
    pub(super) items: Range,
    pub(super) properties: Range,
    pub(super) minimum: Option<Bound>,
    pub(super) maximum: Option<Bound>,
    pub(super) multiple_of: Option<f64>,
    pub(super) all_of: Vec<Schema>,
    pub(super) any_of: Vec<Schema>,
    pub(super) one_of: Vec<Schema>,
    pub(super) not: Option<Box<Schema>>,
}

/// How many there may be.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Range {
    pub(super) least: Option<u64>,
    pub(super) most: Option<u64>,
}

/// How large or small a number may be.
#[derive(Clone, Debug)]
pub(super) struct Bound {
    pub(super) value: Number,
    pub(super) exclusive: bool,
}

impl Schema {
    /// Compiles a `JSONSchemaProps`.
    ///
    /// # Errors
    /// What is wrong with it, such as a pattern that is no regular expression.
    pub(super) fn compile(schema: &Value) -> Result<Self, String> {
        let int_or_string = schema["x-kubernetes-int-or-string"] == true;
        let of = match schema["type"].as_str() {
            None | Some("") => None,
            Some(text) => Some(Type::read(text).ok_or_else(|| format!("no type {text:?}"))?),
        };
        let mut properties = BTreeMap::new();
        for (name, property) in members(&schema["properties"]) {
            properties.insert(name.clone(), Self::compile(property)?);
        }
        let additional = match &schema["additionalProperties"] {
            Value::Null | Value::Bool(false) => Additional::Pruned,
            Value::Bool(true) => Additional::Any,
            of => Additional::Of(Box::new(Self::compile(of)?)),
        };
        let unique = match schema["x-kubernetes-list-type"].as_str() {
            Some("set") => Unique::Whole,
            Some("map") => Unique::By(texts(&schema["x-kubernetes-list-map-keys"])),
            _ => Unique::No,
        };
        Ok(Self {
            of,
            nullable: schema["nullable"] == true,
            int_or_string,
            preserves: schema["x-kubernetes-preserve-unknown-fields"] == true,
            embedded: schema["x-kubernetes-embedded-resource"] == true,
            default: schema.get("default").filter(|value| !value.is_null()).cloned(),
            properties,
            additional,
            items: one(&schema["items"])?,
            unique,
            rules: Rules::compile(schema, int_or_string)?,
        })
    }
}

impl Rules {
    fn compile(schema: &Value, int_or_string: bool) -> Result<Self, String> {
        let range = |least: &str, most: &str| Range {
            least: schema[least].as_u64(),
            most: schema[most].as_u64(),
        };
        let bound = |at: &str, exclusive: &str| {
            let value = schema[at].as_number()?.clone();
            Some(Bound { value, exclusive: schema[exclusive] == true })
        };
        let pattern = match schema["pattern"].as_str() {
            None | Some("") => None,
            Some(text) => Some(Regex::new(text).map_err(|error| error.to_string())?),
        };
        // What says that it is one or the other says nothing more.
        let any_of = if int_or_string { &Value::Null } else { &schema["anyOf"] };
        Ok(Self {
            required: texts(&schema["required"]).into_iter().collect(),
            values: schema["enum"].as_array().cloned(),
            format: schema["format"].as_str().map(str::to_owned),
            pattern,
            length: range("minLength", "maxLength"),
            items: range("minItems", "maxItems"),
            properties: range("minProperties", "maxProperties"),
            minimum: bound("minimum", "exclusiveMinimum"),
            maximum: bound("maximum", "exclusiveMaximum"),
            multiple_of: schema["multipleOf"].as_f64(),
            all_of: many(&schema["allOf"])?,
            any_of: many(any_of)?,
            one_of: many(&schema["oneOf"])?,
            not: one(&schema["not"])?,
        })
    }
}

fn one(schema: &Value) -> Result<Option<Box<Schema>>, String> {
    if schema.is_object() {
        Schema::compile(schema).map(|one| Some(Box::new(one)))
    } else {
        Ok(None)
    }
}

fn many(schemas: &Value) -> Result<Vec<Schema>, String> {
    schemas.as_array().into_iter().flatten().map(Schema::compile).collect()
}

fn texts(values: &Value) -> Vec<String> {
    let texts = values.as_array().into_iter().flatten().filter_map(Value::as_str);
    texts.map(str::to_owned).collect()
}
