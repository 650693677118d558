//! What really happened: what all watchers together were told and all writers acknowledged. A
//! revision has one change, whoever tells of it.

use std::collections::BTreeMap;

use skein_consensus::Revision;

use super::Violation;
use crate::history::{Change, Given, Notes};

/// Every change known, by its revision.
#[derive(Clone, Debug, Default)]
pub(super) struct Truth {
    pub(super) changes: BTreeMap<Revision, Change>,
    /// Intervals (after, up to) in which some watcher was told everything; joined and in order.
    covered: Vec<(u64, u64)>,
    /// Revisions of which different changes are told.
    pub(super) contradictions: Vec<Violation>,
}

impl Truth {
    /// Puts together what everybody was told.
    pub(super) fn of(notes: &Notes) -> Self {
        let mut truth = Self::default();
        let mut intervals = Vec::new();
        for given in notes.watched.values() {
            let mut position = None;
            for given in given {
                match given {
                    Given::Listed { at, values } => {
                        for (register, (value, revision)) in values {
                            truth.add(Change {
                                revision: *revision,
                                register: *register,
                                value: Some(*value),
                            });
                        }
                        position = Some(at.0);
                    }
                    Given::Batch { changes, upto } => {
                        changes.iter().for_each(|change| truth.add(*change));
                        intervals.extend(position.map(|from| (from, upto.0)));
                        position = Some(upto.0);
                    }
                }
            }
        }
        for write in &notes.acknowledged {
            let (revision, register, value) = (write.revision, write.register, write.value);
            truth.add(Change { revision, register, value });
        }
        truth.covered = join(intervals);
        truth
    }

    fn add(&mut self, change: Change) {
        let known = *self.changes.entry(change.revision).or_insert(change);
        if known != change {
            self.contradictions.push(Violation::new(
                "replicas agree",
                format!("revision {} is {known:?} and {change:?}", change.revision),
            ));
        }
    }

    /// The last change of a register up to `at`; an error where one may be unknown.
    pub(super) fn last(&self, register: u32, at: Revision) -> Result<Option<Change>, Unknown> {
        let before = self.changes.range(..=at).rev().map(|(_, change)| *change);
        let last = before.into_iter().find(|change| change.register == register);
        let from = last.map_or(0, |change| change.revision.0);
        let known = |(after, upto): &(u64, u64)| *after <= from && at.0 <= *upto;
        if from == at.0 || self.covered.iter().any(known) { Ok(last) } else { Err(Unknown) }
    }
}

/// Nobody was told everything there.
pub(super) struct Unknown;

/// Joins intervals that touch.
fn join(mut intervals: Vec<(u64, u64)>) -> Vec<(u64, u64)> {
    intervals.sort_unstable();
    let mut joined: Vec<(u64, u64)> = Vec::new();
    for (after, upto) in intervals {
        match joined.last_mut() {
            Some((_, end)) if after <= *end => *end = upto.max(*end),
            _ => joined.push((after, upto)),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_that_touch_are_joined() {
        assert_eq!(join(vec![(5, 9), (0, 3), (3, 4), (7, 12)]), [(0, 4), (5, 12)]);
    }
}
