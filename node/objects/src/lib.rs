//! The kinds: registry, defaults, validation, selectors, patches, tables. Pure.
//!
//! Objects flow as `serde_json::Value`s that were checked through the k8s-openapi types
//! (see `docs/adr/004-objects-as-json.md`). A kind is one entry of the [`registry`] plus, where
//! it has rules of its own, a strategy. Nothing here reads a clock, draws a random number or
//! does IO: what is impure comes in as a [`Stamp`].

mod apply;
mod canonical;
mod custom;
mod decode;
mod field;
mod kind;
mod kinds;
mod lifecycle;
pub mod limits;
mod names;
pub mod openapi;
pub mod patch;
mod podspec;
pub mod quantity;
mod registry;
mod schema;
pub mod selector;
mod status;
mod strategy;
pub mod table;
mod token;
mod webhook;

pub use apply::{Applier, apply, apply_new};
pub use canonical::{canonical, splice_revision, write_with_revision};
pub use custom::{Conversion, DefinitionRef, custom_kinds};
pub use decode::{Decoded, FieldValidation, MediaType, check, decode, parse};
pub use field::{FieldError, FieldErrorKind};
pub use kind::{Kind, ScalePaths, Scope, Text};
pub use lifecycle::{
    DeletePlan, Part, Propagation, Stamp, begin_delete, deletion_complete, prepare_create,
    prepare_update, set_at,
};
pub use registry::{Registry, registry, warnings};
pub use status::{Cause, Details, Reason, StatusError};
pub use token::{JoinToken, JoinTokenSpec, JoinTokenStatus};
pub use webhook::{Webhook, WebhookAddress, certificates};
