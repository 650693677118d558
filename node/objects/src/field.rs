//! Errors about a field, in Kubernetes' wording, and the paths that lead to it.

use std::fmt;

use serde_json::Value;

/// What is wrong with a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FieldErrorKind {
    /// It is missing.
    Required,
    /// Its value breaks a rule.
    Invalid,
    /// Its value is not one of the allowed ones.
    NotSupported,
    /// Its value occurs twice where it must be unique.
    Duplicate,
    /// It may not be set, or not changed, here.
    Forbidden,
    /// It is longer than allowed.
    TooLong,
    /// It has more items than allowed.
    TooMany,
    /// It refers to something that is not there.
    NotFound,
}

impl FieldErrorKind {
    /// `metav1.CauseType`.
    pub const fn cause(&self) -> &'static str {
        match self {
            Self::Required => "FieldValueRequired",
            Self::Invalid => "FieldValueInvalid",
            Self::NotSupported => "FieldValueNotSupported",
            Self::Duplicate => "FieldValueDuplicate",
            Self::Forbidden => "FieldValueForbidden",
            Self::TooLong => "FieldValueTooLong",
            Self::TooMany => "FieldValueTooMany",
            Self::NotFound => "FieldValueNotFound",
        }
    }

    const fn words(&self) -> &'static str {
        match self {
            Self::Required => "Required value",
            Self::Invalid => "Invalid value",
            Self::NotSupported => "Unsupported value",
            Self::Duplicate => "Duplicate value",
            Self::Forbidden => "Forbidden",
            Self::TooLong => "Too long",
            Self::TooMany => "Too many",
            Self::NotFound => "Not found",
        }
    }

    const fn shows_value(&self) -> bool {
        !matches!(self, Self::Required | Self::Forbidden | Self::TooLong)
    }
}

/// One field that breaks a rule.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldError {
    /// Where, such as `spec.containers[0].name`.
    pub path: String,
    /// What is wrong.
    pub kind: FieldErrorKind,
    /// The value at fault, `Null` when there is none to show.
    pub value: Value,
    /// The rule, may be empty.
    pub detail: String,
}

impl FieldError {
    /// The sentence without the path.
    pub fn body(&self) -> String {
        let mut text = self.kind.words().to_owned();
        if self.kind.shows_value() {
            text.push_str(": ");
            text.push_str(&self.value.to_string());
        }
        if !self.detail.is_empty() {
            text.push_str(": ");
            text.push_str(&self.detail);
        }
        text
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.body())
    }
}

/// Collects field errors while a validation walks an object.
#[derive(Debug, Default)]
pub(crate) struct Errors(Vec<FieldError>);

impl Errors {
    pub(crate) fn into_vec(self) -> Vec<FieldError> {
        self.0
    }

    fn push(&mut self, at: &Field<'_>, kind: FieldErrorKind, value: Value, detail: String) {
        self.0.push(FieldError { path: at.path(), kind, value, detail });
    }

    pub(crate) fn required(&mut self, at: &Field<'_>, detail: &str) {
        self.push(at, FieldErrorKind::Required, Value::Null, detail.to_owned());
    }

    pub(crate) fn invalid(&mut self, at: &Field<'_>, detail: impl Into<String>) {
        self.push(at, FieldErrorKind::Invalid, at.value.clone(), detail.into());
    }

    /// As [`Self::invalid`] for a value that is not the whole field, such as a map's key.
    pub(crate) fn invalid_value(&mut self, at: &Field<'_>, value: &str, detail: impl Into<String>) {
        self.push(at, FieldErrorKind::Invalid, Value::from(value), detail.into());
    }

    pub(crate) fn not_supported(&mut self, at: &Field<'_>, allowed: &[&str]) {
        let allowed: Vec<String> = allowed.iter().map(|one| format!("{one:?}")).collect();
        let detail = format!("supported values: {}", allowed.join(", "));
        self.push(at, FieldErrorKind::NotSupported, at.value.clone(), detail);
    }

    pub(crate) fn duplicate(&mut self, at: &Field<'_>) {
        self.push(at, FieldErrorKind::Duplicate, at.value.clone(), String::new());
    }

    pub(crate) fn forbidden(&mut self, at: &Field<'_>, detail: impl Into<String>) {
        self.push(at, FieldErrorKind::Forbidden, Value::Null, detail.into());
    }

    pub(crate) fn too_long(&mut self, at: &Field<'_>, limit_bytes: usize) {
        let detail = format!("may not be more than {limit_bytes} bytes");
        self.push(at, FieldErrorKind::TooLong, Value::Null, detail);
    }

    pub(crate) fn too_many(&mut self, at: &Field<'_>, most: usize) {
        let count = at.value.as_array().map_or(0, Vec::len);
        let detail = format!("must have at most {most} items");
        self.push(at, FieldErrorKind::TooMany, Value::from(count), detail);
    }

    pub(crate) fn not_found(&mut self, at: &Field<'_>) {
        self.push(at, FieldErrorKind::NotFound, at.value.clone(), String::new());
    }

    /// Demands that the field is the same in both objects.
    pub(crate) fn immutable(&mut self, new: &Field<'_>, old: &Field<'_>) {
        if new.value != old.value {
            self.invalid(new, "field is immutable");
        }
    }
}

enum Step<'a> {
    Root,
    Name(&'a str),
    Index(usize),
    Key(&'a str),
}

/// A value and the way that led to it; absent fields are `Null`.
///
/// The path is a chain on the stack, made into text only when an error needs it.
pub(crate) struct Field<'a> {
    parent: Option<&'a Field<'a>>,
    step: Step<'a>,
    /// The value, `Null` when the field is absent.
    pub(crate) value: &'a Value,
}

const NULL: &Value = &Value::Null;

impl<'a> Field<'a> {
    pub(crate) const fn root(value: &'a Value) -> Self {
        Self { parent: None, step: Step::Root, value }
    }

    /// The member `name`.
    pub(crate) fn get(&'a self, name: &'a str) -> Field<'a> {
        let value = self.value.get(name).unwrap_or(NULL);
        Field { parent: Some(self), step: Step::Name(name), value }
    }

    /// The place of a map's key, for errors about the key itself.
    pub(crate) fn key(&'a self, key: &'a str) -> Field<'a> {
        let value = self.value.get(key).unwrap_or(NULL);
        Field { parent: Some(self), step: Step::Key(key), value }
    }

    /// The items of a list; nothing when it is absent.
    pub(crate) fn items(&'a self) -> impl Iterator<Item = Field<'a>> {
        let items: &[Value] = self.value.as_array().map_or(&[], Vec::as_slice);
        items.iter().enumerate().map(move |(index, value)| Field {
            parent: Some(self),
            step: Step::Index(index),
            value,
        })
    }

    /// The entries of a map; nothing when it is absent.
    pub(crate) fn entries(&'a self) -> impl Iterator<Item = (&'a str, Field<'a>)> {
        self.value.as_object().into_iter().flatten().map(move |(key, value)| {
            (key.as_str(), Field { parent: Some(self), step: Step::Key(key), value })
        })
    }

    pub(crate) fn is_set(&self) -> bool {
        !self.value.is_null()
    }

    /// Whether it is absent, or a text, list or map with nothing in it.
    pub(crate) fn is_empty(&self) -> bool {
        match self.value {
            Value::Null => true,
            Value::String(text) => text.is_empty(),
            Value::Array(items) => items.is_empty(),
            Value::Object(members) => members.is_empty(),
            Value::Bool(_) | Value::Number(_) => false,
        }
    }

    /// The text, empty when it is absent.
    pub(crate) fn text(&self) -> &'a str {
        self.value.as_str().unwrap_or("")
    }

    pub(crate) fn integer(&self) -> Option<i64> {
        self.value.as_i64()
    }

    pub(crate) fn is_true(&self) -> bool {
        self.value.as_bool() == Some(true)
    }

    pub(crate) fn path(&self) -> String {
        let mut text = self.parent.map(Field::path).unwrap_or_default();
        match self.step {
            Step::Root => {}
            Step::Name(name) => {
                if !text.is_empty() {
                    text.push('.');
                }
                text.push_str(name);
            }
            Step::Index(index) => text.push_str(&format!("[{index}]")),
            Step::Key(key) => text.push_str(&format!("[{key}]")),
        }
        text
    }
}
