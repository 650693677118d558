//! A watch neither skips, repeats nor reorders: between two points it was told every change there
//! was, in order.

use std::collections::BTreeMap;

use skein_consensus::Revision;

use super::{Violation, truth::Truth};
use crate::{
    history::{Change, Given, Notes},
    workload::REGISTERS,
};

pub(super) fn judge(notes: &Notes, truth: &Truth) -> Vec<Violation> {
    let judged = notes.watched.iter().filter_map(|(watcher, given)| {
        let what = follow(given, truth).err()?;
        let invariant = "a watch neither skips, repeats nor reorders";
        Some(Violation::new(invariant, format!("watcher {watcher}: {what}")))
    });
    judged.collect()
}

fn follow(given: &[Given], truth: &Truth) -> Result<(), String> {
    let mut position = None;
    for given in given {
        position = Some(match given {
            Given::Listed { at, values } => {
                check_list(*at, values, truth)?;
                *at
            }
            Given::Batch { changes, upto } => {
                let from = position.ok_or("it was told of changes before a list")?;
                check_batch(changes, from, *upto, truth)?;
                *upto
            }
        });
    }
    Ok(())
}

fn check_list(
    at: Revision,
    values: &BTreeMap<u32, (u32, Revision)>,
    truth: &Truth,
) -> Result<(), String> {
    for register in 0..REGISTERS {
        let Ok(last) = truth.last(register, at) else { continue };
        let expected = last.and_then(|change| Some((change.value?, change.revision)));
        let listed = values.get(&register).copied();
        if listed != expected {
            return Err(format!("the list at {at} has {listed:?} at {register}, not {expected:?}"));
        }
    }
    Ok(())
}

fn check_batch(
    changes: &[Change],
    from: Revision,
    upto: Revision,
    truth: &Truth,
) -> Result<(), String> {
    if upto < from {
        return Err(format!("it went back from {from} to {upto}"));
    }
    let between = truth.changes.iter().filter(|(at, _)| from < **at && **at <= upto);
    let expected: Vec<Change> = between.map(|(_, change)| *change).collect();
    if changes != expected {
        return Err(format!("from {from} to {upto} it was told {changes:?}, not {expected:?}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(revision: u64) -> Change {
        Change { revision: Revision(revision), register: 1, value: Some(revision as u32) }
    }

    fn batch(revisions: &[u64], upto: u64) -> Given {
        let changes = revisions.iter().copied().map(change).collect();
        Given::Batch { changes, upto: Revision(upto) }
    }

    fn judged(watcher: Vec<Given>) -> bool {
        let empty = || Given::Listed { at: Revision(0), values: BTreeMap::new() };
        let whole = vec![empty(), batch(&[1, 2, 4], 5)];
        let watcher = [vec![empty()], watcher].concat();
        let notes =
            Notes { watched: BTreeMap::from([(0, whole), (1, watcher)]), ..Notes::default() };
        let truth = Truth::of(&notes);
        truth.contradictions.is_empty() && judge(&notes, &truth).is_empty()
    }

    #[test]
    fn a_watcher_told_everything_in_order_passes() {
        assert!(judged(vec![batch(&[1], 1), batch(&[2, 4], 4), batch(&[], 5)]));
        let listed = BTreeMap::from([(1, (2, Revision(2)))]);
        assert!(judged(vec![Given::Listed { at: Revision(3), values: listed }, batch(&[4], 4)]));
    }

    #[test]
    fn skipping_repeating_and_reordering_are_noticed() {
        assert!(!judged(vec![batch(&[1, 4], 4)]), "skipped");
        assert!(!judged(vec![batch(&[1], 1), batch(&[1, 2], 2)]), "repeated");
        assert!(!judged(vec![batch(&[2, 1], 2)]), "reordered");
        assert!(!judged(vec![batch(&[1, 2], 2), batch(&[], 1)]), "went back");
        let stale = BTreeMap::from([(1, (1, Revision(1)))]);
        assert!(!judged(vec![Given::Listed { at: Revision(3), values: stale }]), "an old list");
    }
}
