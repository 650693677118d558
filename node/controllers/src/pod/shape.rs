//! What the pods of one template have in common.

use std::{collections::BTreeMap, sync::Arc};

use skein_scheduler::PodView;

/// The part of a pod that its siblings share: all but its name that does not change once it is made,
/// unless it is resized.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Shape {
    pub(crate) labels: BTreeMap<String, String>,
    /// The one owner that controls it.
    pub(crate) controller: Option<Controller>,
    /// What the scheduler goes by.
    pub(crate) placement: PodView,
    /// How long each of the placement's tolerations bears a taint that makes pods leave; for ever
    /// where it does not say.
    pub(crate) patience_seconds: Vec<Option<i64>>,
    /// A lower cost goes first when a replica set shrinks; the default is zero.
    pub(crate) deletion_cost: i64,
    /// Whether it is this scheduler's to place, and not held back.
    pub(crate) is_ours: bool,
}

/// Who controls an object.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Controller {
    pub(crate) kind: String,
    pub(crate) name: Arc<str>,
    pub(crate) uid: Arc<str>,
}
