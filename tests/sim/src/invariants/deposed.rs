//! A deposed leader changes nothing: once an entry of a later term is applied, no entry of an
//! earlier one comes after it in the log.

use std::collections::BTreeMap;

use super::Violation;

/// Judges the entry at `index` against those around it; `applied` has the term of each.
pub(super) fn judge(applied: &BTreeMap<u64, u64>, index: u64, term: u64) -> Result<(), Violation> {
    let before = applied.range(..index).next_back();
    let after = applied.range(index + 1..).next();
    let early = before.filter(|(_, before)| **before > term);
    let late = after.filter(|(_, after)| **after < term);
    match early.or(late) {
        None => Ok(()),
        Some((other, theirs)) => Err(Violation::new(
            "a deposed leader changes nothing",
            format!("entry {index} of term {term} was applied, entry {other} of term {theirs} too"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_never_go_back_along_the_log() {
        let applied = BTreeMap::from([(1, 1), (2, 1), (4, 3)]);
        for (index, term, holds) in [(3, 1, true), (3, 3, true), (3, 4, false), (5, 2, false)] {
            assert_eq!(judge(&applied, index, term).is_ok(), holds, "{index} of term {term}");
        }
    }
}
