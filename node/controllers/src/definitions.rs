//! Custom resource definitions: whether their names are free, and the end of their objects.

mod plan;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use async_trait::async_trait;
use k8s_openapi::{
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
    jiff::Timestamp,
};
use skein_objects::{Reason, StatusError};
use skein_storage::{Change, Client};

use crate::{
    cluster::{Cluster, key_of},
    limits::EMPTYING_RECHECK,
    reconcile::{Next, ObjectKey, Reconciler, work},
    writes::empty,
};

/// The controller's name.
const NAME: &str = "definition";

/// Starts the controller for this term.
pub(crate) fn start(cluster: &Cluster) {
    let queue = cluster.queue::<ObjectKey>(NAME);
    let definitions = cluster.standby.definitions.clone();
    cluster.follow(&cluster.standby.definitions, {
        let queue = queue.clone();
        move |changed| {
            // A definition that goes gives its names back to the others of its group.
            let group = match &changed {
                Change::Object { name, .. } => name.split_once('.').map(|(_, group)| group),
                Change::Resync => None,
            };
            let concerned = definitions
                .list()
                .into_iter()
                .filter(|one| group.is_none_or(|group| one.spec.group == group));
            concerned.for_each(|one| queue.add(key_of(&one.metadata)));
        }
    });
    let controller =
        Arc::new(Controller { definitions: cluster.storage.typed(), cluster: cluster.clone() });
    cluster.tasks.spawn(work(controller, queue, cluster.cancel.clone()));
}

struct Controller {
    cluster: Cluster,
    definitions: Client<CustomResourceDefinition>,
}

#[async_trait]
impl Reconciler for Controller {
    type Key = ObjectKey;

    fn name(&self) -> &'static str {
        NAME
    }

    async fn reconcile(&self, (_, name): &ObjectKey) -> Result<Next, StatusError> {
        let all = self.cluster.standby.definitions.list();
        let is_it = |one: &&Arc<CustomResourceDefinition>| {
            one.metadata.name.as_deref().is_some_and(|own| *own == **name)
        };
        let Some(definition) = all.iter().find(is_it) else { return Ok(Next::Settled) };
        if definition.metadata.deletion_timestamp.is_some() {
            return self.end(definition).await;
        }
        let status = plan::status(definition, &all, Timestamp::now());
        self.write(definition, status).await?;
        Ok(Next::Settled)
    }
}

impl Controller {
    /// Deletes the objects of a definition, and lets it go once there are none.
    async fn end(&self, definition: &CustomResourceDefinition) -> Result<Next, StatusError> {
        let spec = &definition.spec;
        let resource = format!("{}.{}", spec.names.plural, spec.group);
        let kinds = self.cluster.standby.kinds.fresh().await;
        // One whose names were never accepted has no objects.
        if let Some(kind) = kinds.by_store_resource(&resource) {
            let left = empty(&self.cluster.storage, kind, None).await?;
            if left > 0 {
                tracing::debug!(%resource, left, "objects of the definition are left");
                return Ok(Next::After(EMPTYING_RECHECK));
            }
        }
        self.write(definition, plan::emptied(definition, Timestamp::now())).await?;
        Ok(Next::Settled)
    }

    async fn write(
        &self,
        definition: &CustomResourceDefinition,
        status: plan::Status,
    ) -> Result<(), StatusError> {
        if definition.status.as_ref() == Some(&status) {
            return Ok(());
        }
        let mut changed = definition.clone();
        changed.status = Some(status);
        match self.definitions.update_status(&changed).await {
            Err(error) if error.reason == Reason::NotFound => Ok(()),
            written => written.map(drop),
        }
    }
}
