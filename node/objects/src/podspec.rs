//! The pod spec, wherever it occurs: in pods and in the templates of workloads.

mod containers;
mod defaults;
mod probes;
mod resize;
mod resources;
mod validate;
mod volumes;

pub(crate) use containers::{PROTOCOLS, require_text, validate_choice, validate_port_number};
pub(crate) use defaults::{
    default_pod_spec, items, made_member, member, set, set_content, set_text,
};
pub(crate) use resize::{default_resize_policy, validate_resize};
pub(crate) use resources::{limits_to_requests, quality_of_service, validate_quantity};
pub(crate) use validate::{validate_pod_spec, validate_tolerations};
