//! The pod spec, wherever it occurs: in pods and in the templates of workloads.

mod containers;
mod defaults;
mod probes;
mod resources;
mod validate;
mod volumes;

pub(crate) use defaults::{default_pod_spec, set, set_text};
pub(crate) use resources::{limits_to_requests, quality_of_service};
pub(crate) use validate::validate_pod_spec;
