//! What the controllers of one term share: the fenced storage, the warm copies and the way to
//! start tasks.

use std::{future::Future, hash::Hash, sync::Arc};

use k8s_openapi::{
    api::{
        apps::v1::{Deployment, ReplicaSet},
        core::v1::{Namespace, Node},
        policy::v1::PodDisruptionBudget,
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use skein_consensus::Revision;
use skein_storage::{Change, EventRecorder, Informer, Storage, View};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    context::LeaderContext,
    fence::Fenced,
    limits::{OWN_WRITES_DEADLINE, RESYNC},
    metrics::Metrics,
    pod::Pod,
    queue::Queue,
    reconcile::ObjectKey,
    standby::Standby,
};

/// Shared by all controllers of a term. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Cluster {
    pub(crate) fence: Arc<Fenced>,
    pub(crate) storage: Storage,
    pub(crate) standby: Standby,
    pub(crate) host: String,
    pub(crate) metrics: Metrics,
    pub(crate) tasks: TaskTracker,
    pub(crate) cancel: CancellationToken,
    pub(crate) namespaces: Informer<Namespace>,
    pub(crate) nodes: Informer<Node>,
    pub(crate) pods: Informer<Pod>,
    pub(crate) sets: Informer<ReplicaSet>,
    pub(crate) deployments: Informer<Deployment>,
    pub(crate) budgets: Informer<PodDisruptionBudget>,
}

impl Cluster {
    /// The cluster as `fence` lets this term change it and `standby` shows it.
    pub(crate) fn new(
        fence: Arc<Fenced>,
        standby: Standby,
        context: &LeaderContext,
        cancel: CancellationToken,
    ) -> Self {
        Self {
            storage: Storage::new(fence.clone()),
            namespaces: standby.namespaces.clone(),
            nodes: standby.nodes.clone(),
            pods: standby.pods.clone(),
            sets: standby.sets.clone(),
            deployments: standby.deployments.clone(),
            budgets: standby.budgets.clone(),
            tasks: TaskTracker::new(),
            fence,
            standby,
            host: context.node_name.clone(),
            metrics: context.metrics.clone(),
            cancel,
        }
    }

    /// A recorder of events in the name of `component`.
    pub(crate) fn recorder(&self, component: &str) -> EventRecorder {
        let cancel = self.cancel.clone();
        EventRecorder::start(&self.storage, component, &self.host, &self.tasks, cancel)
    }

    /// The queue of the controller of that name.
    pub(crate) fn queue<K: Clone + Eq + Hash>(&self, name: &'static str) -> Arc<Queue<K>> {
        Arc::new(Queue::new(self.metrics.queue(name)))
    }

    /// Runs `task` until it or the term ends.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let cancel = self.cancel.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                () = cancel.cancelled() => {}
                () = task => {}
            }
        });
    }

    /// Tells `look` of every change, and to look at everything now, from time to time, and after
    /// changes were missed.
    pub(crate) fn follow<V: View>(
        &self,
        informer: &Informer<V>,
        mut look: impl FnMut(Change<V>) + Send + 'static,
    ) {
        let mut changes = informer.changes();
        self.spawn(async move {
            let mut resync = tokio::time::interval(RESYNC);
            loop {
                let change = tokio::select! {
                    change = changes.next() => change,
                    _ = resync.tick() => Some(Change::Resync),
                };
                match change {
                    Some(change) => look(change),
                    None => return,
                }
            }
        });
    }
}

/// Namespace and name of an object.
pub(crate) fn key_of(meta: &ObjectMeta) -> ObjectKey {
    let part = |part: &Option<String>| part.as_deref().unwrap_or_default().into();
    (part(&meta.namespace), part(&meta.name))
}

/// When the object was last written.
pub(crate) fn revision_of(meta: &ObjectMeta) -> Revision {
    let version = meta.resource_version.as_deref().unwrap_or_default();
    Revision(version.parse().unwrap_or_default())
}

/// Waits until `informer` shows what was written up to `revision`, so that the next look sees it.
/// Gives up after a while and says so by false: a late look is only slower where writes carry
/// preconditions, but would create once more what was created.
pub(crate) async fn see_own_writes<V: View>(informer: &Informer<V>, revision: Revision) -> bool {
    let seen = tokio::time::timeout(OWN_WRITES_DEADLINE, informer.caught_up(revision)).await;
    if seen.is_err() {
        tracing::debug!(%revision, "own writes are not visible yet");
    }
    seen.unwrap_or(false)
}
