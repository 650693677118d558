//! The bounds of this crate, each with its reason.

/// Largest object accepted, in bytes: Kubernetes' own limit for a request body.
pub const OBJECT_BYTES: usize = 3 * 1024 * 1024;

/// Largest sum of a ConfigMap's or Secret's values, in bytes, as Kubernetes has it.
pub const DATA_BYTES: usize = 1024 * 1024;

/// Largest sum of an object's annotation keys and values, in bytes, as Kubernetes has it.
pub const ANNOTATION_BYTES: usize = 256 * 1024;

/// Deepest nesting of a decoded document. No Kubernetes type that is not a free-form
/// extension goes beyond 30 levels; deeper documents are only meant to exhaust a stack.
pub const DEPTH: usize = 96;

/// Most nodes (scalars, lists and maps) a YAML document may expand to, aliases included.
pub const YAML_NODES: usize = 250_000;

/// Most aliases a YAML document may use: a manifest seldom has more than a handful.
pub const YAML_ALIASES: usize = 1_000;

/// Most field errors reported for one object; the rest would not be read.
pub const FIELD_ERRORS: usize = 64;

/// Most unknown or duplicate fields reported for one object, as Kubernetes has it.
pub const STRICT_ERRORS: usize = 100;

/// Most operations in a JSON patch, as Kubernetes has it.
pub const PATCH_OPERATIONS: usize = 10_000;

/// Most bytes of JSON that the copies of one JSON patch may make, as Kubernetes has it.
pub const PATCH_COPY_BYTES: usize = 3 << 20;

/// Most requirements in one selector string.
pub const SELECTOR_REQUIREMENTS: usize = 256;

/// Most managers remembered that have updated an object, as in Kubernetes; the oldest become one.
pub const UPDATERS: usize = 10;
