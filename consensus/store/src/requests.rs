//! The bounded memory of request ids and their answers.
//!
//! Part of the replicated state: every node forgets the same request at the same log entry, so a
//! retry has the same outcome everywhere. Refusals are remembered too: a caller that was told its
//! write failed must not see it succeed when the network delivers the request a second time.

use std::sync::Arc;

use imbl::{OrdMap, Vector};
use serde::{Deserialize, Serialize};

use crate::{RequestId, Revision, limits, state::Answer};

/// When something was proposed, in milliseconds since 1970 by the clock of who led then. Good for
/// how long ago, within a few seconds, and for nothing else.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Stamp(pub u64);

/// How many requests are remembered, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// This many in any case, however old and whatever the clocks say.
    pub least: usize,
    /// As many as are younger than this, in milliseconds.
    pub window_ms: u64,
    /// Never more than this.
    pub most: usize,
}

impl Default for Capacity {
    fn default() -> Self {
        let window_ms = u64::try_from(limits::REQUEST_WINDOW.as_millis()).unwrap_or(u64::MAX);
        let (least, most) = (limits::REMEMBERED_REQUESTS, limits::REMEMBERED_REQUESTS_MOST);
        Self { least, window_ms, most }
    }
}

/// What each of the last requests was answered, oldest first. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct RequestMemory {
    /// The sequence number of each. Ordered, for a tree of hashes takes many times its content
    /// where it is sparse.
    sequences: OrdMap<RequestId, u64>,
    /// Their stamps never go back.
    order: Vector<Kept>,
    /// Requests forgotten so far, and so the sequence number of the oldest kept.
    forgotten: u64,
    capacity: Capacity,
}

/// A request in memory.
#[derive(Clone, Debug)]
struct Kept {
    id: RequestId,
    stamp: Stamp,
    answer: KeptAnswer,
}

/// An answer in few bytes: nearly all requests write one object.
#[derive(Clone, Debug)]
enum KeptAnswer {
    One(Revision),
    Other(Arc<Answer>),
}

impl From<Answer> for KeptAnswer {
    fn from(answer: Answer) -> Self {
        match answer.as_deref() {
            Ok([revision]) => Self::One(*revision),
            Ok(_) | Err(_) => Self::Other(Arc::new(answer)),
        }
    }
}

impl From<&KeptAnswer> for Answer {
    fn from(kept: &KeptAnswer) -> Self {
        match kept {
            KeptAnswer::One(revision) => Ok(vec![*revision]),
            KeptAnswer::Other(answer) => Answer::clone(answer),
        }
    }
}

/// A request as it is remembered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remembered {
    /// Which.
    pub id: RequestId,
    /// When.
    pub stamp: Stamp,
    /// What it was answered.
    pub answer: Answer,
}

impl RequestMemory {
    /// An empty memory of `capacity`.
    pub fn new(capacity: Capacity) -> Self {
        Self { capacity, ..Self::default() }
    }

    /// A memory of the usual capacity as it was stored: the sequence number of the oldest and all
    /// from there on.
    pub fn restore(forgotten: u64, kept: impl IntoIterator<Item = Remembered>) -> Self {
        let mut memory = Self { forgotten, ..Self::default() };
        for one in kept {
            memory.remember(one.id, one.stamp, one.answer);
        }
        memory
    }

    /// What the request was answered, if it is remembered.
    pub fn answer(&self, id: RequestId) -> Option<Answer> {
        let sequence = self.sequences.get(&id)?;
        let at = usize::try_from(sequence - self.forgotten).ok()?;
        Some(Answer::from(&self.order.get(at)?.answer))
    }

    /// Remembers a new request, made at `stamp`, and forgets the oldest beyond the capacity.
    ///
    /// What is forgotten depends on what is remembered alone, so that a memory that was restored
    /// goes on like the one it was taken from.
    pub fn remember(&mut self, id: RequestId, stamp: Stamp, answer: Answer) {
        let now = self.order.back().map_or(stamp, |last| stamp.max(last.stamp));
        if self.sequences.contains_key(&id) {
            return;
        }
        self.sequences.insert(id, self.next_sequence());
        self.order.push_back(Kept { id, stamp: now, answer: answer.into() });
        while self.is_over(now) {
            if let Some(oldest) = self.order.pop_front() {
                self.sequences.remove(&oldest.id);
                self.forgotten += 1;
            }
        }
    }

    fn is_over(&self, now: Stamp) -> bool {
        let Some(oldest) = self.order.front() else { return false };
        let expired = now.0 - oldest.stamp.0 > self.capacity.window_ms;
        let count = self.order.len();
        count > self.capacity.most || (count > self.capacity.least && expired)
    }

    /// The sequence number of the oldest request kept.
    pub fn first_sequence(&self) -> u64 {
        self.forgotten
    }

    /// The sequence number the next new request gets.
    pub fn next_sequence(&self) -> u64 {
        self.forgotten + self.order.len() as u64
    }

    /// The kept requests from sequence number `from` on, in order.
    pub fn since(&self, from: u64) -> impl Iterator<Item = (u64, Remembered)> {
        let first = from.max(self.forgotten);
        let skip = usize::try_from(first - self.forgotten).unwrap_or(usize::MAX);
        self.order.iter().skip(skip).zip(first..).map(|(kept, sequence)| {
            let answer = Answer::from(&kept.answer);
            (sequence, Remembered { id: kept.id, stamp: kept.stamp, answer })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Revision;

    fn memory_of(requests: impl IntoIterator<Item = (u128, u64)>) -> RequestMemory {
        let mut memory = RequestMemory::new(Capacity { least: 2, window_ms: 100, most: 4 });
        for (id, stamp) in requests {
            memory.remember(RequestId(id), Stamp(stamp), Ok(vec![Revision(id as u64)]));
        }
        memory
    }

    fn kept(memory: &RequestMemory) -> Vec<u128> {
        memory.since(0).map(|(_, one)| one.id.0).collect()
    }

    #[test]
    fn requests_are_forgotten_by_age_within_a_least_and_a_most() {
        // When the first, the second and so on were made, and the first that is kept.
        let table = [
            (vec![0, 10, 90], 1),
            (vec![0, 10, 105], 2),
            (vec![0, 1_000_000], 1),
            (vec![0, 1, 2, 3, 4], 2),
            // The clock of the next leader is behind.
            (vec![500, 10, 590, 20], 1),
        ];
        for (stamps, first) in table {
            let memory = memory_of((1..).zip(stamps.iter().copied()));
            let expected: Vec<u128> = (first..=stamps.len() as u128).collect();
            assert_eq!(kept(&memory), expected, "{stamps:?}");
        }
        let memory = memory_of([(1, 0), (2, 10), (3, 105)]);
        assert_eq!(memory.answer(RequestId(1)), None);
        assert_eq!(memory.answer(RequestId(3)), Some(Ok(vec![Revision(3)])));
    }

    #[test]
    fn a_restored_memory_goes_on_with_the_same_sequence() {
        let memory = memory_of([(1, 0), (2, 10), (3, 105), (4, 106)]);
        assert_eq!((memory.first_sequence(), memory.next_sequence()), (1, 4));
        let kept = memory.since(0).map(|(_, one)| one);
        let restored = RequestMemory::restore(memory.first_sequence(), kept);
        assert_eq!(restored.next_sequence(), 4);
        assert!(restored.since(0).eq(memory.since(0)));
        let last: Vec<_> = restored.since(3).map(|(sequence, one)| (sequence, one.id)).collect();
        assert_eq!(last, [(3, RequestId(4))]);
    }
}
