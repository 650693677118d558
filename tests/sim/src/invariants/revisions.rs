//! Revisions are monotonic: an operation that begins after another one returned is not at a lower
//! revision, and a write is at a higher one.

use super::Violation;
use crate::history::Notes;

/// Something that happened at a revision.
struct Point {
    called: u64,
    returned: u64,
    revision: u64,
    changes: bool,
}

pub(super) fn judge(notes: &Notes) -> Vec<Violation> {
    let writes = notes.acknowledged.iter().map(|write| Point {
        called: write.called,
        returned: write.returned,
        revision: write.revision.0,
        changes: true,
    });
    let reads = notes.seen.iter().filter(|seen| seen.linearizable).map(|seen| Point {
        called: seen.called,
        returned: seen.returned,
        revision: seen.at.0,
        changes: false,
    });
    let mut begun: Vec<Point> = writes.chain(reads).collect();
    let mut returned: Vec<(u64, u64)> =
        begun.iter().map(|point| (point.returned, point.revision)).collect();
    begun.sort_by_key(|point| point.called);
    returned.sort_unstable();
    let (mut highest, mut next) = (0, 0);
    let mut found = Vec::new();
    for Point { called, revision, changes, .. } in begun {
        while returned.get(next).is_some_and(|(returned, _)| *returned < called) {
            highest = highest.max(returned[next].1);
            next += 1;
        }
        let least = highest + u64::from(changes);
        if revision < least {
            let what = if changes { "write" } else { "read" };
            let detail = format!("the {what} begun at {called} has revision {revision} < {least}");
            found.push(Violation::new("revisions are monotonic", detail));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use skein_consensus::Revision;

    use super::*;
    use crate::history::{Acknowledged, Seen};

    /// Each is when it was called, when it returned, and its revision.
    fn judged(write: (u64, u64, u64), read: (u64, u64, u64)) -> bool {
        let (called, returned, revision) = write;
        let revision = Revision(revision);
        let write = Acknowledged { called, returned, register: 1, value: None, revision };
        let (called, returned, at) = read;
        let at = Revision(at);
        let seen = Seen { called, returned, register: 2, found: None, at, linearizable: true };
        judge(&Notes { acknowledged: vec![write], seen: vec![seen], ..Notes::default() }).is_empty()
    }

    #[test]
    fn what_comes_later_is_not_at_a_lower_revision() {
        assert!(judged((1, 2, 5), (3, 4, 5)));
        assert!(!judged((1, 2, 5), (3, 4, 4)), "a read after a write");
        assert!(judged((1, 4, 5), (2, 3, 4)), "overlapping");
        assert!(!judged((5, 6, 5), (3, 4, 5)), "a write at the revision of an earlier read");
    }
}
