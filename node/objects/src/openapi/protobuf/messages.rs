//! The tables of messages: which JSON member becomes which protobuf field.

use serde_json::Value;

/// How the members of a JSON object become the fields of a message.
pub(super) struct Message {
    /// The members with a field of their own.
    pub(super) fields: &'static [Field],
    /// Where the other members go.
    pub(super) others: Others,
}

/// A member with a field of its own.
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) number: u32,
    pub(super) form: Form,
}

/// Where the members go that have no field of their own.
pub(super) enum Others {
    /// Vendor extensions (`x-…`) into this field, each a `NamedAny`; there are no others.
    Extensions(u32),
    /// All but extensions into the first field, each a pair of its name and its value; extensions
    /// into the second field, if there is one.
    Named(u32, &'static Form, Option<u32>),
}

/// The form of a field.
pub(super) enum Form {
    /// A string.
    Text,
    /// A string each, or one where the JSON holds just one.
    Texts,
    /// A boolean.
    Flag,
    /// A message.
    One(&'static Message),
    /// A message that holds nothing but this form in its field of this number.
    Within(u32, &'static Form),
    /// A value each.
    Each(&'static Form),
    /// What the value itself decides.
    Chosen(fn(&Value) -> &'static Form),
}

const fn field(name: &'static str, number: u32, form: Form) -> Field {
    Field { name, number, form }
}

pub(super) static DOCUMENT: Message = Message {
    fields: &[
        field("swagger", 1, Form::Text),
        field("info", 2, Form::One(&INFO)),
        field("paths", 8, Form::One(&PATHS)),
        field("definitions", 9, Form::One(&SCHEMAS)),
    ],
    others: Others::Extensions(16),
};

static INFO: Message = Message {
    fields: &[field("title", 1, Form::Text), field("version", 2, Form::Text)],
    others: Others::Extensions(7),
};

/// `Paths`.
static PATHS: Message =
    Message { fields: &[], others: Others::Named(2, &Form::One(&PATH_ITEM), Some(1)) };

/// `Definitions` and `Properties`, which are alike.
static SCHEMAS: Message =
    Message { fields: &[], others: Others::Named(1, &Form::One(&SCHEMA), None) };

static SCHEMA: Message = Message {
    fields: &[
        field("$ref", 1, Form::Text),
        field("format", 2, Form::Text),
        field("description", 4, Form::Text),
        field("required", 19, Form::Texts),
        field("additionalProperties", 21, Form::Chosen(additional_properties)),
        field("type", 22, Form::Within(1, &Form::Texts)),
        field("items", 23, Form::Within(1, &Form::One(&SCHEMA))),
        field("properties", 25, Form::One(&SCHEMAS)),
    ],
    others: Others::Extensions(31),
};

/// The choice in `AdditionalPropertiesItem`.
fn additional_properties(value: &Value) -> &'static Form {
    static SUBSCHEMA: Form = Form::Within(1, &Form::One(&SCHEMA));
    static ALLOWED: Form = Form::Within(2, &Form::Flag);
    if value.is_boolean() { &ALLOWED } else { &SUBSCHEMA }
}

static PATH_ITEM: Message = Message {
    fields: &[
        field("get", 2, Form::One(&OPERATION)),
        field("put", 3, Form::One(&OPERATION)),
        field("post", 4, Form::One(&OPERATION)),
        field("delete", 5, Form::One(&OPERATION)),
        field("patch", 8, Form::One(&OPERATION)),
        field("parameters", 9, Form::Each(&PARAMETER)),
    ],
    others: Others::Extensions(10),
};

static OPERATION: Message = Message {
    fields: &[
        field("tags", 1, Form::Texts),
        field("consumes", 7, Form::Texts),
        field("parameters", 8, Form::Each(&PARAMETER)),
        field("responses", 9, Form::One(&RESPONSES)),
    ],
    others: Others::Extensions(13),
};

/// `ParametersItem` with a `Parameter`.
static PARAMETER: Form = Form::Within(1, &Form::Chosen(parameter));

/// The choices in `Parameter` and `NonBodyParameter`.
fn parameter(value: &Value) -> &'static Form {
    static BODY: Form = Form::Within(1, &Form::One(&BODY_PARAMETER));
    static QUERY: Form = Form::Within(2, &Form::Within(3, &Form::One(&QUERY_PARAMETER)));
    static PATH: Form = Form::Within(2, &Form::Within(4, &Form::One(&PATH_PARAMETER)));
    match value["in"].as_str() {
        Some("body") => &BODY,
        Some("path") => &PATH,
        _ => &QUERY,
    }
}

static BODY_PARAMETER: Message = Message {
    fields: &[
        field("name", 2, Form::Text),
        field("in", 3, Form::Text),
        field("required", 4, Form::Flag),
        field("schema", 5, Form::One(&SCHEMA)),
    ],
    others: Others::Extensions(6),
};

static QUERY_PARAMETER: Message = Message {
    fields: &[
        field("required", 1, Form::Flag),
        field("in", 2, Form::Text),
        field("description", 3, Form::Text),
        field("name", 4, Form::Text),
        field("type", 6, Form::Text),
    ],
    others: Others::Extensions(23),
};

static PATH_PARAMETER: Message = Message {
    fields: &[
        field("required", 1, Form::Flag),
        field("in", 2, Form::Text),
        field("description", 3, Form::Text),
        field("name", 4, Form::Text),
        field("type", 5, Form::Text),
    ],
    others: Others::Extensions(22),
};

/// `Responses`, each a `ResponseValue` with a `Response`.
static RESPONSES: Message = Message {
    fields: &[],
    others: Others::Named(1, &Form::Within(1, &Form::One(&RESPONSE)), Some(2)),
};

static RESPONSE: Message = Message {
    fields: &[
        field("description", 1, Form::Text),
        field("schema", 2, Form::Within(1, &Form::One(&SCHEMA))),
    ],
    others: Others::Extensions(5),
};
