//! A kind as data.

use std::fmt;
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::{ClusterResourceScope, Metadata, NamespaceResourceScope, Resource};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::decode::check_as;
use crate::strategy::{Plain, Strategy};
use crate::table::{self, Column};

/// Whether objects of a kind live in a namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// In a namespace.
    Namespaced,
    /// Cluster-wide.
    Cluster,
}

/// Where a kind with the scale subresource keeps its counts, as JSON pointers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScalePaths {
    /// The desired count.
    pub spec_replicas: &'static str,
    /// The observed count.
    pub status_replicas: &'static str,
    /// The `metav1.LabelSelector`, or a map of labels where the kind has that instead.
    pub selector: &'static str,
}

/// The usual place of the counts: Deployment, ReplicaSet, StatefulSet, ReplicationController.
pub(crate) const WORKLOAD_SCALE: ScalePaths = ScalePaths {
    spec_replicas: "/spec/replicas",
    status_replicas: "/status/replicas",
    selector: "/spec/selector",
};

/// One kind of object the API serves.
#[derive(Clone, Copy)]
pub struct Kind {
    /// The API group, empty for core.
    pub group: &'static str,
    /// The version served and stored.
    pub version: &'static str,
    /// The kind, `Pod`.
    pub kind: &'static str,
    /// The resource, `pods`.
    pub plural: &'static str,
    /// What `kubectl get` also accepts, `pod`.
    pub singular: &'static str,
    /// Short names, `po`.
    pub short_names: &'static [&'static str],
    /// Categories, such as `all`.
    pub categories: &'static [&'static str],
    /// Namespaced or not.
    pub scope: Scope,
    /// Whether status is a subresource of its own.
    pub status: bool,
    /// Whether a change of what is wanted counts up `metadata.generation`.
    pub generation: bool,
    /// The scale subresource.
    pub scale: Option<ScalePaths>,
    /// Fields that field selectors may name besides `metadata.name` and `metadata.namespace`.
    pub fields: &'static [&'static str],
    pub(crate) check: fn(&Value, &mut Vec<String>) -> Result<Value, String>,
    pub(crate) schema: fn(&mut SchemaGenerator) -> Schema,
    pub(crate) schema_name: fn() -> std::borrow::Cow<'static, str>,
    pub(crate) strategy: &'static dyn Strategy,
    pub(crate) columns: &'static [Column],
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Kind({}, {})", self.api_version(), self.kind)
    }
}

impl PartialEq for Kind {
    fn eq(&self, other: &Self) -> bool {
        (self.group, self.version, self.kind) == (other.group, other.version, other.kind)
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
    pub(crate) const fn of<T>(singular: &'static str) -> Self
    where
        T: Resource<Scope: KnownScope>
            + Metadata<Ty = ObjectMeta>
            + Serialize
            + DeserializeOwned
            + JsonSchema,
    {
        Self {
            group: T::GROUP,
            version: T::VERSION,
            kind: T::KIND,
            plural: T::URL_PATH_SEGMENT,
            singular,
            short_names: &[],
            categories: &[],
            scope: <T::Scope as KnownScope>::SCOPE,
            status: false,
            generation: false,
            scale: None,
            fields: &[],
            check: check_as::<T>,
            schema: SchemaGenerator::subschema_for::<T>,
            schema_name: T::schema_name,
            strategy: &Plain,
            columns: table::PLAIN,
        }
    }

    pub(crate) const fn short(mut self, names: &'static [&'static str]) -> Self {
        self.short_names = names;
        self
    }

    pub(crate) const fn in_all(mut self) -> Self {
        self.categories = &["all"];
        self
    }

    pub(crate) const fn in_api_extensions(mut self) -> Self {
        self.categories = &["api-extensions"];
        self
    }

    pub(crate) const fn with_status(mut self) -> Self {
        self.status = true;
        self
    }

    pub(crate) const fn with_generation(mut self) -> Self {
        self.generation = true;
        self
    }

    pub(crate) const fn with_scale(mut self, paths: ScalePaths) -> Self {
        self.scale = Some(paths);
        self
    }

    pub(crate) const fn selectable(mut self, fields: &'static [&'static str]) -> Self {
        self.fields = fields;
        self
    }

    pub(crate) const fn shown(mut self, columns: &'static [Column]) -> Self {
        self.columns = columns;
        self
    }

    pub(crate) const fn ruled_by(mut self, strategy: &'static dyn Strategy) -> Self {
        self.strategy = strategy;
        self
    }

    /// `v1` or `apps/v1`.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.to_owned()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// The resource with its group, `pods` or `deployments.apps`: unique, and what the store's
    /// keys begin with.
    pub fn store_resource(&self) -> Arc<str> {
        if self.group.is_empty() {
            Arc::from(self.plural)
        } else {
            Arc::from(format!("{}.{}", self.plural, self.group))
        }
    }

    /// Whether objects of this kind live in a namespace.
    pub fn is_namespaced(&self) -> bool {
        self.scope == Scope::Namespaced
    }
}
