//! The store is linearizable: every register's history could have happened one call after the
//! other, each between its begin and its return.
//!
//! The search of Wing and Gong with Lowe's memory: a call may come next if no other one that is
//! still to come had returned before it began; a state of the search is the set of calls done and
//! the value they left, and none is visited twice. Registers are independent, so each is searched
//! for itself.

use std::collections::HashSet;

use super::Violation;
use crate::{
    history::{Action, Call, Notes},
    limits::CALLS,
};

pub(super) fn judge(notes: &Notes) -> Vec<Violation> {
    let broken = notes.calls.iter().filter(|(_, calls)| !is_linearizable(calls));
    let violation = |(register, calls): (&u32, &Vec<Call>)| {
        let calls: String = calls.iter().map(|call| format!("\n    {call:?}")).collect();
        Violation::new("linearizable store", format!("register {register}:{calls}"))
    };
    broken.map(violation).collect()
}

/// Whether the calls could have happened one after the other on a register without a value.
fn is_linearizable(calls: &[Call]) -> bool {
    assert!(calls.len() <= CALLS, "{} calls", calls.len());
    let required = calls
        .iter()
        .enumerate()
        .filter(|(_, call)| call.returned.is_some())
        .fold(0u128, |set, (index, _)| set | 1 << index);
    let mut seen = HashSet::new();
    let mut open = vec![(0u128, None)];
    while let Some((done, value)) = open.pop() {
        if done & required == required {
            return true;
        }
        if !seen.insert((done, value)) {
            continue;
        }
        let pending = || calls.iter().enumerate().filter(|(index, _)| done & (1 << index) == 0);
        let first_return =
            pending().filter_map(|(_, call)| call.returned).min().unwrap_or(u64::MAX);
        for (index, call) in pending().filter(|(_, call)| call.called < first_return) {
            let known = call.returned.is_some();
            if let Some(next) = after(call.action, value, known) {
                open.push((done | 1 << index, next));
            }
        }
    }
    false
}

/// What a call leaves of `value`, if it can come here. One whose outcome is not `known` does
/// whatever its condition allows.
fn after(action: Action, value: Option<u32>, known: bool) -> Option<Option<u32>> {
    let (applies, new, done) = match action {
        Action::Write(new) => (true, Some(new), true),
        Action::Read(found) => return (found == value).then_some(value),
        Action::Create { new, done } => (value.is_none(), Some(new), done),
        Action::Replace { old, new, done } => (value == Some(old), Some(new), done),
        Action::Delete { done } => (value.is_some(), None, done),
    };
    let possible = !known || applies == done;
    possible.then_some(if applies { new } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(called: u64, returned: impl Into<Option<u64>>, action: Action) -> Call {
        Call { called, returned: returned.into(), action }
    }

    #[test]
    fn sequential_and_overlapping_histories_pass() {
        assert!(is_linearizable(&[
            call(1, 2, Action::Read(None)),
            call(3, 4, Action::Write(1)),
            call(5, 6, Action::Read(Some(1))),
        ]));
        assert!(is_linearizable(&[
            call(1, 10, Action::Write(1)),
            call(2, 9, Action::Write(2)),
            call(3, 4, Action::Read(Some(2))),
            call(5, 6, Action::Read(Some(1))),
        ]));
    }

    #[test]
    fn stale_reads_and_lost_writes_fail() {
        let write = |value, at| call(at, at + 1, Action::Write(value));
        assert!(!is_linearizable(&[write(1, 1), write(2, 3), call(5, 6, Action::Read(Some(1)))]));
        assert!(!is_linearizable(&[write(1, 1), call(3, 4, Action::Read(None))]));
    }

    #[test]
    fn a_write_without_answer_may_have_happened_once_or_never() {
        let unknown = call(1, None, Action::Write(1));
        let later = |value, at| call(at, at + 1, Action::Read(value));
        assert!(is_linearizable(&[unknown.clone(), later(None, 5)]));
        assert!(is_linearizable(&[unknown.clone(), later(None, 5), later(Some(1), 7)]));
        assert!(!is_linearizable(&[unknown, later(Some(1), 5), later(None, 7)]));
    }

    #[test]
    fn conditions_are_judged_by_the_value_they_met() {
        let create = |new, done, at| call(at, at + 1, Action::Create { new, done });
        assert!(is_linearizable(&[create(1, true, 1), create(2, false, 3)]));
        assert!(!is_linearizable(&[create(1, true, 1), create(2, true, 3)]));
        let replace = |old, new, done, at| call(at, at + 1, Action::Replace { old, new, done });
        assert!(is_linearizable(&[create(1, true, 1), replace(1, 2, true, 3)]));
        assert!(!is_linearizable(&[create(1, true, 1), replace(1, 2, false, 3)]));
        let delete = |done, at| call(at, at + 1, Action::Delete { done });
        assert!(is_linearizable(&[create(1, true, 1), delete(true, 3), delete(false, 5)]));
        assert!(!is_linearizable(&[delete(true, 3)]));
    }
}
