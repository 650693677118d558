//! Carries out the plan of a replica set.

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::{
    api::{
        apps::v1::{ReplicaSet, ReplicaSetStatus},
        core::v1::Pod,
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use skein_consensus::Revision;
use skein_objects::{Reason, StatusError};
use skein_storage::{
    Client, DeleteOptions, Deleted, EventRecorder, EventType, Informer, Preconditions, write_error,
};

use super::{
    doubt::Doubts,
    plan::{Plan, with_failure},
};
use crate::{
    cluster::{Cluster, key_of, revision_of, see_own_writes},
    fence::Fenced,
    limits::{BURST, FIRST_BATCH},
    owner::controller_reference,
    pod::Pod as SeenPod,
    reconcile::ObjectKey,
    writes::concurrently,
};

/// Writes what a plan says.
pub(super) struct Actor {
    fence: Arc<Fenced>,
    doubts: Doubts,
    sets: Client<ReplicaSet>,
    pods: Client<Pod>,
    seen_pods: Informer<SeenPod>,
    seen_sets: Informer<ReplicaSet>,
    events: EventRecorder,
}

impl Actor {
    pub(super) fn new(cluster: &Cluster) -> Self {
        Self {
            fence: cluster.fence.clone(),
            doubts: Doubts::default(),
            sets: cluster.storage.typed(),
            pods: cluster.storage.typed(),
            seen_pods: cluster.pods.clone(),
            seen_sets: cluster.sets.clone(),
            events: cluster.recorder("replicaset-controller"),
        }
    }

    /// Makes sure that every pod this set was given before is visible, if that is not known. Must
    /// come before the look that the next plan is made from.
    pub(super) async fn settle_doubt(&self, key: &ObjectKey) -> Result<(), StatusError> {
        if !self.doubts.contains(key) {
            return Ok(());
        }
        self.fence.settle().await.map_err(write_error)?;
        let pods = self.pods.list(Some(&key.0)).await?;
        let last = pods.iter().map(|pod| revision_of(&pod.metadata)).max().unwrap_or_default();
        if !see_own_writes(&self.seen_pods, last).await {
            return Err(StatusError::timeout("pods that were made before are not visible yet"));
        }
        self.doubts.settle(key);
        Ok(())
    }

    /// Settles ownership, then the number of pods, then the status. The status waits for the pods:
    /// their changes bring the key back.
    pub(super) async fn act(
        &self,
        set: &ReplicaSet,
        pods: &[Arc<SeenPod>],
        plan: Plan,
        now: Timestamp,
    ) -> Result<(), StatusError> {
        let moved = self.settle_ownership(set, pods, &plan).await?;
        let key = key_of(&set.metadata);
        if plan.create > 0 {
            self.doubts.raise(key.clone());
        }
        let (made, failure) = self.create(set, plan.create.min(BURST)).await;
        let deleted = self.delete(set, pods, &plan.delete).await?;
        let seen = see_own_writes(&self.seen_pods, moved.max(made).max(deleted)).await;
        if seen && failure.is_none() {
            self.doubts.settle(&key);
        }
        let reason = if plan.create > 0 { "FailedCreate" } else { "FailedDelete" };
        let said = failure.as_ref().map(|error| (reason, error.to_string()));
        let status = with_failure(plan.status, said, now);
        let settled = plan.create == 0 && plan.delete.is_empty();
        if settled || failure.is_some() {
            self.report(set, status).await?;
        }
        failure.map_or(Ok(()), Err)
    }

    async fn settle_ownership(
        &self,
        set: &ReplicaSet,
        pods: &[Arc<SeenPod>],
        plan: &Plan,
    ) -> Result<Revision, StatusError> {
        let mut last = Revision::default();
        if !plan.adopt.is_empty() && !self.may_adopt(set).await? {
            return Err(StatusError::modified(self.sets.kind(), name_of(&set.metadata)));
        }
        for (names, adopt) in [(&plan.adopt, true), (&plan.release, false)] {
            for name in names {
                let Some(planned) = planned(pods, name) else { continue };
                let mut pod = self.as_planned(planned).await?;
                let owners = pod.metadata.owner_references.get_or_insert_default();
                if adopt {
                    owners.push(controller_reference(set));
                } else {
                    owners.retain(|owner| Some(&owner.uid) != set.metadata.uid.as_ref());
                }
                let pod = self.pods.update(&pod).await?;
                last = last.max(revision_of(&pod.metadata));
            }
        }
        Ok(last)
    }

    /// The whole pod, unless it changed since the plan was made.
    async fn as_planned(&self, planned: &SeenPod) -> Result<Pod, StatusError> {
        let fresh = self.pods.get(&planned.namespace, &planned.name).await?;
        fresh
            .filter(|fresh| revision_of(&fresh.metadata) == planned.revision)
            .ok_or_else(|| StatusError::modified(self.pods.kind(), &planned.name))
    }

    /// Looks at the set itself: one that was deleted a moment ago must not take pods with it.
    async fn may_adopt(&self, set: &ReplicaSet) -> Result<bool, StatusError> {
        let meta = &set.metadata;
        let namespace = meta.namespace.as_deref().unwrap_or_default();
        let fresh = self.sets.get(namespace, name_of(meta)).await?;
        Ok(fresh.is_some_and(|fresh| {
            fresh.metadata.uid == meta.uid && fresh.metadata.deletion_timestamp.is_none()
        }))
    }

    /// Makes pods in batches that double, so that a refusal costs few attempts; stops at the
    /// first batch with a refusal.
    async fn create(&self, set: &ReplicaSet, count: usize) -> (Revision, Option<StatusError>) {
        let pod = pod_of(set);
        let (mut left, mut batch, mut last) = (count, FIRST_BATCH, Revision::default());
        while left > 0 {
            let size = batch.min(left);
            let results = concurrently((0..size).map(|_| self.pods.create(&pod))).await;
            let mut failure = None;
            for result in results {
                match result {
                    Ok(pod) => {
                        last = last.max(revision_of(&pod.metadata));
                        let message = format!("Created pod: {}", name_of(&pod.metadata));
                        self.events.event(set, EventType::Normal, "SuccessfulCreate", message);
                    }
                    Err(error) => failure = Some(error),
                }
            }
            if let Some(error) = failure {
                let message = format!("Error creating: {error}");
                self.events.event(set, EventType::Warning, "FailedCreate", message);
                return (last, Some(error));
            }
            left -= size;
            batch *= 2;
        }
        (last, None)
    }

    async fn delete(
        &self,
        set: &ReplicaSet,
        pods: &[Arc<SeenPod>],
        names: &[String],
    ) -> Result<Revision, StatusError> {
        let namespace = set.metadata.namespace.as_deref().unwrap_or_default();
        let victims: Vec<&SeenPod> =
            names.iter().take(BURST).filter_map(|name| planned(pods, name)).collect();
        let attempts = victims.into_iter().map(|pod| async move {
            let preconditions =
                Preconditions { uid: Some(pod.uid.to_string()), ..Preconditions::default() };
            let options = DeleteOptions { preconditions, ..DeleteOptions::default() };
            (&pod.name, self.pods.delete(namespace, &pod.name, &options).await)
        });
        let results = concurrently(attempts).await;
        let (mut last, mut failure) = (Revision::default(), None);
        for (name, result) in results {
            match result {
                Ok(deleted) => {
                    if let Deleted::Marked(object) = deleted {
                        last = last.max(object.revision());
                    }
                    let message = format!("Deleted pod: {name}");
                    self.events.event(set, EventType::Normal, "SuccessfulDelete", message);
                }
                Err(error) if error.reason == Reason::NotFound => {}
                Err(error) => failure = Some(error),
            }
        }
        failure.map_or(Ok(last), Err)
    }

    async fn report(&self, set: &ReplicaSet, status: ReplicaSetStatus) -> Result<(), StatusError> {
        if set.status.as_ref() == Some(&status) {
            return Ok(());
        }
        let set = ReplicaSet { status: Some(status), ..set.clone() };
        let set = self.sets.update_status(&set).await?;
        see_own_writes(&self.seen_sets, revision_of(&set.metadata)).await;
        Ok(())
    }
}

/// The pod that the set's template describes. The store completes its name.
fn pod_of(set: &ReplicaSet) -> Pod {
    let template = set.spec.as_ref().and_then(|spec| spec.template.clone()).unwrap_or_default();
    let meta = template.metadata.unwrap_or_default();
    Pod {
        metadata: ObjectMeta {
            generate_name: Some(format!("{}-", name_of(&set.metadata))),
            namespace: set.metadata.namespace.clone(),
            labels: meta.labels,
            annotations: meta.annotations,
            finalizers: meta.finalizers,
            owner_references: Some(vec![controller_reference(set)]),
            ..ObjectMeta::default()
        },
        spec: template.spec,
        status: None,
    }
}

/// The pod as the plan saw it: its version or uid is the precondition of what is written.
fn planned<'a>(pods: &'a [Arc<SeenPod>], name: &str) -> Option<&'a SeenPod> {
    pods.iter().map(|pod| &**pod).find(|pod| &*pod.name == name)
}

fn name_of(meta: &ObjectMeta) -> &str {
    meta.name.as_deref().unwrap_or_default()
}
