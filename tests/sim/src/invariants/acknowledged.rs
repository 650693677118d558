//! No acknowledged write is lost: whoever reads finds the last change there was at the revision
//! read, and a linearizable read is not at a revision before the write's.

use super::{Violation, truth::Truth};
use crate::history::Notes;

pub(super) fn judge(notes: &Notes, truth: &Truth) -> Vec<Violation> {
    let invariant = "no acknowledged write is lost";
    let mut found = Vec::new();
    for seen in &notes.seen {
        let Ok(last) = truth.last(seen.register, seen.at) else { continue };
        let expected = last.and_then(|change| Some((change.value?, change.revision)));
        if expected != seen.found {
            let detail = format!("{seen:?} should have found {expected:?}");
            found.push(Violation::new(invariant, detail));
        }
        let missed = notes.acknowledged.iter().find(|write| {
            seen.linearizable
                && write.register == seen.register
                && write.returned < seen.called
                && write.revision > seen.at
        });
        if let Some(write) = missed {
            found.push(Violation::new(invariant, format!("{seen:?} came before {write:?}")));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use skein_consensus::Revision;

    use super::*;
    use crate::history::{Acknowledged, Given, Seen};

    fn judged(found: Option<(u32, Revision)>, at: u64) -> bool {
        let (value, revision) = (Some(7), Revision(3));
        let write = Acknowledged { called: 1, returned: 2, register: 1, value, revision };
        let at = Revision(at);
        let seen = Seen { called: 5, returned: 6, register: 1, found, at, linearizable: true };
        let told = vec![
            Given::Listed { at: Revision(0), values: [].into() },
            Given::Batch {
                changes: vec![crate::history::Change { revision, register: 1, value }],
                upto: Revision(4),
            },
        ];
        let notes = Notes {
            acknowledged: vec![write],
            seen: vec![seen],
            watched: [(0, told)].into(),
            ..Notes::default()
        };
        judge(&notes, &Truth::of(&notes)).is_empty()
    }

    #[test]
    fn a_later_read_finds_the_write() {
        assert!(judged(Some((7, Revision(3))), 4));
        assert!(!judged(None, 4));
        assert!(!judged(None, 2));
    }
}
