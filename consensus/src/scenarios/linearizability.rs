//! Is a recorded history of one register linearizable?
//!
//! The search of Wing and Gong with Lowe's memory: an operation may come next if no other one
//! that is still to come had returned before it was called; a state of the search is the set of
//! operations done and the value they left, and none is visited twice.

use std::collections::HashSet;

/// One operation on the register; times only order.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) called: u64,
    /// When it returned; never, if its outcome is unknown: it may have happened or not.
    pub(super) returned: Option<u64>,
    pub(super) action: Action,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Write(u32),
    Read(Option<u32>),
}

/// The most calls the search takes.
pub(super) const CALLS: usize = 128;

/// Whether the calls could have happened one after the other on a register without a value.
pub(super) fn is_linearizable(calls: &[Call]) -> bool {
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
            match call.action {
                Action::Write(new) => open.push((done | 1 << index, Some(new))),
                Action::Read(read) if read == value => open.push((done | 1 << index, value)),
                Action::Read(_) => {}
            }
        }
    }
    false
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
    fn a_stale_read_fails() {
        assert!(!is_linearizable(&[
            call(1, 2, Action::Write(1)),
            call(3, 4, Action::Write(2)),
            call(5, 6, Action::Read(Some(1))),
        ]));
    }

    #[test]
    fn a_lost_write_fails() {
        assert!(!is_linearizable(&[call(1, 2, Action::Write(1)), call(3, 4, Action::Read(None)),]));
    }

    #[test]
    fn a_write_without_answer_may_have_happened_once_or_never() {
        let unknown = call(1, None, Action::Write(1));
        let later = |value, at| call(at, at + 1, Action::Read(value));
        assert!(is_linearizable(&[unknown.clone(), later(None, 5)]));
        assert!(is_linearizable(&[unknown.clone(), later(None, 5), later(Some(1), 7)]));
        assert!(!is_linearizable(&[unknown, later(Some(1), 5), later(None, 7)]));
    }
}
