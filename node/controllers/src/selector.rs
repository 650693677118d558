//! Label selectors of workloads.

use k8s_openapi::apimachinery::pkg::apis::meta::v1;
use skein_objects::selector::{LabelSelector, Labels};

/// A workload's selector. Unlike in queries, an empty one picks nothing: a workload that owned
/// every pod of its namespace would be an accident.
pub(crate) struct Selector(Option<LabelSelector>);

impl Selector {
    /// Reads a selector; one that is absent, empty or invalid picks nothing.
    pub(crate) fn of(spec: Option<&v1::LabelSelector>) -> Self {
        let selector = spec.and_then(|spec| LabelSelector::from_spec(spec).ok());
        Self(selector.filter(|selector| !selector.is_empty()))
    }

    /// Whether it picks an object with these labels.
    pub(crate) fn picks(&self, labels: &impl Labels) -> bool {
        self.0.as_ref().is_some_and(|selector| selector.matches(labels))
    }
}
