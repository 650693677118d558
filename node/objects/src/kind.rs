//! A kind as data.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::{ClusterResourceScope, Metadata, NamespaceResourceScope, Resource};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::custom::{Conversion, Definition, DefinitionRef};
use crate::decode::check_as;
use crate::strategy::{Plain, Strategy};
use crate::table::{self, Column};

/// A name or a path: known to this binary, or read from a custom resource definition.
pub type Text = Cow<'static, str>;

/// Whether objects of a kind live in a namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// In a namespace.
    Namespaced,
    /// Cluster-wide.
    Cluster,
}

/// Where a kind with the scale subresource keeps its counts, as JSON pointers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScalePaths {
    /// The desired count.
    pub spec_replicas: Text,
    /// The observed count.
    pub status_replicas: Text,
    /// The `metav1.LabelSelector`; or a map of labels or a selector's text where the kind has that
    /// instead. Empty where it has none.
    pub selector: Text,
}

/// The usual place of the counts: Deployment, ReplicaSet, StatefulSet, ReplicationController.
pub(crate) const WORKLOAD_SCALE: ScalePaths = ScalePaths {
    spec_replicas: Cow::Borrowed("/spec/replicas"),
    status_replicas: Cow::Borrowed("/status/replicas"),
    selector: Cow::Borrowed("/spec/selector"),
};

/// One kind of object the API serves, in one of its versions.
#[derive(Clone)]
pub struct Kind {
    /// The API group, empty for core.
    pub group: Text,
    /// The version served.
    pub version: Text,
    /// The kind, `Pod`.
    pub kind: Text,
    /// The kind of its lists, `PodList`.
    pub list_kind: Text,
    /// The resource, `pods`.
    pub plural: Text,
    /// What `kubectl get` also accepts, `pod`.
    pub singular: Text,
    /// Short names, `po`.
    pub short_names: Vec<Text>,
    /// Categories, such as `all`.
    pub categories: Vec<Text>,
    /// Namespaced or not.
    pub scope: Scope,
    /// Whether status is a subresource of its own.
    pub status: bool,
    /// Whether a change of what is wanted counts up `metadata.generation`.
    pub generation: bool,
    /// The scale subresource.
    pub scale: Option<ScalePaths>,
    /// Whether clients see it; one that is not is only what other versions are stored in.
    pub served: bool,
    /// Whether a deletion is answered with the object as it last was, instead of with a `Status`.
    pub returns_deleted: bool,
    /// Fields that field selectors may name besides `metadata.name` and `metadata.namespace`.
    pub fields: Vec<Text>,
    pub(crate) typing: Typing,
    pub(crate) stored: Stored,
}

/// What is known of the objects of a kind: their types, rules and columns.
#[derive(Clone)]
pub(crate) enum Typing {
    /// A Rust type and what this binary says about it.
    Known(Known),
    /// A version of a custom resource definition.
    Custom(Arc<Definition>),
}

/// A kind of this binary.
#[derive(Clone, Copy)]
pub(crate) struct Known {
    check: fn(&Value, &mut Vec<String>) -> Result<Value, String>,
    pub(crate) schema: fn(&mut SchemaGenerator) -> Schema,
    schema_name: fn() -> Cow<'static, str>,
    strategy: &'static dyn Strategy,
    columns: &'static [Column<'static>],
}

/// How the objects of a kind are stored.
#[derive(Clone, Copy)]
pub(crate) enum Stored {
    /// In this version, and served as they are.
    AsServed,
    /// In another version of the kind, which these make of this one and this one of it.
    Converted {
        /// The group of the version stored.
        group: &'static str,
        to: fn(Value) -> Value,
        from: fn(Value) -> Value,
    },
    /// As the definition says.
    Defined,
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Kind({}, {})", self.api_version(), self.kind)
    }
}

impl PartialEq for Kind {
    fn eq(&self, other: &Self) -> bool {
        (&self.group, &self.version, &self.kind) == (&other.group, &other.version, &other.kind)
    }
}

impl Eq for Kind {}

/// The scopes a served kind can have.
pub(crate) trait KnownScope {
    const SCOPE: Scope;
}

impl KnownScope for ClusterResourceScope {
    const SCOPE: Scope = Scope::Cluster;
}

impl KnownScope for NamespaceResourceScope {
    const SCOPE: Scope = Scope::Namespaced;
}

impl Kind {
    /// The kind of a Rust type, without subresources or rules of its own.
    pub(crate) fn of<T>(singular: &'static str) -> Self
    where
        T: Resource<Scope: KnownScope>
            + Metadata<Ty = ObjectMeta>
            + Serialize
            + DeserializeOwned
            + JsonSchema,
    {
        Self {
            group: T::GROUP.into(),
            version: T::VERSION.into(),
            kind: T::KIND.into(),
            list_kind: format!("{}List", T::KIND).into(),
            plural: T::URL_PATH_SEGMENT.into(),
            singular: singular.into(),
            short_names: Vec::new(),
            categories: Vec::new(),
            scope: <T::Scope as KnownScope>::SCOPE,
            status: false,
            generation: false,
            scale: None,
            served: true,
            returns_deleted: false,
            fields: Vec::new(),
            typing: Typing::Known(Known {
                check: check_as::<T>,
                schema: SchemaGenerator::subschema_for::<T>,
                schema_name: T::schema_name,
                strategy: &Plain,
                columns: table::PLAIN,
            }),
            stored: Stored::AsServed,
        }
    }

    pub(crate) fn short(mut self, names: &[&'static str]) -> Self {
        self.short_names = texts(names);
        self
    }

    /// Kubernetes answers deletions of some kinds with the object; clients with types expect it.
    pub(crate) fn returning_deleted(mut self) -> Self {
        self.returns_deleted = true;
        self
    }

    pub(crate) fn in_all(mut self) -> Self {
        self.categories = texts(&["all"]);
        self
    }

    pub(crate) fn in_api_extensions(mut self) -> Self {
        self.categories = texts(&["api-extensions"]);
        self
    }

    pub(crate) fn with_status(mut self) -> Self {
        self.status = true;
        self
    }

    pub(crate) fn with_generation(mut self) -> Self {
        self.generation = true;
        self
    }

    pub(crate) fn with_scale(mut self, paths: ScalePaths) -> Self {
        self.scale = Some(paths);
        self
    }

    pub(crate) fn selectable(mut self, fields: &[&'static str]) -> Self {
        self.fields = texts(fields);
        self
    }

    pub(crate) fn shown(mut self, columns: &'static [Column<'static>]) -> Self {
        if let Typing::Known(known) = &mut self.typing {
            known.columns = columns;
        }
        self
    }

    pub(crate) fn ruled_by(mut self, strategy: &'static dyn Strategy) -> Self {
        if let Typing::Known(known) = &mut self.typing {
            known.strategy = strategy;
        }
        self
    }

    /// Says that objects are stored in another version of the kind, of this group.
    pub(crate) fn stored_as(
        mut self,
        group: &'static str,
        to: fn(Value) -> Value,
        from: fn(Value) -> Value,
    ) -> Self {
        self.stored = Stored::Converted { group, to, from };
        self
    }

    /// `v1` or `apps/v1`.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.clone().into_owned()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// The resource with the group it is stored in, `pods` or `deployments.apps`: the same for all
    /// versions of a kind, and what the store's keys begin with.
    pub fn store_resource(&self) -> Arc<str> {
        let group = match self.stored {
            Stored::Converted { group, .. } => group,
            Stored::AsServed | Stored::Defined => &self.group,
        };
        if group.is_empty() {
            Arc::from(&*self.plural)
        } else {
            Arc::from(format!("{}.{group}", self.plural))
        }
    }

    /// Whether objects of this kind live in a namespace.
    pub fn is_namespaced(&self) -> bool {
        self.scope == Scope::Namespaced
    }

    /// Whether a custom resource definition made this kind.
    pub fn is_custom(&self) -> bool {
        matches!(self.typing, Typing::Custom(_))
    }

    /// The definition that made this kind.
    pub fn definition(&self) -> Option<DefinitionRef<'_>> {
        match &self.typing {
            Typing::Known(_) => None,
            Typing::Custom(definition) => Some(definition.reference()),
        }
    }

    /// What makes the versions of this kind of each other, where that is a webhook's business. Then
    /// [`Kind::to_stored`] and [`Kind::to_served`] are not enough: objects go through it first.
    pub fn conversion(&self) -> Option<&Arc<Conversion>> {
        match &self.typing {
            Typing::Known(_) => None,
            Typing::Custom(definition) => definition.conversion(),
        }
    }

    /// The `apiVersion` of what is stored.
    pub fn stored_api_version(&self) -> Cow<'_, str> {
        match (&self.typing, self.stored) {
            (Typing::Custom(definition), _) => Cow::Borrowed(definition.stored_api_version()),
            _ => Cow::Owned(self.api_version()),
        }
    }

    /// Whether this is what other versions of the kind are stored in.
    pub fn is_storage_version(&self) -> bool {
        match &self.typing {
            Typing::Known(_) => !matches!(self.stored, Stored::Converted { .. }),
            Typing::Custom(definition) => definition.is_storage_version(),
        }
    }

    /// Whether stored objects are served as they are, byte for byte.
    pub fn serves_as_stored(&self) -> bool {
        match (&self.typing, self.stored) {
            (Typing::Custom(definition), _) => definition.serves_as_stored(),
            (_, stored) => matches!(stored, Stored::AsServed),
        }
    }

    /// An object of this version as it is stored.
    pub fn to_stored(&self, object: Value) -> Value {
        match (&self.typing, self.stored) {
            (Typing::Custom(definition), _) => definition.to_stored(object),
            (_, Stored::Converted { to, .. }) => to(object),
            _ => object,
        }
    }

    /// A stored object in this version.
    pub fn to_served(&self, object: Value) -> Value {
        match (&self.typing, self.stored) {
            (Typing::Custom(definition), _) => definition.to_served(object),
            (_, Stored::Converted { from, .. }) => from(object),
            _ => object,
        }
    }

    /// Sends an object through its type, which drops what it does not know and notes it.
    pub(crate) fn check(&self, object: &Value, noted: &mut Vec<String>) -> Result<Value, String> {
        match &self.typing {
            Typing::Known(known) => (known.check)(object, noted),
            Typing::Custom(definition) => definition.check(object, noted),
        }
    }

    pub(crate) fn strategy(&self) -> &dyn Strategy {
        match &self.typing {
            Typing::Known(known) => known.strategy,
            Typing::Custom(definition) => &**definition,
        }
    }

    pub(crate) fn columns(&self) -> Cow<'_, [Column<'_>]> {
        match &self.typing {
            Typing::Known(known) => Cow::Borrowed(known.columns),
            Typing::Custom(definition) => Cow::Owned(definition.columns()),
        }
    }

    /// The name of its schema in OpenAPI documents, such as `io.k8s.api.core.v1.Pod`.
    pub(crate) fn schema_name(&self) -> Text {
        match &self.typing {
            Typing::Known(known) => (known.schema_name)(),
            Typing::Custom(_) => {
                let reversed: Vec<&str> = self.group.rsplit('.').collect();
                format!("{}.{}.{}", reversed.join("."), self.version, self.kind).into()
            }
        }
    }
}

fn texts(names: &[&'static str]) -> Vec<Text> {
    names.iter().map(|name| Text::Borrowed(name)).collect()
}
