//! The bounded history of changes of one resource.

use std::collections::VecDeque;

use crate::{Event, EventBatch, Key, KeyRange, Revision, limits, rewind::Undone};

/// The last changes of one resource, oldest first.
#[derive(Debug)]
pub(crate) struct History {
    events: VecDeque<Event>,
    bytes: usize,
    /// Every change after this one is kept.
    complete_after: Revision,
}

/// The history does not reach back far enough; the oldest revision it can serve from.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooOld(pub Revision);

impl History {
    /// An empty history that knows of every change after `revision`.
    pub(crate) fn starting_at(revision: Revision) -> Self {
        Self { events: VecDeque::new(), bytes: 0, complete_after: revision }
    }

    /// The oldest revision a watch can start from and a list be of.
    pub(crate) fn oldest(&self) -> Revision {
        self.complete_after
    }

    /// Appends the newest change and drops the oldest beyond the limits.
    pub(crate) fn push(&mut self, event: Event) {
        self.bytes += event.size();
        self.events.push_back(event);
        while self.events.len() > limits::HISTORY_EVENTS || self.bytes > limits::HISTORY_BYTES {
            let Some(dropped) = self.events.pop_front() else { break };
            self.bytes -= dropped.size();
            self.complete_after = dropped.revision();
        }
    }

    /// The next changes of `range` after `position`, at most a batch of them, and how far they
    /// reach. `revision` is one up to which every change has been pushed.
    pub(crate) fn after(
        &self,
        range: &KeyRange,
        position: Revision,
        revision: Revision,
    ) -> Result<EventBatch, TooOld> {
        let start = self.place_after(position)?;
        let mut batch = EventBatch { events: Vec::new(), revision: revision.max(position) };
        let mut bytes = 0;
        for event in self.events.range(start..) {
            if batch.events.len() >= limits::WATCH_BATCH_EVENTS
                || bytes >= limits::WATCH_BATCH_BYTES
            {
                batch.revision = Revision(event.revision().0 - 1);
                return Ok(batch);
            }
            batch.revision = batch.revision.max(event.revision());
            if range.contains(event.key()) {
                bytes += event.size();
                batch.events.push(event.clone());
            }
        }
        Ok(batch)
    }

    /// What undoes the changes after `at` and up to `now` of the keys of `range` after `after`.
    /// Every change up to `now` has been pushed.
    pub(crate) fn undo(
        &self,
        range: &KeyRange,
        after: Option<&Key>,
        at: Revision,
        now: Revision,
    ) -> Result<Undone, TooOld> {
        let since = self.events.range(self.place_after(at)?..);
        let since = since.take_while(|event| event.revision() <= now);
        Ok(Undone::of(since.filter(|event| {
            range.contains(event.key()) && after.is_none_or(|after| event.key() > after)
        })))
    }

    /// Where the changes after `position` begin.
    fn place_after(&self, position: Revision) -> Result<usize, TooOld> {
        if position < self.complete_after {
            return Err(TooOld(self.complete_after));
        }
        Ok(self.events.partition_point(|event| event.revision() <= position))
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::{Key, Record};

    fn change(namespace: &str, revision: u64, size: usize) -> Event {
        let revision = Revision(revision);
        let record = Record {
            key: Key::new("pods", namespace, "x"),
            value: Bytes::from(vec![0; size]),
            created: revision,
            modified: revision,
        };
        Event::Put { record: record.into(), previous: None }
    }

    #[test]
    fn a_watcher_gets_its_range_only_and_learns_how_far_it_has_been_served() {
        let mut history = History::starting_at(Revision(1));
        for (namespace, revision) in [("a", 2), ("b", 4), ("a", 5)] {
            history.push(change(namespace, revision, 1));
        }
        let range = KeyRange::namespaced("pods", "b");
        let batch = history.after(&range, Revision(1), Revision(7)).unwrap();
        assert_eq!(batch.events, [change("b", 4, 1)]);
        assert_eq!(batch.revision, Revision(7));
        let batch = history.after(&range, Revision(9), Revision(7)).unwrap();
        assert_eq!(batch, EventBatch { events: Vec::new(), revision: Revision(9) });
    }

    #[test]
    fn a_position_before_the_kept_changes_is_too_old() {
        let mut history = History::starting_at(Revision(0));
        for revision in 1..=limits::HISTORY_EVENTS as u64 + 3 {
            history.push(change("a", revision, 1));
        }
        let range = KeyRange::all("pods");
        assert_eq!(history.oldest(), Revision(3));
        let refused = history.after(&range, Revision(2), Revision(3));
        assert_eq!(refused, Err(TooOld(Revision(3))));
        assert!(history.after(&range, Revision(3), Revision(3)).is_ok());
    }

    #[test]
    fn batches_are_bounded_and_join_without_gap_or_repeat() {
        let mut history = History::starting_at(Revision(0));
        let count = limits::WATCH_BATCH_EVENTS as u64 * 2 + 5;
        for revision in 1..=count {
            history.push(change("a", revision, 1));
        }
        let (mut seen, mut position) = (Vec::new(), Revision(0));
        while position < Revision(count) {
            let batch = history.after(&KeyRange::all("pods"), position, Revision(count)).unwrap();
            assert!(batch.events.len() <= limits::WATCH_BATCH_EVENTS);
            seen.extend(batch.events.iter().map(|event| event.revision().0));
            position = batch.revision;
        }
        assert_eq!(seen, (1..=count).collect::<Vec<_>>());
    }

    #[test]
    fn large_changes_push_older_ones_out() {
        let mut history = History::starting_at(Revision(0));
        for revision in 1..=3 {
            history.push(change("a", revision, limits::HISTORY_BYTES / 2));
        }
        assert_eq!(history.oldest(), Revision(2));
    }
}
