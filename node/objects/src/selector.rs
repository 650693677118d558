//! Label and field selectors.

mod field;
mod label;

pub use field::FieldSelector;
pub use label::{LabelSelector, Labels};

use k8s_openapi::api::policy::v1::PodDisruptionBudget;

/// Whether a disruption budget is about pods with these labels. Unlike a workload's, an empty
/// selector is about all of the namespace; none at all is about nothing.
pub fn protects(budget: &PodDisruptionBudget, labels: &impl Labels) -> bool {
    let spec = budget.spec.as_ref().and_then(|spec| spec.selector.as_ref());
    let selector = spec.and_then(|spec| LabelSelector::from_spec(spec).ok());
    selector.is_some_and(|selector| selector.matches(labels))
}
