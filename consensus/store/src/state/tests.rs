use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::{Key, KeyRange, ListOptions, Precondition, RequestId, view::Difference};

fn key(name: &str) -> Key {
    Key::new("pods", "default", name)
}

fn put(name: &str, value: &'static str, when: Precondition) -> Operation {
    Operation::Put { key: key(name), value: Bytes::from_static(value.as_bytes()), when }
}

fn delete(name: &str, when: Precondition) -> Operation {
    Operation::Delete { key: key(name), when }
}

fn apply(state: &mut State, operations: Vec<Operation>) -> Answer {
    state.apply(&Transaction::new(operations), Stamp(0), &mut Vec::new())
}

#[test]
fn every_change_of_one_object_has_its_own_revision() {
    let mut state = State::default();
    let answer = apply(
        &mut state,
        vec![put("a", "1", Precondition::Any), put("b", "1", Precondition::Absent)],
    );
    assert_eq!(answer, Ok(vec![Revision(1), Revision(2)]));
    assert_eq!(apply(&mut state, vec![put("a", "2", Precondition::Exists)]), Ok(vec![Revision(3)]));
    let record = state.view.get(&key("a")).unwrap();
    assert_eq!((record.created, record.modified), (Revision(1), Revision(3)));
}

#[test]
fn a_failed_precondition_leaves_nothing_of_the_transaction() {
    let mut state = State::default();
    apply(&mut state, vec![put("a", "1", Precondition::Any)]).unwrap();
    let mut changes = Vec::new();
    let answer = state.apply(
        &Transaction::new(vec![
            put("b", "1", Precondition::Any),
            put("a", "2", Precondition::Unchanged(Revision(9))),
        ]),
        Stamp(0),
        &mut changes,
    );
    assert_eq!(
        answer,
        Err(StoreError::PreconditionFailed { index: 1, key: key("a"), current: Some(Revision(1)) })
    );
    assert!(changes.is_empty());
    assert_eq!(state.view.get(&key("b")), None);
    assert_eq!(state.view.revision(), Revision(1));
}

#[test]
fn preconditions_judge_the_object_as_it_is() {
    let current = Some(Revision(3));
    let table = [
        (Precondition::Any, None, true),
        (Precondition::Any, current, true),
        (Precondition::Absent, None, true),
        (Precondition::Absent, current, false),
        (Precondition::Exists, None, false),
        (Precondition::Exists, current, true),
        (Precondition::Unchanged(Revision(3)), current, true),
        (Precondition::Unchanged(Revision(2)), current, false),
        (Precondition::Unchanged(Revision(3)), None, false),
    ];
    for (when, current, holds) in table {
        assert_eq!(when.holds(current), holds, "{when:?} of {current:?}");
    }
}

#[test]
fn a_repeated_request_applies_once_and_answers_the_same() {
    let mut state = State::default();
    let transaction = Transaction::new(vec![put("a", "1", Precondition::Absent)]);
    let mut changes = Vec::new();
    let first = state.apply(&transaction, Stamp(0), &mut changes);
    let again = state.apply(&transaction, Stamp(0), &mut changes);
    assert_eq!(first, Ok(vec![Revision(1)]));
    assert_eq!(again, first);
    assert_eq!(changes.len(), 1);
}

#[test]
fn a_refused_request_stays_refused_when_it_is_delivered_again() {
    let mut state = State::default();
    apply(&mut state, vec![put("a", "1", Precondition::Any)]).unwrap();
    let refused = Transaction::new(vec![put("a", "2", Precondition::Absent)]);
    let first = state.apply(&refused, Stamp(0), &mut Vec::new());
    apply(&mut state, vec![delete("a", Precondition::Any)]).unwrap();
    assert_eq!(state.apply(&refused, Stamp(0), &mut Vec::new()), first);
    assert!(first.is_err());
}

#[test]
fn the_differences_between_two_views_are_what_changed() {
    let mut state = State::default();
    for name in ["a", "b", "c"] {
        apply(&mut state, vec![put(name, "1", Precondition::Any)]).unwrap();
    }
    let older = state.view.clone();
    apply(&mut state, vec![put("b", "2", Precondition::Any), delete("c", Precondition::Any)])
        .unwrap();
    let differences: Vec<_> = state.view.differences_to(&older).collect();
    let written = state.view.get(&key("b")).unwrap();
    assert_eq!(differences, [Difference::Written(written), Difference::Removed(&key("c"))]);
}

#[test]
fn deleting_nothing_changes_nothing() {
    let mut state = State::default();
    apply(&mut state, vec![put("a", "1", Precondition::Any)]).unwrap();
    assert_eq!(apply(&mut state, vec![delete("b", Precondition::Any)]), Ok(vec![Revision(1)]));
    assert_eq!(apply(&mut state, vec![delete("a", Precondition::Any)]), Ok(vec![Revision(2)]));
    assert_eq!(state.view.len(), 0);
}

#[test]
fn malformed_transactions_are_refused() {
    let mut state = State::default();
    let twice = vec![put("a", "1", Precondition::Any), delete("a", Precondition::Any)];
    let large = vec![Operation::Put {
        key: key("a"),
        value: Bytes::from(vec![0; crate::limits::TRANSACTION_BYTES]),
        when: Precondition::Any,
    }];
    for operations in [Vec::new(), twice, large] {
        assert!(matches!(apply(&mut state, operations), Err(StoreError::Invalid(_))));
    }
    assert_eq!(state.view.revision(), Revision(0));
}

#[test]
fn pages_of_a_list_join_to_the_whole() {
    let mut state = State::default();
    for (namespace, name) in [("a", "x"), ("b", "x"), ("b", "y"), ("b", "z"), ("c", "x")] {
        let key = Key::new("pods", namespace, name);
        let step = Operation::Put { key, value: Bytes::new(), when: Precondition::Any };
        apply(&mut state, vec![step]).unwrap();
    }
    let range = KeyRange::namespaced("pods", "b");
    let first = state.view.list(&range, &ListOptions { limit: 2, after: None, at: None });
    assert_eq!((first.records.len(), first.remaining), (2, 1));
    let after = first.records.last().map(|record| record.key.clone());
    let second = state.view.list(&range, &ListOptions { limit: 2, after, at: None });
    assert_eq!((second.records.len(), second.remaining), (1, 0));
    assert_eq!(&*second.records[0].key.name, "z");
    let before = ListOptions { limit: 0, after: Some(Key::new("pods", "a", "x")), at: None };
    assert_eq!(state.view.list(&range, &before).records.len(), 3);
}

fn operation() -> impl Strategy<Value = Operation> {
    let when = prop_oneof![
        Just(Precondition::Any),
        Just(Precondition::Absent),
        Just(Precondition::Exists),
        (0..20u64).prop_map(|revision| Precondition::Unchanged(Revision(revision))),
    ];
    ("[a-d]", when, 0..3u8).prop_map(|(name, when, verb)| match verb {
        0 => put(&name, "v", when),
        1 => delete(&name, when),
        _ => Operation::Check { key: key(&name), when },
    })
}

proptest! {
    #[test]
    fn replaying_a_log_with_repeats_gives_the_same_bytes(
        log in proptest::collection::vec(
            (0..30u128, proptest::collection::vec(operation(), 0..4)), 0..60),
    ) {
        let (mut one, mut other) = (State::default(), State::default());
        let (mut one_changes, mut other_changes) = (Vec::new(), Vec::new());
        for (id, operations) in log {
            let transaction = Transaction { id: RequestId(id), operations };
            let answer = one.apply(&transaction, Stamp(0), &mut one_changes);
            prop_assert_eq!(&answer, &other.apply(&transaction, Stamp(0), &mut other_changes));
            prop_assert_eq!(&answer, &other.apply(&transaction, Stamp(0), &mut other_changes));
        }
        prop_assert!(one.view.records().eq(other.view.records()));
        prop_assert_eq!(&one_changes, &other_changes);
        let revisions: Vec<u64> = one_changes.iter().map(|event| event.revision().0).collect();
        prop_assert_eq!(revisions, (1..=one_changes.len() as u64).collect::<Vec<_>>());
    }
}
