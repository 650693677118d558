//! What a view held at an earlier revision: its records with the changes since then undone.
//!
//! Only the keys that have changed since are held, so a page of an old list costs the page and
//! those changes, never a copy of the collection.

use std::{collections::BTreeMap, iter::Peekable, sync::Arc};

use crate::{Event, Key, Record};

/// The keys that have changed since a revision, and what was there at it.
#[derive(Debug, Default)]
pub(crate) struct Undone(BTreeMap<Key, Option<Arc<Record>>>);

impl Undone {
    /// Undoes `changes`, which are those of the time since, the oldest first.
    pub(crate) fn of<'a>(changes: impl Iterator<Item = &'a Event>) -> Self {
        let mut before = BTreeMap::new();
        for change in changes {
            // The oldest change of a key knows what was there before all of them.
            before.entry(change.key().clone()).or_insert_with(|| change.previous().cloned());
        }
        Self(before)
    }

    /// `records`, which are there now and in the order of their keys, as they were.
    pub(crate) fn over<'a>(
        &'a self,
        records: impl Iterator<Item = &'a Arc<Record>>,
    ) -> impl Iterator<Item = &'a Arc<Record>> {
        Rewound { now: records.peekable(), before: self.0.iter().peekable() }
    }
}

/// Merges what is there now with what was there of the keys changed since. Both are ordered.
struct Rewound<N: Iterator, B: Iterator> {
    now: Peekable<N>,
    before: Peekable<B>,
}

impl<'a, N, B> Iterator for Rewound<N, B>
where
    N: Iterator<Item = &'a Arc<Record>>,
    B: Iterator<Item = (&'a Key, &'a Option<Arc<Record>>)>,
{
    type Item = &'a Arc<Record>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let untouched = match (self.now.peek(), self.before.peek()) {
                (_, None) => true,
                (None, Some(_)) => false,
                (Some(now), Some((changed, _))) => now.key < **changed,
            };
            if untouched {
                return self.now.next();
            }
            let (changed, before) = self.before.next()?;
            // What has become of it since is not to be seen.
            self.now.next_if(|now| now.key == *changed);
            if let Some(before) = before {
                return Some(before);
            }
        }
    }
}

#[cfg(test)]
mod tests;
