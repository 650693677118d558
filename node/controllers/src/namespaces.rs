//! The end of a namespace: its content goes first, then its finalizer, and with it the namespace.

use std::sync::Arc;

use async_trait::async_trait;
use k8s_openapi::api::core::v1::Namespace;
use skein_consensus::{Consistency, ListOptions};
use skein_objects::{Kind, Propagation, Reason, Scope, StatusError, registry};
use skein_storage::{Change, DeleteOptions, Storage};

use crate::{
    cluster::{Cluster, key_of},
    limits::NAMESPACE_RECHECK,
    queue::Queue,
    reconcile::{Next, ObjectKey, Reconciler, work},
    writes::concurrently,
};

/// What a namespace holds until its content is gone.
const FINALIZER: &str = "kubernetes";

/// Starts the controller for this term.
pub(crate) fn start(cluster: &Cluster) {
    let queue: Arc<Queue<ObjectKey>> = Arc::default();
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
        "namespace"
    }

    async fn reconcile(&self, (_, name): &ObjectKey) -> Result<Next, StatusError> {
        let seen = self.cluster.namespaces.get("", name);
        if !seen.is_some_and(|namespace| is_ending(&namespace)) {
            return Ok(Next::Settled);
        }
        let storage = &self.cluster.storage;
        let mut left = 0;
        for kind in registry().all().iter().filter(|kind| kind.scope == Scope::Namespaced) {
            left += empty(storage, kind, name).await?;
        }
        if left > 0 {
            tracing::debug!(namespace = %name, left, "namespace is not empty yet");
            return Ok(Next::After(NAMESPACE_RECHECK));
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

/// Deletes the objects of one kind that are not on their way out yet, and counts those that will
/// take a while.
async fn empty(
    storage: &Storage,
    kind: &'static Kind,
    namespace: &str,
) -> Result<usize, StatusError> {
    let list = async || {
        let all = ListOptions::default();
        storage.list(kind, Some(namespace), all, Consistency::Linearizable).await
    };
    let found = list().await?.records;
    if found.is_empty() {
        return Ok(0);
    }
    let options =
        &DeleteOptions { propagation: Some(Propagation::Background), ..DeleteOptions::default() };
    let deletions =
        found.iter().map(|record| storage.delete(kind, namespace, &record.key.name, options));
    for result in concurrently(deletions).await {
        match result {
            Err(error) if error.reason != Reason::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(list().await?.records.len())
}
