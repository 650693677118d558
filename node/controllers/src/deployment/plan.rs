//! The decision: from a deployment, its replica sets and pods to what must change.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use k8s_openapi::{
    api::apps::v1::{Deployment, DeploymentStatus, ReplicaSet, ReplicaSetSpec},
    apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta},
    jiff::Timestamp,
};

use super::{
    bounds::{Bounds, is_rolling, set_replicas},
    family::{Family, name},
    revision,
    sizes::{Sizes, is_resized, recreate, resize, roll},
    status::{self, Made},
    template::{self, HASH_LABEL},
};
use crate::{
    owner::{Claim, claim, controller_reference},
    pod::Pod,
    selector::Selector,
};

/// How many old replica sets are kept unless the deployment says otherwise; Kubernetes' default.
const DEFAULT_HISTORY: i32 = 10;

/// What the decision is made from.
pub(super) struct Observed<'a> {
    /// The deployment.
    pub(super) deployment: &'a Deployment,
    /// The replica sets of its namespace.
    pub(super) sets: &'a [&'a ReplicaSet],
    /// The pods of its sets.
    pub(super) pods: &'a [Arc<Pod>],
}

/// One change. Sets are named; the driver adds the version it planned from as a precondition.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Step {
    /// Take a set without controller.
    Adopt(String),
    /// Let a set go that no longer fits the selector.
    Release(String),
    /// Make the set of the current template.
    Make(Box<ReplicaSet>),
    /// Change a set.
    Change {
        /// Which.
        set: String,
        /// How many pods it wants from now on.
        replicas: i32,
        /// How many it wanted.
        before: i32,
        /// All its annotations.
        annotations: BTreeMap<String, String>,
        /// How long its pods must be ready before they count.
        min_ready_seconds: Option<i32>,
    },
    /// Delete a set that only history remembers.
    Delete(String),
    /// Note the current revision on the deployment.
    NoteRevision(String),
}

/// What must change.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Plan {
    /// The changes, in order.
    pub(super) steps: Vec<Step>,
    /// What the status should say; `None` while ownership is still being settled.
    pub(super) status: Option<DeploymentStatus>,
    /// When to look again although nothing happened: the progress deadline.
    pub(super) recheck: Option<Duration>,
}

/// Decides the next changes of a rollout.
///
/// Pure. It never decides beyond what it sees: the pods that an order will bring count only once
/// the sets' status shows them, so that the surge and availability bounds hold at every moment.
pub(super) fn plan(observed: &Observed<'_>, now: Timestamp) -> Plan {
    let deployment = observed.deployment;
    let (mine, ownership) = claim_sets(observed);
    if !ownership.is_empty() {
        return Plan { steps: ownership, ..Plan::default() };
    }
    let family = Family::of(deployment, mine);
    let bounds = Bounds::of(deployment);
    let mut plan = Plan::default();
    let mut made = None;
    if deployment.metadata.deletion_timestamp.is_none() {
        let sizes = next_sizes(observed, &family, bounds);
        made = sizes.make.map(|size| Box::new(make(deployment, &family, bounds, size)));
        plan.steps = change_sets(deployment, &family, bounds, &sizes);
        plan.steps.extend(note_revision(deployment, &family, made.as_deref()));
        if let Some(set) = &made {
            plan.steps.insert(0, Step::Make(set.clone()));
        }
        if status::is_complete(deployment, &status::count(deployment, &family)) {
            plan.steps.extend(forget(deployment, &family));
        }
    }
    let made = match (&made, family.new) {
        (Some(set), _) => Some(Made::Now(name(set))),
        (None, Some(set)) => Some(Made::Before(name(set))),
        (None, None) => None,
    };
    let (status, recheck) = status::next(deployment, &family, bounds, made, now);
    plan.status = Some(status);
    plan.recheck = recheck;
    plan
}

/// The name that a set of the current template gets under this many collisions.
pub(super) fn set_name(deployment: &Deployment, hash: &str) -> String {
    format!("{}-{hash}", deployment.metadata.name.as_deref().unwrap_or_default())
}

fn claim_sets<'a>(observed: &Observed<'a>) -> (Vec<&'a ReplicaSet>, Vec<Step>) {
    let deployment = observed.deployment;
    let (mut mine, mut steps) = (Vec::new(), Vec::new());
    let selector = Selector::of(deployment.spec.as_ref().map(|spec| &spec.selector));
    for set in observed.sets.iter().copied() {
        let selected = selector.picks(&set.metadata.labels);
        match claim(&deployment.metadata, &set.metadata, selected) {
            Claim::Owned => mine.push(set),
            Claim::Adopt => steps.push(Step::Adopt(name(set).to_owned())),
            Claim::Release => steps.push(Step::Release(name(set).to_owned())),
            Claim::Foreign => {}
        }
    }
    (mine, steps)
}

fn next_sizes(observed: &Observed<'_>, family: &Family<'_>, bounds: Bounds) -> Sizes {
    let deployment = observed.deployment;
    let rolling = is_rolling(deployment);
    let paused = status::is_paused(deployment);
    if is_resized(family, bounds) || (paused && family.active().count() < 2) {
        return resize(family, bounds, rolling);
    }
    if paused {
        return Sizes::default();
    }
    if rolling {
        roll(family, bounds)
    } else {
        recreate(family, bounds, old_pods(observed, family))
    }
}

fn old_pods(observed: &Observed<'_>, family: &Family<'_>) -> bool {
    observed.pods.iter().filter(|pod| !pod.is_finished()).any(|pod| {
        let mut uids = family.old.iter().filter_map(|set| set.metadata.uid.as_deref());
        uids.any(|uid| pod.controller() == Some(uid))
    })
}

fn make(deployment: &Deployment, family: &Family<'_>, bounds: Bounds, size: i32) -> ReplicaSet {
    let collisions =
        deployment.status.as_ref().and_then(|status| status.collision_count).unwrap_or(0);
    let mut template = template::of_deployment(deployment);
    let hash = template::hash(&template, collisions);
    let labels = template.metadata.get_or_insert_default().labels.get_or_insert_default();
    labels.insert(HASH_LABEL.to_owned(), hash.clone());
    let labels = labels.clone();
    let spec = deployment.spec.as_ref();
    let mut selector: LabelSelector = spec.map(|spec| spec.selector.clone()).unwrap_or_default();
    selector.match_labels.get_or_insert_default().insert(HASH_LABEL.to_owned(), hash.clone());
    let next = revision::next(family.old.iter().copied());
    let mut annotations = revision::annotations(deployment, None, next);
    revision::note_size(&mut annotations, bounds.replicas, bounds.max_total());
    ReplicaSet {
        metadata: ObjectMeta {
            name: Some(set_name(deployment, &hash)),
            namespace: deployment.metadata.namespace.clone(),
            labels: Some(labels),
            annotations: Some(annotations),
            owner_references: Some(vec![controller_reference(deployment)]),
            ..ObjectMeta::default()
        },
        spec: Some(ReplicaSetSpec {
            replicas: Some(size),
            min_ready_seconds: spec.and_then(|spec| spec.min_ready_seconds),
            selector,
            template: Some(template),
        }),
        status: None,
    }
}

fn change_sets(
    deployment: &Deployment,
    family: &Family<'_>,
    bounds: Bounds,
    sizes: &Sizes,
) -> Vec<Step> {
    let paused = status::is_paused(deployment);
    let current = family.new.map(name).filter(|_| !paused);
    let min_ready = deployment.spec.as_ref().and_then(|spec| spec.min_ready_seconds);
    let mut steps = Vec::new();
    for set in family.all() {
        let before = set_replicas(set);
        let size = sizes.sets.get(name(set)).copied();
        let own = set.metadata.annotations.as_ref();
        let mut annotations = own.cloned().unwrap_or_default();
        let mut min_ready_seconds = set.spec.as_ref().and_then(|spec| spec.min_ready_seconds);
        if current == Some(name(set)) {
            let next = revision::next(family.old.iter().copied());
            annotations = revision::annotations(deployment, own, next);
            min_ready_seconds = min_ready;
        }
        if size.is_some() {
            revision::note_size(&mut annotations, bounds.replicas, bounds.max_total());
        }
        let replicas = size.unwrap_or(before);
        let same_wait = min_ready_seconds.unwrap_or(0)
            == set.spec.as_ref().and_then(|spec| spec.min_ready_seconds).unwrap_or(0);
        let same_notes = own.map_or(annotations.is_empty(), |own| *own == annotations);
        if replicas != before || !same_notes || !same_wait {
            let set = name(set).to_owned();
            steps.push(Step::Change { set, replicas, before, annotations, min_ready_seconds });
        }
    }
    steps
}

fn note_revision(
    deployment: &Deployment,
    family: &Family<'_>,
    made: Option<&ReplicaSet>,
) -> Option<Step> {
    let noted = revision::number(&deployment.metadata, revision::REVISION);
    let current = match (made, family.new) {
        (Some(set), _) => revision::of_set(set),
        (None, Some(new)) if !status::is_paused(deployment) => {
            revision::of_set(new).max(revision::next(family.old.iter().copied()))
        }
        (None, _) => return None,
    };
    (noted != Some(current)).then(|| Step::NoteRevision(current.to_string()))
}

fn forget(deployment: &Deployment, family: &Family<'_>) -> Vec<Step> {
    let limit = deployment.spec.as_ref().and_then(|spec| spec.revision_history_limit);
    let limit = usize::try_from(limit.unwrap_or(DEFAULT_HISTORY)).unwrap_or(0);
    let unused = |set: &&&ReplicaSet| {
        let settled = set.status.as_ref().is_none_or(|status| status.replicas == 0)
            && set.status.as_ref().and_then(|status| status.observed_generation)
                >= set.metadata.generation;
        set_replicas(set) == 0 && settled && set.metadata.deletion_timestamp.is_none()
    };
    let mut unused: Vec<&ReplicaSet> = family.old.iter().filter(unused).copied().collect();
    unused.sort_by_key(|set| revision::of_set(set));
    let surplus = unused.len().saturating_sub(limit);
    unused[..surplus].iter().map(|set| Step::Delete(name(set).to_owned())).collect()
}
