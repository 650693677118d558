//! What the controllers know of a pod: read from its stored bytes, a tenth of the whole object.
//!
//! There are more pods than anything else, and every host that may lead keeps them all. What the
//! replicas of a template have in common is kept once, as their [`Shape`].

mod read;
mod shape;

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{self, ObjectReference};
use skein_consensus::Revision;
use skein_storage::View;

use crate::uid::Uid;
pub(crate) use read::Reader;
pub(crate) use shape::{Controller, Shape};

/// A pod.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Pod {
    pub(crate) namespace: Arc<str>,
    pub(crate) name: Arc<str>,
    pub(crate) uid: Uid,
    /// When it was last written.
    pub(crate) revision: Revision,
    /// What it has in common with others.
    pub(crate) shape: Arc<Shape>,
    /// The node it is bound to.
    pub(crate) node: Option<Arc<str>>,
    /// When it was made; the epoch where it does not say.
    pub(crate) created: Timestamp,
    /// Since when it is ready; the epoch where the condition does not say.
    pub(crate) ready_since: Option<Timestamp>,
    /// Why it has no node, as it says of itself.
    pub(crate) refusal: Option<Arc<str>>,
    /// Of the container that was restarted most.
    pub(crate) restarts: i32,
    pub(crate) phase: Phase,
    /// Whether somebody asked for its deletion.
    pub(crate) is_terminating: bool,
}

/// How far a pod has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    #[default]
    Pending,
    /// Its host does not know.
    Unknown,
    Running,
    Succeeded,
    Failed,
}

/// Pods that are looked up together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Group {
    /// Those of a namespace that the object of this uid controls, or nobody.
    Controlled(Arc<str>, Option<Arc<str>>),
    /// Those bound to a node.
    Bound(Arc<str>),
    /// Those that the scheduler should find a node.
    Waiting,
}

impl View for Pod {
    type Group = Group;

    fn namespace(&self) -> &str {
        &self.namespace
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn groups(&self) -> Vec<Group> {
        let uid = self.shape.controller.as_ref().map(|controller| controller.uid.clone());
        let mut groups = vec![Group::Controlled(self.namespace.clone(), uid)];
        groups.extend(self.node.clone().map(Group::Bound));
        groups.extend(self.waits_for_node().then_some(Group::Waiting));
        groups
    }
}

impl Pod {
    /// Whether `object` is this pod, and not another one of its name.
    pub(crate) fn is(&self, object: &v1::Pod) -> bool {
        self.uid.is(object.metadata.uid.as_deref().unwrap_or_default())
    }

    /// The uid of its controller.
    pub(crate) fn controller(&self) -> Option<&str> {
        self.shape.controller.as_ref().map(|controller| &*controller.uid)
    }

    /// Whether all its containers have ended for good.
    pub(crate) fn is_finished(&self) -> bool {
        matches!(self.phase, Phase::Succeeded | Phase::Failed)
    }

    /// Whether it counts towards a desired number of replicas.
    pub(crate) fn is_active(&self) -> bool {
        !self.is_finished() && !self.is_terminating
    }

    /// Whether the scheduler should find it a node.
    pub(crate) fn waits_for_node(&self) -> bool {
        self.node.is_none() && self.is_active() && self.shape.is_ours
    }

    /// How long until it counts as available, which is once it has been ready for
    /// `min_ready_seconds`: zero if it is, `None` if it is not ready.
    pub(crate) fn available_in(
        &self,
        min_ready_seconds: i32,
        now: Timestamp,
    ) -> Option<SignedDuration> {
        let wait = SignedDuration::from_secs(min_ready_seconds.max(0).into());
        // The pod's host says since when, and its clock may be ahead of this one's.
        let elapsed = now.duration_since(self.ready_since?).max(SignedDuration::ZERO);
        Some((wait - elapsed).max(SignedDuration::ZERO))
    }

    /// A reference to it, for events.
    pub(crate) fn reference(&self) -> ObjectReference {
        ObjectReference {
            api_version: Some("v1".to_owned()),
            kind: Some("Pod".to_owned()),
            namespace: Some(self.namespace.to_string()),
            name: Some(self.name.to_string()),
            uid: Some(self.uid.to_string()),
            resource_version: Some(self.revision.to_string()),
            field_path: None,
        }
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) use tests::seen;
