//! What an informer keeps of an object.

use std::convert::Infallible;

use k8s_openapi::{Metadata, apimachinery::pkg::apis::meta::v1::ObjectMeta};

/// As much of an object as its readers need. It must know its own name.
pub trait View: Send + Sync + 'static {
    /// What objects are looked up by beside their names.
    type Group: Ord + Clone + Send + Sync + 'static;

    /// Its namespace, empty for cluster-scoped kinds.
    fn namespace(&self) -> &str;

    /// Its name.
    fn name(&self) -> &str;

    /// The groups it is in, each once.
    fn groups(&self) -> Vec<Self::Group>;
}

/// A whole object.
impl<T: Metadata<Ty = ObjectMeta> + Send + Sync + 'static> View for T {
    type Group = Infallible;

    fn namespace(&self) -> &str {
        self.metadata().namespace.as_deref().unwrap_or_default()
    }

    fn name(&self) -> &str {
        self.metadata().name.as_deref().unwrap_or_default()
    }

    fn groups(&self) -> Vec<Infallible> {
        Vec::new()
    }
}
