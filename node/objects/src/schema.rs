//! The types behind the kinds, as JSON schemas.
//!
//! Made once from the k8s-openapi types. Strategic merge patches walk them to know which type a
//! field has; the OpenAPI documents publish them.

use std::sync::LazyLock;

use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};

use crate::kind::Kind;
use crate::kinds::KINDS;

/// Where the schemas live in an OpenAPI v3 document.
const PREFIX: &str = "#/components/schemas/";

static DEFINITIONS: LazyLock<Map<String, Value>> = LazyLock::new(build);

fn build() -> Map<String, Value> {
    let settings = SchemaSettings::openapi3().with(|settings| settings.transforms.clear());
    let mut generator = SchemaGenerator::new(settings);
    for kind in KINDS {
        (kind.schema)(&mut generator);
    }
    generator.take_definitions(true)
}

/// Every type by its OpenAPI name, such as `io.k8s.api.core.v1.Pod`.
pub(crate) fn definitions() -> &'static Map<String, Value> {
    &DEFINITIONS
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
    pub(crate) fn of(kind: &Kind) -> TypeRef<'static> {
        let wanted = (kind.schema_name)();
        match DEFINITIONS.get_key_value(wanted.as_ref()) {
            Some((name, schema)) => TypeRef { name, schema },
            None => TypeRef { name: "", schema: ANY },
        }
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
