//! What every cluster has: the four namespaces of Kubernetes, and a service account named
//! `default` in each namespace.

use std::sync::Arc;

use async_trait::async_trait;
use k8s_openapi::{
    api::core::v1::{Namespace, ServiceAccount},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use skein_objects::{Reason, StatusError};
use skein_storage::{Change, Informer};

use crate::{
    cluster::{Cluster, key_of},
    reconcile::{Next, Reconciler, work},
};

const NAMESPACES: [&str; 4] = ["default", "kube-system", "kube-public", "kube-node-lease"];
const SERVICE_ACCOUNT: &str = "default";

/// The controller's name.
const NAME: &str = "defaults";

/// Starts the controller for this term. Its keys are names of namespaces.
pub(crate) fn start(cluster: &Cluster) {
    let accounts = cluster.standby.accounts.clone();
    let queue = cluster.queue::<Arc<str>>(NAME);
    let all = {
        let (namespaces, queue) = (cluster.namespaces.clone(), queue.clone());
        move || {
            NAMESPACES.iter().for_each(|name| queue.add(Arc::from(*name)));
            namespaces.list().iter().for_each(|one| queue.add(key_of(&one.metadata).1));
        }
    };
    cluster.follow(&cluster.namespaces, {
        let queue = queue.clone();
        move |changed| match changed {
            Change::Object { name, .. } => queue.add(name),
            Change::Resync => all(),
        }
    });
    cluster.follow(&accounts, {
        let queue = queue.clone();
        move |changed| {
            if let Change::Object { namespace, .. } = changed {
                queue.add(namespace);
            }
        }
    });
    let controller = Arc::new(Controller { cluster: cluster.clone(), accounts });
    cluster.tasks.spawn(work(controller, queue, cluster.cancel.clone()));
}

struct Controller {
    cluster: Cluster,
    accounts: Informer<ServiceAccount>,
}

#[async_trait]
impl Reconciler for Controller {
    type Key = Arc<str>;

    fn name(&self) -> &'static str {
        NAME
    }

    async fn reconcile(&self, name: &Arc<str>) -> Result<Next, StatusError> {
        match self.cluster.namespaces.get("", name) {
            None if NAMESPACES.contains(&&**name) => {
                let metadata = named(None, name);
                let namespace = Namespace { metadata, ..Namespace::default() };
                let made = self.cluster.storage.typed::<Namespace>().create(&namespace).await;
                allow_existing(made)?;
            }
            Some(namespace) if namespace.metadata.deletion_timestamp.is_none() => {
                if self.accounts.get(name, SERVICE_ACCOUNT).is_none() {
                    let metadata = named(Some(name), SERVICE_ACCOUNT);
                    let account = ServiceAccount { metadata, ..ServiceAccount::default() };
                    let made =
                        self.cluster.storage.typed::<ServiceAccount>().create(&account).await;
                    allow_existing(made)?;
                }
            }
            None | Some(_) => {}
        }
        Ok(Next::Settled)
    }
}

fn named(namespace: Option<&str>, name: &str) -> ObjectMeta {
    ObjectMeta {
        namespace: namespace.map(str::to_owned),
        name: Some(name.to_owned()),
        ..ObjectMeta::default()
    }
}

fn allow_existing<T>(made: Result<T, StatusError>) -> Result<(), StatusError> {
    match made {
        Err(error) if error.reason != Reason::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}
