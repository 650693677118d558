//! A deployment's replica sets: the one of its current template and the former ones.

use k8s_openapi::{
    api::apps::v1::{Deployment, ReplicaSet},
    jiff::Timestamp,
};

use super::{bounds::set_replicas, template};

/// The sets of one deployment, oldest first.
#[derive(Clone, Debug, Default)]
pub(super) struct Family<'a> {
    /// The set of the current template, if it was made.
    pub(super) new: Option<&'a ReplicaSet>,
    /// All others.
    pub(super) old: Vec<&'a ReplicaSet>,
}

impl<'a> Family<'a> {
    /// Tells the sets apart. Should two fit the template, the older one is the current.
    pub(super) fn of(deployment: &Deployment, mut sets: Vec<&'a ReplicaSet>) -> Self {
        let template = template::of_deployment(deployment);
        sets.sort_by_key(|set| (created(set), name(set)));
        let position = sets.iter().position(|set| template::is_from(set, &template));
        let new = position.map(|position| sets.remove(position));
        Self { new, old: sets }
    }

    /// Every set; the current one last.
    pub(super) fn all(&self) -> impl Iterator<Item = &'a ReplicaSet> + '_ {
        self.old.iter().copied().chain(self.new)
    }

    /// Every set that wants pods.
    pub(super) fn active(&self) -> impl Iterator<Item = &'a ReplicaSet> + '_ {
        self.all().filter(|set| set_replicas(set) > 0)
    }
}

/// When the set was made.
pub(super) fn created(set: &ReplicaSet) -> Timestamp {
    set.metadata.creation_timestamp.as_ref().map_or(Timestamp::UNIX_EPOCH, |time| time.0)
}

/// The set's name.
pub(super) fn name(set: &ReplicaSet) -> &str {
    set.metadata.name.as_deref().unwrap_or_default()
}
