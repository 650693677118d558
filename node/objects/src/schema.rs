//! The types behind the kinds, as JSON schemas.
//!
//! Made once from the k8s-openapi types. Strategic merge patches walk them to know which type a
//! field has; the OpenAPI documents publish them.

use std::borrow::Cow;
use std::sync::LazyLock;

use k8s_openapi::api::autoscaling::v1::Scale;
use k8s_openapi::apimachinery::pkg::apis::meta::v1 as meta;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value};

use crate::kind::{Kind, Typing};
use crate::kinds::KINDS;

/// Where the schemas live in an OpenAPI v3 document.
const PREFIX: &str = "#/components/schemas/";

/// The OpenAPI name of `metav1.ListMeta`.
pub(crate) const LIST_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta";
/// The OpenAPI name of `metav1.DeleteOptions`.
pub(crate) const DELETE_OPTIONS: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions";
/// The OpenAPI name of `metav1.Status`.
pub(crate) const STATUS: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.Status";
/// The OpenAPI name of the scale subresource.
pub(crate) const SCALE: &str = "io.k8s.api.autoscaling.v1.Scale";

/// Types that operations use beside the kinds.
pub(crate) const SHARED: &[(SchemaName, AddSchema)] = &[
    (meta::ListMeta::schema_name, SchemaGenerator::subschema_for::<meta::ListMeta>),
    (meta::DeleteOptions::schema_name, SchemaGenerator::subschema_for::<meta::DeleteOptions>),
    (meta::Status::schema_name, SchemaGenerator::subschema_for::<meta::Status>),
    (Scale::schema_name, SchemaGenerator::subschema_for::<Scale>),
];

type SchemaName = fn() -> Cow<'static, str>;
type AddSchema = fn(&mut SchemaGenerator) -> Schema;

static DEFINITIONS: LazyLock<Map<String, Value>> = LazyLock::new(build);

fn build() -> Map<String, Value> {
    let settings = SchemaSettings::openapi3().with(|settings| settings.transforms.clear());
    let mut generator = SchemaGenerator::new(settings);
    for kind in KINDS.iter() {
        if let Typing::Known(known) = &kind.typing {
            (known.schema)(&mut generator);
        }
    }
    for (_, add) in SHARED {
        add(&mut generator);
    }
    generator.take_definitions(true)
}

/// Every type by its OpenAPI name, such as `io.k8s.api.core.v1.Pod`.
pub(crate) fn definitions() -> &'static Map<String, Value> {
    &DEFINITIONS
}

/// What a `$ref` to a type is.
pub(crate) fn reference_to(name: &str) -> String {
    format!("{PREFIX}{name}")
}

/// The name a `$ref` points to.
pub(crate) fn target(reference: &str) -> &str {
    reference.strip_prefix(PREFIX).unwrap_or(reference)
}

/// A type that a walk has reached.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TypeRef<'s> {
    /// The OpenAPI name, empty for types without one.
    pub(crate) name: &'s str,
    schema: &'s Value,
}

const ANY: &Value = &Value::Null;

impl<'s> TypeRef<'s> {
    /// The type of a kind.
    pub(crate) fn of(kind: &'s Kind) -> TypeRef<'s> {
        if let Typing::Custom(definition) = &kind.typing {
            return TypeRef { name: "", schema: definition.published() };
        }
        match DEFINITIONS.get_key_value(kind.schema_name().as_ref()) {
            Some((name, schema)) => TypeRef { name, schema },
            None => TypeRef { name: "", schema: ANY },
        }
    }

    /// The schema.
    pub(crate) fn schema(self) -> &'s Value {
        self.schema
    }

    /// What the schema itself says of it.
    pub(crate) fn extension(self, name: &str) -> Option<&'s Value> {
        self.schema.get(name)
    }

    fn resolve(schema: &Value) -> TypeRef<'_> {
        let Some(reference) = schema.get("$ref").and_then(Value::as_str) else {
            return TypeRef { name: "", schema };
        };
        match DEFINITIONS.get_key_value(target(reference)) {
            Some((name, schema)) => TypeRef { name, schema },
            None => TypeRef { name: "", schema: ANY },
        }
    }

    /// Whether the type has a member of this name, rather than members of any name.
    pub(crate) fn declares(self, name: &str) -> bool {
        self.schema.get("properties").is_some_and(|all| all.get(name).is_some())
    }

    /// The type of a member; of anything when it is not known.
    pub(crate) fn member(self, name: &str) -> TypeRef<'s> {
        let properties = self.schema.get("properties").and_then(|all| all.get(name));
        let schema = properties.or_else(|| self.schema.get("additionalProperties"));
        schema.map_or(TypeRef { name: "", schema: ANY }, Self::resolve)
    }

    /// The type of a list's items.
    pub(crate) fn items(self) -> TypeRef<'s> {
        self.schema.get("items").map_or(TypeRef { name: "", schema: ANY }, Self::resolve)
    }
}
