//! Pods whose decision could not be written wait before the next one, longer each time; all others
//! are decided about meanwhile.

use std::collections::{HashMap, HashSet};

use tokio::time::Instant;

use crate::{backoff, uid::Uid};

/// Who waits until when, by the pod's uid. Holds no more than the pods that are pending.
#[derive(Debug, Default)]
pub(super) struct Holds(HashMap<Uid, Hold>);

#[derive(Debug)]
struct Hold {
    failures: u32,
    until: Instant,
}

impl Holds {
    /// Holds a pod back because its decision could not be written at `now`.
    pub(super) fn fail(&mut self, uid: &Uid, now: Instant) {
        let hold = self.0.entry(uid.clone()).or_insert(Hold { failures: 0, until: now });
        hold.until = now + backoff::pause(hold.failures);
        hold.failures = hold.failures.saturating_add(1);
    }

    /// Forgets the failures of a pod: its decision was written or no longer fits.
    pub(super) fn release(&mut self, uid: &Uid) {
        self.0.remove(uid);
    }

    /// Forgets the pods that no longer wait for a node.
    pub(super) fn keep(&mut self, pending: &HashSet<&Uid>) {
        self.0.retain(|uid, _| pending.contains(uid));
    }

    pub(super) fn holds(&self, uid: &Uid, now: Instant) -> bool {
        self.0.get(uid).is_some_and(|hold| hold.until > now)
    }

    /// How many wait, or are tried again.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// When the first one has waited long enough.
    pub(super) fn next(&self) -> Option<Instant> {
        self.0.values().map(|hold| hold.until).min()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::limits::BACKOFF;

    #[test]
    fn a_pod_that_fails_again_waits_longer_and_nobody_else_waits() {
        let (a, b) = (Uid::from("a"), Uid::from("b"));
        let mut holds = Holds::default();
        let mut now = Instant::now();
        let mut pauses = Vec::new();
        for _ in 0..3 {
            holds.fail(&a, now);
            assert!(holds.holds(&a, now) && !holds.holds(&b, now));
            let next = holds.next().unwrap();
            pauses.push(next - now);
            now = next;
            assert!(!holds.holds(&a, now));
        }
        assert_eq!(pauses, [BACKOFF.0, BACKOFF.0 * 2, BACKOFF.0 * 4]);
    }

    #[test]
    fn failures_are_forgotten_once_a_decision_is_written_or_the_pod_is_gone() {
        let (a, b, c) = (Uid::from("a"), Uid::from("b"), Uid::from("c"));
        let mut holds = Holds::default();
        let now = Instant::now();
        for key in [&a, &b, &c] {
            holds.fail(key, now);
            holds.fail(key, now + Duration::from_secs(1));
        }
        holds.release(&a);
        holds.keep(&HashSet::from([&a, &b]));
        assert!(holds.holds(&b, now) && !holds.holds(&a, now) && !holds.holds(&c, now));
        holds.keep(&HashSet::new());
        holds.fail(&a, now);
        assert_eq!(holds.next(), Some(now + BACKOFF.0));
    }
}
