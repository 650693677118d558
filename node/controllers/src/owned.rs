//! Which owner to look at when an owned object changes or vanishes.

use std::{collections::HashMap, sync::Arc};

use k8s_openapi::{Metadata, apimachinery::pkg::apis::meta::v1::ObjectMeta};

use crate::{owner::controller_of, reconcile::ObjectKey};

/// Remembers the controller of each object of a kind, so that the controller of a removed object
/// is still known.
pub(crate) struct Owned {
    owner_kind: &'static str,
    owners: HashMap<ObjectKey, ObjectKey>,
}

impl Owned {
    /// Remembers controllers of kind `owner_kind`.
    pub(crate) fn by(owner_kind: &'static str) -> Self {
        Self { owner_kind, owners: HashMap::new() }
    }

    /// Notes the object's state now, `None` if it is gone, and names the owners to look at: the
    /// former and the present one.
    pub(crate) fn note<T>(&mut self, key: &ObjectKey, object: Option<&T>) -> Vec<ObjectKey>
    where
        T: Metadata<Ty = ObjectMeta>,
    {
        let present = object
            .and_then(|object| controller_of(object.metadata()))
            .filter(|owner| owner.kind == self.owner_kind)
            .map(|owner| (key.0.clone(), Arc::from(owner.name.as_str())));
        let former = match &present {
            Some(owner) => self.owners.insert(key.clone(), owner.clone()),
            None => self.owners.remove(key),
        };
        let former = former.filter(|former| Some(former) != present.as_ref());
        former.into_iter().chain(present).collect()
    }
}
