//! Kinds that custom resource definitions make: schemas, pruning, defaults, validation, columns.
//!
//! A definition is compiled once, when it becomes known; what is asked of its objects is answered
//! from the compiled form.

mod columns;
mod conversion;
mod json_path;
mod schema;
mod structural;
#[cfg(test)]
mod tests;
mod validate;
mod values;

use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::decode::check_as;
use crate::field::{Errors, Field};
use crate::kind::{Kind, ScalePaths, Scope, Stored, Text, Typing};
use crate::lifecycle::Part;
use crate::strategy::Strategy;
use crate::table::Column;
use columns::CustomColumn;
pub use conversion::Conversion;
pub(crate) use json_path::JsonPath;
use schema::Schema;
pub(crate) use structural::validate as validate_structural;

/// What every object has, whatever its schema says.
const OUTLINE: [&str; 3] = ["apiVersion", "kind", "metadata"];

/// One version of a custom resource definition, compiled.
pub(crate) struct Definition {
    schema: Schema,
    /// The schema as it is published and walked.
    published: Value,
    columns: Vec<CustomColumn>,
    api_version: String,
    stored_api_version: String,
    /// What makes the versions of each other where more than their name differs.
    conversion: Option<Arc<Conversion>>,
    /// Whether everything stored was written in this version under this very schema.
    is_settled: bool,
    has_status: bool,
    name: String,
    revision: u64,
    is_ending: bool,
}

/// The definition behind a custom kind, as this host knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DefinitionRef<'k> {
    /// Its name.
    pub name: &'k str,
    /// The revision of the store that wrote it.
    pub revision: u64,
    /// Whether it is being deleted: no new objects are made of it.
    pub is_ending: bool,
}

/// The kinds that a custom resource definition makes: one for each version it serves or stores,
/// none until its names are accepted.
///
/// `revision` is the one of the store that wrote it. A definition that was stored has been
/// validated; one that cannot be compiled nevertheless makes no kinds.
pub fn custom_kinds(definition: &Value, revision: u64) -> Vec<Kind> {
    if !is_established(definition) {
        return Vec::new();
    }
    let versions = definition["spec"]["versions"].as_array().map_or(&[][..], Vec::as_slice);
    let wanted = |version: &&Value| version["served"] == true || version["storage"] == true;
    let conversion = Conversion::compile(definition).map(Arc::new);
    versions
        .iter()
        .filter(wanted)
        .filter_map(|version| kind(definition, revision, version, conversion.clone()))
        .collect()
}

/// Whether the names of a definition are accepted, so that its kinds are served.
pub(crate) fn is_established(definition: &Value) -> bool {
    let conditions = definition["status"]["conditions"].as_array().into_iter().flatten();
    conditions
        .into_iter()
        .any(|condition| condition["type"] == "Established" && condition["status"] == "True")
}

fn kind(
    definition: &Value,
    revision: u64,
    version: &Value,
    conversion: Option<Arc<Conversion>>,
) -> Option<Kind> {
    let spec = &definition["spec"];
    let names = &definition["status"]["acceptedNames"];
    let text = |value: &Value| Text::Owned(value.as_str().unwrap_or("").to_owned());
    let texts = |value: &Value| value.as_array().into_iter().flatten().map(text).collect();
    let subresources = &version["subresources"];
    let (group, name) = (text(&spec["group"]), text(&version["name"]));
    let compiled = Definition { conversion, ..Definition::compile(definition, revision, version)? };
    let fields = version["selectableFields"].as_array().into_iter().flatten();
    let pointer = |value: &Value| value.as_str().map(pointer_of);
    Some(Kind {
        kind: text(&names["kind"]),
        list_kind: text(&names["listKind"]),
        plural: text(&names["plural"]),
        singular: text(&names["singular"]),
        short_names: texts(&names["shortNames"]),
        categories: texts(&names["categories"]),
        scope: if spec["scope"] == "Cluster" { Scope::Cluster } else { Scope::Namespaced },
        status: compiled.has_status,
        generation: true,
        scale: pointer(&subresources["scale"]["specReplicasPath"]).map(|spec_replicas| {
            let scale = &subresources["scale"];
            ScalePaths {
                spec_replicas: spec_replicas.into(),
                status_replicas: pointer(&scale["statusReplicasPath"]).unwrap_or_default().into(),
                selector: pointer(&scale["labelSelectorPath"]).unwrap_or_default().into(),
            }
        }),
        fields: fields
            .filter_map(|field| field["jsonPath"].as_str())
            .map(|path| Text::Owned(path.trim_start_matches('.').to_owned()))
            .collect(),
        served: version["served"] == true,
        returns_deleted: false,
        stored: Stored::Defined,
        typing: Typing::Custom(Arc::new(compiled)),
        group,
        version: name,
    })
}

/// A simple path (`.spec.replicas`) as a JSON pointer.
fn pointer_of(path: &str) -> String {
    path.replace('.', "/")
}

#[derive(Serialize, Deserialize)]
struct WithMetadata {
    metadata: ObjectMeta,
}

impl Definition {
    fn compile(definition: &Value, revision: u64, version: &Value) -> Option<Self> {
        let spec = &definition["spec"];
        let name = |version: &Value| version["name"].as_str().unwrap_or("").to_owned();
        let versions = spec["versions"].as_array()?;
        let stored = name(versions.iter().find(|version| version["storage"] == true)?);
        let group = spec["group"].as_str()?;
        let schema = &version["schema"]["openAPIV3Schema"];
        let ever_stored = definition["status"]["storedVersions"].as_array();
        let is_settled = version["storage"] == true
            && ever_stored.is_some_and(|all| all.iter().all(|one| *one == version["name"]))
            && definition["metadata"]["generation"] == 1;
        Some(Self {
            schema: Schema::compile(schema).ok()?,
            published: published(schema),
            columns: columns::compile(&version["additionalPrinterColumns"]),
            api_version: format!("{group}/{}", name(version)),
            stored_api_version: format!("{group}/{stored}"),
            conversion: None,
            is_settled,
            has_status: version["subresources"]["status"].is_object(),
            name: definition["metadata"]["name"].as_str()?.to_owned(),
            revision,
            is_ending: !definition["metadata"]["deletionTimestamp"].is_null(),
        })
    }

    pub(crate) fn reference(&self) -> DefinitionRef<'_> {
        let Self { name, revision, is_ending, .. } = self;
        DefinitionRef { name, revision: *revision, is_ending: *is_ending }
    }

    pub(crate) fn is_storage_version(&self) -> bool {
        self.api_version == self.stored_api_version
    }

    pub(crate) fn stored_api_version(&self) -> &str {
        &self.stored_api_version
    }

    pub(crate) fn conversion(&self) -> Option<&Arc<Conversion>> {
        self.conversion.as_ref()
    }

    pub(crate) fn serves_as_stored(&self) -> bool {
        self.is_settled
    }

    /// An object as it is stored, where versions differ in their name alone.
    pub(crate) fn to_stored(&self, mut object: Value) -> Value {
        object["apiVersion"] = json!(self.stored_api_version);
        object
    }

    /// A stored object as this version has it, after a conversion where there is one: what was
    /// stored under a former schema is pruned and completed as this one says.
    pub(crate) fn to_served(&self, mut object: Value) -> Value {
        object["apiVersion"] = json!(self.api_version);
        if !self.is_settled {
            values::prune(&self.schema, &mut object, &mut Vec::new());
            values::complete(&self.schema, &mut object);
        }
        object
    }

    /// Prunes what the schema does not know, and notes it; fills in defaults.
    pub(crate) fn check(&self, object: &Value, noted: &mut Vec<String>) -> Result<Value, String> {
        let mut object = object.clone();
        if object["metadata"].is_null() {
            object["metadata"] = json!({});
        }
        let metadata = json!({"metadata": object["metadata"].take()});
        object["metadata"] = check_as::<WithMetadata>(&metadata, noted)?["metadata"].take();
        values::prune(&self.schema, &mut object, noted);
        values::complete(&self.schema, &mut object);
        Ok(object)
    }

    pub(crate) fn columns(&self) -> Vec<Column<'_>> {
        columns::of(&self.columns)
    }

    /// The schema of the whole object, with references to this binary's types.
    pub(crate) fn published(&self) -> &Value {
        &self.published
    }

    /// Checks an object; parts that are as they were are not looked at again, so that a stricter
    /// schema keeps nobody from changing the rest.
    fn validate(&self, object: &Field<'_>, old: Option<&Value>, part: Part, errors: &mut Errors) {
        let skipped = match part {
            Part::Status => &["metadata", "apiVersion", "kind", "spec"][..],
            Part::Main if self.has_status => &["metadata", "apiVersion", "kind", "status"],
            Part::Main | Part::Scale | Part::EphemeralContainers | Part::Resize => {
                &["metadata", "apiVersion", "kind"]
            }
        };
        validate::root(&self.schema, object, old, skipped, errors);
    }
}

impl Strategy for Definition {
    fn validate(&self, object: &Field<'_>, errors: &mut Errors) {
        Self::validate(self, object, None, Part::Main, errors);
    }

    fn validate_change(&self, part: Part, new: &Field<'_>, old: &Field<'_>, errors: &mut Errors) {
        Self::validate(self, new, Some(old.value), part, errors);
    }
}

/// The schema as OpenAPI documents have it: with the outline that every object has.
fn published(schema: &Value) -> Value {
    let mut schema = if schema.is_object() { schema.clone() } else { json!({"type": "object"}) };
    if schema["properties"].is_null() {
        schema["properties"] = json!({});
    }
    let text = |description: &str| json!({"type": "string", "description": description});
    let outline = json!({
        "apiVersion": text("The version of this object's schema."),
        "kind": text("The kind of this object."),
        "metadata": {"$ref": crate::schema::reference_to(OBJECT_META)},
    });
    if let (Some(properties), Value::Object(outline)) =
        (schema["properties"].as_object_mut(), outline)
    {
        properties.extend(outline);
    }
    schema
}

/// The OpenAPI name of `metav1.ObjectMeta`.
const OBJECT_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";

/// The members of a map, none where it is no map.
fn members(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flat_map(Map::iter)
}
