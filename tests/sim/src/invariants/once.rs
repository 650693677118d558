//! No request is applied twice. Every value is written by one request, so one that appears at two
//! revisions was.

use std::collections::BTreeMap;

use skein_consensus::Revision;

use super::{Violation, truth::Truth};
use crate::history::Change;

pub(super) fn judge(truth: &Truth) -> Vec<Violation> {
    twice(&truth.changes)
}

fn twice(changes: &BTreeMap<Revision, Change>) -> Vec<Violation> {
    let mut first = BTreeMap::new();
    let mut found = Vec::new();
    for change in changes.values() {
        let Some(value) = change.value else { continue };
        if let Some(before) = first.insert(value, change.revision) {
            let detail = format!("value {value} at revisions {before} and {}", change.revision);
            found.push(Violation::new("no request is applied twice", detail));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_at_two_revisions_is_noticed() {
        let at = |revision, value| {
            let revision = Revision(revision);
            (revision, Change { revision, register: 1, value })
        };
        let clean = [at(1, Some(1)), at(2, None), at(3, None), at(4, Some(2))];
        assert!(twice(&clean.into()).is_empty());
        assert!(!twice(&[at(1, Some(1)), at(2, None), at(3, Some(1))].into()).is_empty());
    }
}
