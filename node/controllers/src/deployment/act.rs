//! Carries out the plan of a deployment.

use std::sync::Arc;

use k8s_openapi::{
    api::apps::v1::{Deployment, DeploymentStatus, ReplicaSet},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use skein_consensus::Revision;
use skein_objects::{Propagation, Reason, StatusError, registry};
use skein_storage::{Client, DeleteOptions, EventRecorder, EventType, Informer, Preconditions};

use super::{
    plan::{Plan, Step},
    revision, template,
};
use crate::{
    cluster::{Cluster, revision_of, see_own_writes},
    owner::{controller_reference, is_controlled_by},
};

/// Writes what a plan says.
pub(super) struct Actor {
    deployments: Client<Deployment>,
    sets: Client<ReplicaSet>,
    seen_deployments: Informer<Deployment>,
    seen_sets: Informer<ReplicaSet>,
    events: EventRecorder,
}

impl Actor {
    pub(super) fn new(cluster: &Cluster) -> Self {
        Self {
            deployments: cluster.storage.typed(),
            sets: cluster.storage.typed(),
            seen_deployments: cluster.deployments.clone(),
            seen_sets: cluster.sets.clone(),
            events: cluster.recorder("deployment-controller"),
        }
    }

    /// Takes the steps in order, then reports. Every write depends on the version the plan was
    /// made from: whoever changed something in between wins, and the plan is made anew.
    pub(super) async fn act(
        &self,
        deployment: &Deployment,
        sets: &[Arc<ReplicaSet>],
        plan: Plan,
    ) -> Result<(), StatusError> {
        let mut current = deployment.clone();
        let mut last = Revision::default();
        for step in plan.steps {
            last = last.max(self.take(&mut current, sets, step).await?);
        }
        see_own_writes(&self.seen_sets, last).await;
        if let Some(status) = plan.status {
            self.report(&mut current, status).await?;
        }
        see_own_writes(&self.seen_deployments, revision_of(&current.metadata)).await;
        Ok(())
    }

    async fn take(
        &self,
        current: &mut Deployment,
        sets: &[Arc<ReplicaSet>],
        step: Step,
    ) -> Result<Revision, StatusError> {
        match step {
            Step::Make(set) => self.make(current, &set).await,
            Step::Change { set, replicas, before, annotations, min_ready_seconds } => {
                let mut changed = planned(sets, &set)?;
                changed.metadata.annotations = Some(annotations);
                if let Some(spec) = changed.spec.as_mut() {
                    spec.replicas = Some(replicas);
                    spec.min_ready_seconds = min_ready_seconds;
                }
                let changed = self.sets.update(&changed).await?;
                self.tell_scaling(current, &set, before, replicas);
                Ok(revision_of(&changed.metadata))
            }
            Step::Adopt(set) => {
                let mut set = planned(sets, &set)?;
                let owners = set.metadata.owner_references.get_or_insert_default();
                owners.push(controller_reference(current));
                Ok(revision_of(&self.sets.update(&set).await?.metadata))
            }
            Step::Release(set) => {
                let mut set = planned(sets, &set)?;
                let owners = set.metadata.owner_references.get_or_insert_default();
                owners.retain(|owner| Some(&owner.uid) != current.metadata.uid.as_ref());
                Ok(revision_of(&self.sets.update(&set).await?.metadata))
            }
            Step::Delete(set) => self.forget(planned(sets, &set)?).await,
            Step::NoteRevision(number) => {
                let annotations = current.metadata.annotations.get_or_insert_default();
                annotations.insert(revision::REVISION.to_owned(), number);
                *current = self.deployments.update(current).await?;
                Ok(Revision::default())
            }
        }
    }

    /// Makes the set of the current template. Should its name be taken by a set of another
    /// template, the next attempt uses another name.
    async fn make(
        &self,
        current: &mut Deployment,
        set: &ReplicaSet,
    ) -> Result<Revision, StatusError> {
        let name = name_of(&set.metadata);
        match self.sets.create(set).await {
            Ok(made) => {
                let size = set.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(0);
                self.tell_scaling(current, name, 0, size);
                Ok(revision_of(&made.metadata))
            }
            Err(error) if error.reason == Reason::AlreadyExists => {
                let namespace = current.metadata.namespace.as_deref().unwrap_or_default();
                let Some(there) = self.sets.get(namespace, name).await? else { return Err(error) };
                let uid = current.metadata.uid.as_deref().unwrap_or_default();
                if is_controlled_by(&there.metadata, uid)
                    && template::is_from(&there, &template::of_deployment(current))
                {
                    return Ok(revision_of(&there.metadata));
                }
                let status = current.status.get_or_insert_default();
                status.collision_count = Some(status.collision_count.unwrap_or(0) + 1);
                *current = self.deployments.update_status(current).await?;
                Err(error)
            }
            Err(error) => {
                let message = format!("Failed to create new replica set {name:?}: {error}");
                self.events.event(current, EventType::Warning, "ReplicaSetCreateError", message);
                Err(error)
            }
        }
    }

    async fn forget(&self, set: ReplicaSet) -> Result<Revision, StatusError> {
        let namespace = set.metadata.namespace.as_deref().unwrap_or_default();
        let options = DeleteOptions {
            propagation: Some(Propagation::Background),
            preconditions: Preconditions {
                uid: set.metadata.uid.clone(),
                resource_version: Some(revision_of(&set.metadata)),
            },
            ..DeleteOptions::default()
        };
        match self.sets.delete(namespace, name_of(&set.metadata), &options).await {
            Ok(_) => Ok(Revision::default()),
            Err(error) if error.reason == Reason::NotFound => Ok(Revision::default()),
            Err(error) => Err(error),
        }
    }

    async fn report(
        &self,
        current: &mut Deployment,
        status: DeploymentStatus,
    ) -> Result<(), StatusError> {
        if current.status.as_ref() != Some(&status) {
            current.status = Some(status);
            *current = self.deployments.update_status(current).await?;
        }
        Ok(())
    }

    fn tell_scaling(&self, deployment: &Deployment, set: &str, before: i32, after: i32) {
        let direction = match after.cmp(&before) {
            std::cmp::Ordering::Greater => "up",
            std::cmp::Ordering::Less => "down",
            std::cmp::Ordering::Equal => return,
        };
        let message = format!("Scaled {direction} replica set {set} from {before} to {after}");
        self.events.event(deployment, EventType::Normal, "ScalingReplicaSet", message);
    }
}

/// The set as the plan saw it: its version is the precondition of what is written.
fn planned(sets: &[Arc<ReplicaSet>], name: &str) -> Result<ReplicaSet, StatusError> {
    let set = sets.iter().find(|set| name_of(&set.metadata) == name);
    set.map(|set| ReplicaSet::clone(set))
        .ok_or_else(|| StatusError::not_found(registry().of::<ReplicaSet>(), name))
}

fn name_of(meta: &ObjectMeta) -> &str {
    meta.name.as_deref().unwrap_or_default()
}
