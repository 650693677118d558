//! What a leader must have seen of the cluster, kept current on every host that may become one, so
//! that a new leader lists nothing and decodes nothing before it acts.

use k8s_openapi::{
    Metadata, Resource,
    api::{
        apps::v1::{Deployment, ReplicaSet},
        core::v1::{self, Namespace, Node, ServiceAccount},
        policy::v1::PodDisruptionBudget,
    },
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use serde::de::DeserializeOwned;
use skein_consensus::{Record, Revision, SharedStore};
use skein_objects::registry;
use skein_storage::{Informer, Kinds, Storage};
use tokio::time::Instant;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    garbage::Graph,
    pod::{self, Pod},
};

/// The warm copies. Cheap to clone.
#[derive(Clone)]
pub struct Standby {
    pub(crate) namespaces: Informer<Namespace>,
    pub(crate) nodes: Informer<Node>,
    pub(crate) pods: Informer<Pod>,
    pub(crate) sets: Informer<ReplicaSet>,
    pub(crate) deployments: Informer<Deployment>,
    pub(crate) budgets: Informer<PodDisruptionBudget>,
    pub(crate) accounts: Informer<ServiceAccount>,
    pub(crate) definitions: Informer<CustomResourceDefinition>,
    pub(crate) kinds: Kinds,
    pub(crate) graph: Graph,
    /// Since when this host listens for nodes: a leader change does not begin that anew.
    pub(crate) began: Instant,
    tasks: TaskTracker,
    cancel: CancellationToken,
}

impl Standby {
    /// Starts following `store`.
    pub fn start(store: &SharedStore) -> Self {
        let storage = Storage::new(store.clone());
        let (tasks, cancel) = (TaskTracker::new(), CancellationToken::new());
        let kinds = Kinds::start(&storage, &tasks, cancel.clone());
        let standby = Self {
            namespaces: inform(&storage, &tasks, &cancel),
            nodes: inform(&storage, &tasks, &cancel),
            pods: follow_pods(&storage, &tasks, &cancel),
            sets: inform(&storage, &tasks, &cancel),
            deployments: inform(&storage, &tasks, &cancel),
            budgets: inform(&storage, &tasks, &cancel),
            accounts: inform(&storage, &tasks, &cancel),
            definitions: inform(&storage, &tasks, &cancel),
            graph: Graph::start(&storage, &kinds, &tasks, &cancel),
            kinds,
            began: Instant::now(),
            tasks,
            cancel,
        };
        standby.tasks.close();
        standby
    }

    /// Stops following; whoever still uses the copies sees no more changes.
    pub async fn stop(&self) {
        self.cancel.cancel();
        self.tasks.wait().await;
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.cancel.is_cancelled()
    }

    /// Waits until every copy shows all that was written up to `revision`; false when they were
    /// stopped before.
    pub(crate) async fn catch_up(&self, revision: Revision) -> bool {
        let informers = [
            self.namespaces.progress(),
            self.nodes.progress(),
            self.pods.progress(),
            self.sets.progress(),
            self.deployments.progress(),
            self.budgets.progress(),
            self.accounts.progress(),
            self.definitions.progress(),
        ];
        // Which kinds there are comes first: the graph has a part for each.
        if !self.kinds.progress().catch_up(revision).await {
            return false;
        }
        let parts = self.graph.progress(&self.kinds.current());
        let all = informers.into_iter().chain(&parts);
        let caught_up = futures::future::join_all(all.map(|one| one.catch_up(revision))).await;
        caught_up.into_iter().all(|caught_up| caught_up)
    }
}

fn follow_pods(
    storage: &Storage,
    tasks: &TaskTracker,
    cancel: &CancellationToken,
) -> Informer<Pod> {
    let reader = pod::Reader::default();
    let read = Box::new(move |record: &Record| reader.read(record).map(Some));
    Informer::start(storage, registry().of::<v1::Pod>().clone(), read, tasks, cancel.clone())
}

fn inform<T>(storage: &Storage, tasks: &TaskTracker, cancel: &CancellationToken) -> Informer<T>
where
    T: Resource + Metadata<Ty = ObjectMeta> + DeserializeOwned + Send + Sync + 'static,
{
    Informer::whole(storage, tasks, cancel.clone())
}
