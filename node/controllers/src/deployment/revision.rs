//! Revisions and the annotations through which `kubectl rollout` reads the history.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::apps::v1::{Deployment, ReplicaSet},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};

/// The revision of a replica set, and the current one on its deployment.
pub(super) const REVISION: &str = "deployment.kubernetes.io/revision";
/// Revisions that a replica set had before, comma separated.
pub(super) const REVISION_HISTORY: &str = "deployment.kubernetes.io/revision-history";
/// How many replicas the deployment wanted when the set was last sized.
pub(super) const DESIRED_REPLICAS: &str = "deployment.kubernetes.io/desired-replicas";
/// How many pods it allowed then.
pub(super) const MAX_REPLICAS: &str = "deployment.kubernetes.io/max-replicas";

/// Annotations of a deployment that its replica sets do not inherit.
const NOT_INHERITED: [&str; 6] = [
    "kubectl.kubernetes.io/last-applied-configuration",
    "deprecated.deployment.rollback.to",
    REVISION,
    REVISION_HISTORY,
    DESIRED_REPLICAS,
    MAX_REPLICAS,
];

/// An annotation that holds a number.
pub(super) fn number(meta: &ObjectMeta, annotation: &str) -> Option<i64> {
    meta.annotations.as_ref()?.get(annotation)?.parse().ok()
}

/// The set's revision; zero if it has none.
pub(super) fn of_set(set: &ReplicaSet) -> i64 {
    number(&set.metadata, REVISION).unwrap_or(0)
}

/// The revision that the newest set should have, given all the others.
pub(super) fn next<'a>(old: impl IntoIterator<Item = &'a ReplicaSet>) -> i64 {
    old.into_iter().map(of_set).max().unwrap_or(0) + 1
}

/// The annotations of the newest set: the deployment's, and at least revision `next`. A set that
/// becomes the newest again keeps its former revisions in its history.
pub(super) fn annotations(
    deployment: &Deployment,
    current: Option<&BTreeMap<String, String>>,
    next: i64,
) -> BTreeMap<String, String> {
    let mut annotations = current.cloned().unwrap_or_default();
    for (key, value) in deployment.metadata.annotations.iter().flatten() {
        if !NOT_INHERITED.contains(&key.as_str()) {
            annotations.insert(key.clone(), value.clone());
        }
    }
    let own = annotations.get(REVISION).and_then(|revision| revision.parse().ok()).unwrap_or(0);
    if own < next {
        annotations.insert(REVISION.to_owned(), next.to_string());
        if own > 0 {
            let history = annotations.entry(REVISION_HISTORY.to_owned()).or_default();
            if !history.is_empty() {
                history.push(',');
            }
            history.push_str(&own.to_string());
        }
    }
    annotations
}

/// Notes the size of the deployment on a set; a later change of it is how scaling is noticed.
pub(super) fn note_size(annotations: &mut BTreeMap<String, String>, replicas: i32, max_total: i32) {
    annotations.insert(DESIRED_REPLICAS.to_owned(), replicas.to_string());
    annotations.insert(MAX_REPLICAS.to_owned(), max_total.to_string());
}
