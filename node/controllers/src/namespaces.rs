//! The end of a namespace: its content goes first, then its finalizer, and with it the namespace.

use std::sync::Arc;

use async_trait::async_trait;
use k8s_openapi::api::core::v1::Namespace;
use skein_objects::{Reason, StatusError};
use skein_storage::Change;

use crate::{
    cluster::{Cluster, key_of},
    limits::EMPTYING_RECHECK,
    reconcile::{Next, ObjectKey, Reconciler, work},
    writes::empty,
};

/// What a namespace holds until its content is gone.
const FINALIZER: &str = "kubernetes";

/// The controller's name.
const NAME: &str = "namespace";

/// Starts the controller for this term.
pub(crate) fn start(cluster: &Cluster) {
    let queue = cluster.queue::<ObjectKey>(NAME);
    let namespaces = cluster.namespaces.clone();
    cluster.follow(&cluster.namespaces, {
        let (queue, namespaces) = (queue.clone(), namespaces.clone());
        move |changed| match changed {
            Change::Object { namespace, name, .. } => queue.add((namespace, name)),
            Change::Resync => {
                namespaces.list().iter().for_each(|one| queue.add(key_of(&one.metadata)))
            }
        }
    });
    cluster.follow(&cluster.pods, {
        let queue = queue.clone();
        move |changed| {
            if let Change::Object { namespace, .. } = changed
                && let Some(ending) = namespaces.get("", &namespace)
                && is_ending(&ending)
            {
                queue.add(key_of(&ending.metadata));
            }
        }
    });
    let controller = Arc::new(Controller { cluster: cluster.clone() });
    cluster.tasks.spawn(work(controller, queue, cluster.cancel.clone()));
}

fn is_ending(namespace: &Namespace) -> bool {
    namespace.metadata.deletion_timestamp.is_some()
}

struct Controller {
    cluster: Cluster,
}

#[async_trait]
impl Reconciler for Controller {
    type Key = ObjectKey;

    fn name(&self) -> &'static str {
        NAME
    }

    async fn reconcile(&self, (_, name): &ObjectKey) -> Result<Next, StatusError> {
        let seen = self.cluster.namespaces.get("", name);
        if !seen.is_some_and(|namespace| is_ending(&namespace)) {
            return Ok(Next::Settled);
        }
        let storage = &self.cluster.storage;
        let mut left = 0;
        let kinds = self.cluster.standby.kinds.fresh().await;
        for kind in kinds.stored().filter(|kind| kind.is_namespaced()) {
            left += empty(storage, kind, Some(name)).await?;
        }
        if left > 0 {
            tracing::debug!(namespace = %name, left, "namespace is not empty yet");
            return Ok(Next::After(EMPTYING_RECHECK));
        }
        let namespaces = storage.typed::<Namespace>();
        let finalized = namespaces.modify("", name, |namespace| {
            let finalizers = namespace.spec.get_or_insert_default().finalizers.as_mut();
            if let Some(finalizers) =
                finalizers.filter(|_| namespace.metadata.deletion_timestamp.is_some())
            {
                finalizers.retain(|finalizer| finalizer != FINALIZER);
            }
        });
        match finalized.await {
            Err(error) if error.reason != Reason::NotFound => Err(error),
            _ => Ok(Next::Settled),
        }
    }
}
