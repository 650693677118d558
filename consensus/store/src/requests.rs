//! The bounded memory of request ids and their answers.
//!
//! Part of the replicated state: every node forgets the same request at the same log entry, so a
//! retry has the same outcome everywhere. Refusals are remembered too: a caller that was told its
//! write failed must not see it succeed when the network delivers the request a second time.

use imbl::{HashMap, Vector};

use crate::{RequestId, state::Answer};

/// What each of the last requests was answered, oldest first. Cheap to clone.
#[derive(Clone, Debug)]
pub struct RequestMemory {
    answers: HashMap<RequestId, Answer>,
    order: Vector<RequestId>,
    /// Requests forgotten so far, and so the sequence number of the oldest kept.
    forgotten: u64,
    capacity: usize,
}

impl RequestMemory {
    /// An empty memory of `capacity` requests.
    pub fn new(capacity: usize) -> Self {
        Self { answers: HashMap::new(), order: Vector::new(), forgotten: 0, capacity }
    }

    /// A memory as it was stored: the sequence number of the oldest and all from there on.
    pub fn restore(
        capacity: usize,
        forgotten: u64,
        kept: impl IntoIterator<Item = (RequestId, Answer)>,
    ) -> Self {
        let mut memory = Self { forgotten, ..Self::new(capacity) };
        for (id, answer) in kept {
            memory.remember(id, answer);
        }
        memory
    }

    /// What the request was answered, if it is remembered.
    pub fn answer(&self, id: RequestId) -> Option<&Answer> {
        self.answers.get(&id)
    }

    /// Remembers a new request and forgets the oldest beyond the capacity.
    pub fn remember(&mut self, id: RequestId, answer: Answer) {
        if self.answers.insert(id, answer).is_none() {
            self.order.push_back(id);
        }
        while self.order.len() > self.capacity {
            if let Some(oldest) = self.order.pop_front() {
                self.answers.remove(&oldest);
                self.forgotten += 1;
            }
        }
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
    pub fn since(&self, from: u64) -> impl Iterator<Item = (u64, RequestId, &Answer)> {
        let first = from.max(self.forgotten);
        let skip = usize::try_from(first - self.forgotten).unwrap_or(usize::MAX);
        self.order
            .iter()
            .skip(skip)
            .zip(first..)
            .filter_map(|(id, sequence)| self.answers.get(id).map(|answer| (sequence, *id, answer)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Revision;

    fn memory_of(ids: impl IntoIterator<Item = u128>) -> RequestMemory {
        let mut memory = RequestMemory::new(2);
        for id in ids {
            memory.remember(RequestId(id), Ok(vec![Revision(id as u64)]));
        }
        memory
    }

    #[test]
    fn the_oldest_request_is_forgotten_first() {
        let memory = memory_of(1..=3);
        assert_eq!(memory.answer(RequestId(1)), None);
        assert_eq!(memory.answer(RequestId(2)), Some(&Ok(vec![Revision(2)])));
        assert_eq!(memory.answer(RequestId(3)), Some(&Ok(vec![Revision(3)])));
    }

    #[test]
    fn a_restored_memory_goes_on_with_the_same_sequence() {
        let memory = memory_of(1..=5);
        assert_eq!((memory.first_sequence(), memory.next_sequence()), (3, 5));
        let kept: Vec<_> = memory.since(0).map(|(_, id, answer)| (id, answer.clone())).collect();
        let restored = RequestMemory::restore(2, memory.first_sequence(), kept);
        assert_eq!(restored.next_sequence(), 5);
        let last: Vec<_> = restored.since(4).map(|(sequence, id, _)| (sequence, id)).collect();
        assert_eq!(last, [(4, RequestId(5))]);
    }
}
