//! Lists of the past against a model that copies everything at every revision.

use std::collections::BTreeMap;

use futures::FutureExt;
use proptest::prelude::*;

use crate::{
    Key, KeyRange, ListOptions, Listing, Operation, Precondition, Published, Record, Revision,
    Stamp, State, StoreError, Transaction, View, limits,
};

/// What there was after each change. Several changes of one transaction are several states.
type Model = BTreeMap<Revision, BTreeMap<Key, Record>>;

/// A replica that has applied a history, and each of its views that was published.
struct Replica {
    state: State,
    published: Published,
    views: Vec<View>,
    model: Model,
}

impl Replica {
    fn new() -> Self {
        let state = State::default();
        let published = Published::new(state.view.clone());
        let model = Model::from([(Revision(0), BTreeMap::new())]);
        Self { views: vec![state.view.clone()], state, published, model }
    }

    fn apply(&mut self, operations: Vec<Operation>) {
        let mut changes = Vec::new();
        let transaction = Transaction::new(operations);
        // Refused where it names a key twice, which changes nothing.
        let _refused = self.state.apply(&transaction, Stamp(0), &mut changes);
        for change in &changes {
            let mut objects = self.model.values().next_back().unwrap().clone();
            match change {
                crate::Event::Put { record, .. } => {
                    objects.insert(record.key.clone(), Record::clone(record));
                }
                crate::Event::Delete { previous, .. } => {
                    objects.remove(&previous.key);
                }
            }
            self.model.insert(change.revision(), objects);
        }
        if !changes.is_empty() {
            self.views.push(self.state.view.clone());
            self.published.publish(self.state.view.clone(), changes);
        }
    }

    fn list(
        &self,
        view: &View,
        range: &KeyRange,
        options: &ListOptions,
    ) -> Result<Listing, StoreError> {
        let listing = self.published.list(view, range, options).now_or_never();
        listing.expect("everything has been published")
    }

    fn expected(&self, range: &KeyRange, options: &ListOptions, at: Revision) -> Listing {
        let there = self.model[&at].values().filter(|record| {
            let is_after = options.after.as_ref().is_none_or(|after| record.key > *after);
            range.contains(&record.key) && is_after
        });
        let mut records: Vec<_> = there.cloned().map(Into::into).collect();
        let limit = if options.limit == 0 { usize::MAX } else { options.limit };
        let remaining = records.len().saturating_sub(limit);
        records.truncate(limit);
        Listing { records, revision: at, remaining }
    }
}

fn key() -> impl Strategy<Value = Key> {
    let resource = prop_oneof![4 => Just("pods"), 1 => Just("nodes")];
    (resource, "[ab]", "[a-d]").prop_map(|(kind, namespace, name)| Key::new(kind, namespace, name))
}

fn operation() -> impl Strategy<Value = Operation> {
    (key(), any::<bool>(), any::<u8>()).prop_map(|(key, puts, value)| {
        let when = Precondition::Any;
        if puts {
            Operation::Put { key, value: vec![value].into(), when }
        } else {
            Operation::Delete { key, when }
        }
    })
}

fn history() -> impl Strategy<Value = Vec<Vec<Operation>>> {
    proptest::collection::vec(proptest::collection::vec(operation(), 1..4), 0..30)
}

proptest! {
    #[test]
    fn a_list_of_any_revision_is_what_there_was(
        history in history(),
        after in proptest::option::of(key()),
        limit in 0..7_usize,
    ) {
        let mut replica = Replica::new();
        history.into_iter().for_each(|operations| replica.apply(operations));
        let ranges = [KeyRange::all("pods"), KeyRange::namespaced("pods", "a"),
            KeyRange::namespaced("pods", "b"), KeyRange::all("nodes"), KeyRange::all("leases")];
        // A reader may hold a view that is not the newest any more.
        let views = replica.views.iter().rev().step_by(5);
        for (view, range) in views.flat_map(|view| ranges.iter().map(move |range| (view, range))) {
            for at in (0..=view.revision().0).map(Revision) {
                let options = ListOptions { limit, after: after.clone(), at: Some(at) };
                let listing = replica.list(view, range, &options).unwrap();
                prop_assert_eq!(listing, replica.expected(range, &options, at));
            }
        }
    }

    #[test]
    fn the_pages_of_a_revision_join_to_the_whole(history in history(), limit in 1..4_usize) {
        let mut replica = Replica::new();
        history.into_iter().for_each(|operations| replica.apply(operations));
        let range = KeyRange::all("pods");
        for at in replica.model.keys().copied() {
            let whole = ListOptions { at: Some(at), ..ListOptions::default() };
            let (mut joined, mut after) = (Vec::new(), None);
            loop {
                let options = ListOptions { limit, after, at: Some(at) };
                let page = replica.list(&replica.state.view, &range, &options).unwrap();
                after = page.records.last().map(|record| record.key.clone());
                joined.extend(page.records);
                if page.remaining == 0 {
                    break;
                }
            }
            prop_assert_eq!(joined, replica.expected(&range, &whole, at).records);
        }
    }
}

fn put(name: &str) -> Vec<Operation> {
    let (key, value) = (Key::new("pods", "a", name), "v".into());
    vec![Operation::Put { key, value, when: Precondition::Any }]
}

fn at(revision: u64) -> ListOptions {
    ListOptions { at: Some(Revision(revision)), ..ListOptions::default() }
}

#[test]
fn a_revision_before_the_history_is_compacted_and_one_in_the_future_not_there_yet() {
    let mut replica = Replica::new();
    for _ in 0..limits::HISTORY_EVENTS + 3 {
        replica.apply(put("x"));
    }
    let (range, view) = (KeyRange::all("pods"), &replica.state.view);
    let (requested, oldest) = (Revision(2), Revision(3));
    let refused = replica.list(view, &range, &at(2));
    assert_eq!(refused, Err(StoreError::Compacted { requested, oldest }));
    assert_eq!(replica.list(view, &range, &at(3)), Ok(replica.expected(&range, &at(3), oldest)));
    let ahead = replica.list(view, &range, &at(view.revision().0 + 1));
    assert!(matches!(ahead, Err(StoreError::Unavailable(_))), "{ahead:?}");
}

#[test]
fn nothing_is_known_of_the_time_before_a_state_that_was_installed() {
    let mut replica = Replica::new();
    for name in ["x", "y", "z"] {
        replica.apply(put(name));
    }
    replica.published.replace(replica.state.view.clone());
    let (range, view) = (KeyRange::all("pods"), &replica.state.view);
    let refused = replica.list(view, &range, &at(2));
    assert!(matches!(refused, Err(StoreError::Compacted { .. })), "{refused:?}");
    assert_eq!(replica.list(view, &range, &at(3)).unwrap().records.len(), 3);
}

#[tokio::test]
async fn a_view_waits_for_the_changes_that_led_to_it() {
    let mut replica = Replica::new();
    replica.apply(put("x"));
    let mut changes = Vec::new();
    replica.state.apply(&Transaction::new(put("y")), Stamp(0), &mut changes).unwrap();
    let view = replica.state.view.clone();
    let (range, options) = (KeyRange::all("pods"), at(1));
    let mut listing = Box::pin(replica.published.list(&view, &range, &options));
    assert_eq!((&mut listing).now_or_never(), None, "its changes are not in the history yet");
    replica.published.publish(view.clone(), changes);
    assert_eq!(listing.await, Ok(replica.expected(&range, &options, Revision(1))));
}
