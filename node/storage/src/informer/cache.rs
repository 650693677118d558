//! The objects of an informer and who is told of their changes.
//!
//! Sets of pointers that are ordered by what they point to: an object costs eight bytes here for
//! itself and for each group, beside what is kept of it.

use std::{
    borrow::Borrow,
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    ops::Bound,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use tokio::sync::broadcast;

use super::{
    View,
    changes::{Change, Changes},
};
use crate::limits::INFORMER_CHANGES;

pub(super) struct Cache<V: View> {
    objects: RwLock<Objects<V>>,
    changes: broadcast::Sender<Change<V>>,
}

impl<V: View> Cache<V> {
    pub(super) fn new() -> Self {
        Self {
            objects: RwLock::new(Objects::default()),
            changes: broadcast::Sender::new(INFORMER_CHANGES),
        }
    }

    pub(super) fn get(&self, namespace: &str, name: &str) -> Option<Arc<V>> {
        self.read().all.get(&(namespace, name) as &dyn Place).map(|one| one.0.clone())
    }

    pub(super) fn list(&self) -> Vec<Arc<V>> {
        self.read().all.iter().map(|one| one.0.clone()).collect()
    }

    pub(super) fn list_namespace(&self, namespace: &str) -> Vec<Arc<V>> {
        let objects = self.read();
        let first: &dyn Place = &(namespace, "");
        let from_first =
            objects.all.range::<dyn Place, _>((Bound::Included(first), Bound::Unbounded));
        let of_namespace = from_first.take_while(|one| one.0.namespace() == namespace);
        of_namespace.map(|one| one.0.clone()).collect()
    }

    pub(super) fn list_groups(&self, groups: &[V::Group]) -> Vec<Arc<V>> {
        let objects = self.read();
        let members = groups.iter().filter_map(|group| objects.groups.get(group)).flatten();
        members.map(|one| one.0.clone()).collect()
    }

    pub(super) fn groups(&self) -> Vec<V::Group> {
        self.read().groups.keys().cloned().collect()
    }

    pub(super) fn changes(&self) -> Changes<V> {
        Changes::new(self.changes.subscribe())
    }

    pub(super) fn insert(&self, view: V) {
        let view = Arc::new(view);
        let former = self.write().insert(view.clone());
        self.tell(Change::Object {
            namespace: view.namespace().into(),
            name: view.name().into(),
            former,
        });
    }

    pub(super) fn remove(&self, namespace: &str, name: &str) {
        let former = self.write().remove(&(namespace, name));
        if former.is_some() {
            self.tell(Change::Object { namespace: namespace.into(), name: name.into(), former });
        }
    }

    /// Takes a fresh listing in place of everything.
    pub(super) fn replace(&self, listed: impl Iterator<Item = V>) {
        let mut objects = Objects::of(listed);
        std::mem::swap(&mut *self.write(), &mut objects);
        self.tell(Change::Resync);
    }

    /// A change nobody listens to is no failure.
    fn tell(&self, change: Change<V>) {
        let _listeners = self.changes.send(change);
    }

    fn read(&self) -> RwLockReadGuard<'_, Objects<V>> {
        self.objects.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Objects<V>> {
        self.objects.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Every object, and again in each of its groups; no group is empty.
struct Objects<V: View> {
    all: BTreeSet<Placed<V>>,
    groups: BTreeMap<V::Group, BTreeSet<Placed<V>>>,
}

impl<V: View> Default for Objects<V> {
    fn default() -> Self {
        Self { all: BTreeSet::new(), groups: BTreeMap::new() }
    }
}

impl<V: View> Objects<V> {
    /// Sets that are made from lists at once are packed tighter than those that grow.
    fn of(views: impl Iterator<Item = V>) -> Self {
        let (mut all, mut groups) = (Vec::new(), BTreeMap::<_, Vec<_>>::new());
        for view in views.map(Arc::new) {
            for group in view.groups() {
                groups.entry(group).or_default().push(Placed(view.clone()));
            }
            all.push(Placed(view));
        }
        let groups = groups.into_iter().map(|(group, members)| (group, set_of(members)));
        Self { groups: groups.collect(), all: set_of(all) }
    }

    fn insert(&mut self, view: Arc<V>) -> Option<Arc<V>> {
        let former = self.all.replace(Placed(view.clone())).map(|one| one.0);
        if let Some(former) = &former {
            self.leave_groups(former);
        }
        for group in view.groups() {
            self.groups.entry(group).or_default().insert(Placed(view.clone()));
        }
        former
    }

    fn remove(&mut self, place: &dyn Place) -> Option<Arc<V>> {
        let former = self.all.take(place)?.0;
        self.leave_groups(&former);
        Some(former)
    }

    fn leave_groups(&mut self, view: &V) {
        let place: &dyn Place = &(view.namespace(), view.name());
        for group in view.groups() {
            if let Entry::Occupied(mut members) = self.groups.entry(group) {
                members.get_mut().remove(place);
                if members.get().is_empty() {
                    members.remove();
                }
            }
        }
    }
}

/// Of several objects of one name the last stays.
fn set_of<V: View>(members: Vec<Placed<V>>) -> BTreeSet<Placed<V>> {
    members.into_iter().collect()
}

/// What objects are ordered by: namespace, then name.
trait Place {
    fn place(&self) -> (&str, &str);
}

impl Place for (&str, &str) {
    fn place(&self) -> (&str, &str) {
        *self
    }
}

impl Ord for dyn Place + '_ {
    fn cmp(&self, other: &Self) -> Ordering {
        self.place().cmp(&other.place())
    }
}

impl PartialOrd for dyn Place + '_ {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for dyn Place + '_ {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for dyn Place + '_ {}

/// An object at its place.
struct Placed<V>(Arc<V>);

impl<V: View> Place for Placed<V> {
    fn place(&self) -> (&str, &str) {
        (self.0.namespace(), self.0.name())
    }
}

impl<'a, V: View> Borrow<dyn Place + 'a> for Placed<V> {
    fn borrow(&self) -> &(dyn Place + 'a) {
        self
    }
}

impl<V: View> Ord for Placed<V> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.place().cmp(&other.place())
    }
}

impl<V: View> PartialOrd for Placed<V> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<V: View> PartialEq for Placed<V> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<V: View> Eq for Placed<V> {}
