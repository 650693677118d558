//! Log matching: where two logs have an entry of the same index and term, they are the same up to
//! there; and what one replica has applied, no other has otherwise.

use std::collections::BTreeMap;

use skein_net::NodeId;
use skein_store::Inspection;

use super::{Violation, deposed};

const INVARIANT: &str = "log matching";

/// Every entry any replica was ever seen to have.
#[derive(Debug, Default)]
pub(crate) struct Logs {
    /// By index and term: the checksum, the term of the entry before, and whose it was.
    entries: BTreeMap<(u64, u64), Entry>,
    /// The term of each applied entry.
    applied: BTreeMap<u64, u64>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    checksum: u32,
    before: Option<u64>,
    seen_on: NodeId,
}

impl Logs {
    /// Takes in what is on the disk of `host`.
    pub(crate) fn observe(&mut self, host: NodeId, found: &Inspection) -> Result<(), Violation> {
        let entries =
            found.entries.iter().map(|(id, checksum)| (id.index, id.leader_id.term, *checksum));
        self.take(host, entries, found.applied.map(|id| id.index))
    }

    fn take(
        &mut self,
        host: NodeId,
        entries: impl Iterator<Item = (u64, u64, u32)>,
        applied: Option<u64>,
    ) -> Result<(), Violation> {
        let mut before: Option<(u64, u64)> = None;
        for (index, term, checksum) in entries {
            let previous = before.filter(|(at, _)| at + 1 == index).map(|(_, term)| term);
            before = Some((index, term));
            let entry = Entry { checksum, before: previous, seen_on: host };
            let known = self.entries.entry((index, term)).or_insert(entry);
            let differs = known.before.zip(previous).is_some_and(|(a, b)| a != b);
            if known.checksum != checksum || differs {
                let (a, b) = (known.seen_on, host);
                let detail =
                    format!("entry {index} of term {term} on {a}: {known:?}, on {b}: {entry:?}");
                return Err(Violation::new(INVARIANT, detail));
            }
            known.before = known.before.or(previous);
            if applied.is_some_and(|applied| index <= applied) {
                deposed::judge(&self.applied, index, term)?;
                let known = *self.applied.entry(index).or_insert(term);
                if known != term {
                    let detail =
                        format!("{host} applied entry {index} of term {term}, others of {known}");
                    return Err(Violation::new(INVARIANT, detail));
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepts(logs: [&[(u64, u64, u32)]; 2], applied: Option<u64>) -> bool {
        let mut all = Logs::default();
        let mut take = |id, log: &[(u64, u64, u32)]| {
            all.take(NodeId(id), log.iter().copied(), applied).is_ok()
        };
        take(1, logs[0]) && take(2, logs[1])
    }

    #[test]
    fn entries_of_one_index_and_term_are_the_same_and_follow_the_same() {
        let log: &[_] = &[(1, 1, 10), (2, 1, 11), (3, 2, 12)];
        assert!(accepts([log, &log[1..]], None));
        assert!(accepts([log, &[(2, 1, 11), (3, 3, 13)]], None), "an entry that was not committed");
        assert!(!accepts([log, &[(3, 2, 99)]], None), "another content");
        assert!(!accepts([log, &[(2, 2, 11), (3, 2, 12)]], None), "another predecessor");
        assert!(!accepts([log, &[(3, 3, 13)]], Some(3)), "applied otherwise");
    }
}
