//! The bounds of this crate, each with its reason.

/// Largest body, in bytes: Kubernetes' own limit for a request body.
pub const BODY_BYTES: usize = 3 * 1024 * 1024;

/// Deepest nesting of messages. The deepest path of the schema has 13; the bound holds even if a
/// message that contains itself is ever added to it.
pub const DEPTH: usize = 32;

/// Most values (scalars, lists and objects) a body may decode to. An empty message takes two
/// bytes on the wire and a hundred times that in memory.
pub const VALUES: usize = 250_000;
