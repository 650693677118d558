//! The store is linearizable: every register's history could have happened one call after the
//! other, each between its begin and its return.
//!
//! The search of Wing and Gong with Lowe's memory: a call may come next if no other one that is
//! still to come had returned before it began; a state of the search is the set of calls done and
//! the value they left, and none is visited twice. Registers are independent, so each is searched
//! for itself. Shortcuts keep histories with many calls of unknown outcome within reach, whose
//! subsets would otherwise all be visited: a call that changes nothing is taken at once, one of
//! unknown outcome only where it changes something, and two of them in a row only where the second
//! would not have come to the same without the first.

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
    // With the value before the last call, where that one may never have happened.
    let mut open = vec![(0u128, None, None)];
    while let Some((done, value, before)) = open.pop() {
        if done & required == required {
            return true;
        }
        if !seen.insert((done, value, before)) {
            continue;
        }
        let pending = || calls.iter().enumerate().filter(|(index, _)| done & (1 << index) == 0);
        let first_return =
            pending().filter_map(|(_, call)| call.returned).min().unwrap_or(u64::MAX);
        let next: Vec<(usize, &Call, Option<u32>)> = pending()
            .filter(|(_, call)| call.called < first_return)
            .filter_map(|(index, call)| {
                let left = after(call.action, value, call.returned.is_some())?;
                Some((index, call, left))
            })
            .collect();
        // A call that changes nothing may come at once: it was allowed to, and disturbs no other.
        let idle = |(_, call, left): &&(usize, &Call, Option<u32>)| {
            call.returned.is_some() && *left == value
        };
        if let Some((index, ..)) = next.iter().find(idle) {
            open.push((done | 1 << index, value, None));
            continue;
        }
        let (known, unknown): (Vec<_>, Vec<_>) =
            next.into_iter().partition(|(_, call, _)| call.returned.is_some());
        // What may never have happened is tried last, and not where it would change nothing, nor
        // where it would make nothing of another such call.
        for (index, call, left) in unknown {
            let needs_former =
                before.is_none_or(|before| after(call.action, before, false) != Some(left));
            if left != value && needs_former {
                open.push((done | 1 << index, left, Some(value)));
            }
        }
        open.extend(known.into_iter().map(|(index, _, left)| (done | 1 << index, left, None)));
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
    fn many_calls_without_an_answer_do_not_take_for_ever() {
        let unknown = (0..40).map(|value| call(u64::from(value), None, Action::Write(value)));
        let reads = (0..40).map(|value| {
            let at = 100 + 2 * u64::from(value);
            call(at, at + 1, Action::Read(Some(value)))
        });
        let calls: Vec<Call> = unknown.chain(reads).collect();
        assert!(is_linearizable(&calls));
        let gone = call(300, 301, Action::Read(Some(3)));
        assert!(!is_linearizable(&[calls, vec![gone]].concat()));
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
