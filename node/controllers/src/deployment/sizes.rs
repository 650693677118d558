//! How many pods each replica set of a deployment should have next.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::ReplicaSet;

use super::{
    bounds::{Bounds, is_confirmed, set_available, set_present, set_replicas},
    family::{Family, created, name},
    revision::{DESIRED_REPLICAS, MAX_REPLICAS, number},
};

/// The next size of each set that changes, or whose noted size changes, by name; and of the set of
/// the current template if that must be made first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Sizes {
    /// Sets that are there.
    pub(super) sets: BTreeMap<String, i32>,
    /// The set to make.
    pub(super) make: Option<i32>,
}

impl Sizes {
    fn set(&mut self, set: &ReplicaSet, size: i32) {
        if size != set_replicas(set) {
            self.sets.insert(name(set).to_owned(), size);
        }
    }

    fn of(&self, set: &ReplicaSet) -> i32 {
        self.sets.get(name(set)).copied().unwrap_or_else(|| set_replicas(set))
    }
}

/// Whether the deployment was resized since its sets were last sized.
pub(super) fn is_resized(family: &Family<'_>, bounds: Bounds) -> bool {
    let desired = |set: &ReplicaSet| number(&set.metadata, DESIRED_REPLICAS);
    family.active().filter_map(desired).any(|desired| desired != i64::from(bounds.replicas))
}

/// One step of a rolling update: first the new set grows as far as the surge allows, then the old
/// sets shrink as far as the available pods allow, unhealthy pods first. Each step waits until the
/// sets have confirmed the one before.
pub(super) fn roll(family: &Family<'_>, bounds: Bounds) -> Sizes {
    let mut sizes = Sizes::default();
    if !family.all().all(is_confirmed) {
        return sizes;
    }
    let present: i32 = family.all().map(set_present).sum();
    let current = family.new.map_or(0, set_replicas);
    let room = (bounds.max_total() - present).max(0);
    let wanted =
        current.saturating_add(room).min(bounds.replicas).max(current.min(bounds.replicas));
    match family.new {
        None => sizes.make = Some(wanted),
        Some(new) if wanted != current => sizes.set(new, wanted),
        Some(new) => shrink_old(family, new, bounds, &mut sizes),
    }
    sizes
}

fn shrink_old(family: &Family<'_>, new: &ReplicaSet, bounds: Bounds, sizes: &mut Sizes) {
    let wanted: i32 = family.all().map(set_replicas).sum();
    let new_unavailable = set_replicas(new) - set_available(new);
    let mut spare = wanted - bounds.min_available() - new_unavailable;
    if spare <= 0 {
        return;
    }
    for set in &family.old {
        let unhealthy = set_replicas(set) - set_available(set);
        let taken = unhealthy.min(spare);
        spare -= taken;
        sizes.set(set, set_replicas(set) - taken);
    }
    let available: i32 = family.all().map(set_available).sum();
    let mut surplus = available - bounds.min_available();
    for set in &family.old {
        let size = sizes.of(set);
        let taken = size.min(surplus.max(0));
        surplus -= taken;
        sizes.set(set, size - taken);
    }
}

/// Recreate: the old pods go first; only when none is left come the new ones.
pub(super) fn recreate(family: &Family<'_>, bounds: Bounds, old_pods_remain: bool) -> Sizes {
    let mut sizes = Sizes::default();
    if family.old.iter().any(|set| set_replicas(set) > 0) {
        family.old.iter().for_each(|set| sizes.set(set, 0));
        return sizes;
    }
    if old_pods_remain {
        return sizes;
    }
    match family.new {
        None => sizes.make = Some(bounds.replicas),
        Some(new) => sizes.set(new, bounds.replicas),
    }
    sizes
}

/// Resizes without touching the progress of a rollout: a single active set takes the whole
/// change; several share it in proportion to their sizes. Every active set is named in the result,
/// so that the new size is noted on it.
pub(super) fn resize(family: &Family<'_>, bounds: Bounds, rolling: bool) -> Sizes {
    let mut sizes = Sizes::default();
    let active: Vec<&ReplicaSet> = family.active().collect();
    for set in &active {
        sizes.sets.insert(name(set).to_owned(), set_replicas(set));
    }
    let only = match active.as_slice() {
        [] => family.new.or_else(|| family.old.last().copied()),
        [set] => Some(*set),
        _ => None,
    };
    if let Some(set) = only {
        sizes.set(set, bounds.replicas);
    } else if family.new.is_some_and(|new| is_saturated(new, bounds)) {
        family.old.iter().for_each(|set| sizes.set(set, 0));
    } else if rolling {
        share(active, bounds, &mut sizes);
    }
    sizes
}

fn is_saturated(new: &ReplicaSet, bounds: Bounds) -> bool {
    let noted = number(&new.metadata, DESIRED_REPLICAS) == Some(bounds.replicas.into());
    noted && set_replicas(new) == bounds.replicas && set_available(new) == bounds.replicas
}

/// Divides the change between the active sets, the largest first; among equals the newer grows
/// first and the older shrinks first. What rounding leaves over goes to the first.
fn share(mut active: Vec<&ReplicaSet>, bounds: Bounds, sizes: &mut Sizes) {
    let present: i32 = active.iter().map(|set| set_replicas(set)).sum();
    let allowed = if bounds.replicas > 0 { bounds.max_total() } else { 0 };
    let change = allowed - present;
    active.sort_by_key(|set| (created(set), name(set)));
    if change > 0 {
        active.reverse();
    }
    active.sort_by_key(|set| std::cmp::Reverse(set_replicas(set)));
    let mut left = change;
    for set in &active {
        let part = proportion(set, bounds, left);
        left -= part;
        sizes.sets.insert(name(set).to_owned(), (set_replicas(set) + part).max(0));
    }
    if let Some(first) = active.first() {
        let size = sizes.of(first) + left;
        sizes.sets.insert(name(first).to_owned(), size.max(0));
    }
}

/// The part of the change that falls to one set, at most `left`.
fn proportion(set: &ReplicaSet, bounds: Bounds, left: i32) -> i32 {
    let size = set_replicas(set);
    if size == 0 || left == 0 {
        return 0;
    }
    if bounds.replicas == 0 {
        return -size;
    }
    let before = number(&set.metadata, MAX_REPLICAS).filter(|before| *before > 0);
    let before = before.unwrap_or_else(|| bounds.max_total().into());
    let scaled = i64::from(size) * i64::from(bounds.max_total());
    let rounded = (scaled * 2 + before) / (before * 2);
    let part = i32::try_from(rounded).unwrap_or(i32::MAX) - size;
    if left > 0 { part.clamp(0, left) } else { part.clamp(left, 0) }
}
