//! Events: each lives in the namespace of what it is about.

use crate::field::{Errors, Field};
use crate::strategy::Strategy;

/// Where events about cluster-scoped objects live.
const DEFAULT_NAMESPACE: &str = "default";

pub(crate) struct EventStrategy;

impl Strategy for EventStrategy {
    fn validate(&self, object: &Field<'_>, errors: &mut Errors) {
        let (metadata, involved) = (object.get("metadata"), object.get("involvedObject"));
        let about = involved.get("namespace");
        let own = metadata.get("namespace");
        let fits = match about.text() {
            "" => matches!(own.text(), "" | DEFAULT_NAMESPACE | "kube-system"),
            namespace => namespace == own.text(),
        };
        if !fits {
            errors.invalid(&about, "does not match event.namespace");
        }
    }
}
